"""GIFs that browsers show."""

import numpy as np
import pytest

from sketch2video.media.codec import read_clip, read_frames
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.gif import TruncatedGif, clean_gif
from tests.media.small_videos import encode, noisy


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("gif") / "plain.gif"
    encode(path, noisy(6, 24, 32))
    return path.read_bytes()


def blocks_of(data):
    """Offsets at which the blocks of a GIF end, the header first."""
    cuts = []
    for end in range(13, len(data)):
        try:
            if data.startswith(clean_gif(data[:end])[:-1]) and len(clean_gif(data[:end])) == end + 1:
                cuts.append(end)
        except TruncatedGif:
            continue
    return cuts


def shown(tmp_path, data):
    (tmp_path / "a.gif").write_bytes(data)
    return np.stack(list(read_frames(tmp_path / "a.gif")))


def test_what_is_whole_stays_as_it_is(plain):
    assert clean_gif(plain) == plain
    assert len(blocks_of(plain)) >= 6


@pytest.mark.parametrize("junk", [b"\n", b"\r\n", b"\0" * 40, b" \t\xff"])
def test_junk_between_blocks_and_behind_them_is_passed_over(tmp_path, plain, junk):
    spoiled, at = b"", 0
    for end in blocks_of(plain):
        spoiled, at = spoiled + plain[at:end] + junk, end
    expected = shown(tmp_path, plain)
    assert np.array_equal(shown(tmp_path, spoiled + plain[at:]), expected)
    assert np.array_equal(shown(tmp_path, plain + junk), expected)
    assert np.array_equal(shown(tmp_path, plain + b"\n" + plain), expected)
    assert read_clip(tmp_path / "a.gif", 3, 16).source_frames == 6


def test_a_trailer_is_not_needed(tmp_path, plain):
    assert np.array_equal(shown(tmp_path, plain.removesuffix(b";")), shown(tmp_path, plain))
    two = [end for end in blocks_of(plain) if len(shown(tmp_path, plain[:end])) == 2]
    assert np.array_equal(shown(tmp_path, plain[: two[0]]), shown(tmp_path, plain)[:2])


def test_a_file_that_ends_within_a_block_is_truncated(tmp_path, plain):
    whole = set(blocks_of(plain))
    for end in range(0, len(plain) - 1, 97):
        if end not in whole:
            (tmp_path / "a.gif").write_bytes(plain[:end])
            with pytest.raises(RejectedVideo) as caught:
                read_clip(tmp_path / "a.gif", 3, 16)
            assert "\n" not in str(caught.value)


def test_a_screen_without_a_size_is_as_large_as_the_first_image(tmp_path, plain):
    spoiled = plain[:6] + b"\0\0\0\0" + plain[10:]
    assert np.array_equal(shown(tmp_path, spoiled), shown(tmp_path, plain))
