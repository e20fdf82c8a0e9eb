"""All orientations that a display matrix can ask for."""

import struct

import numpy as np
import pytest

from sketch2video.media.codec import read_clip, read_companion, read_frames
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.orientation import Orientation, orientation_of_matrix
from tests.media.small_videos import encode

ONE = 1 << 16
PICTURE = np.zeros((64, 96, 3), np.uint8)
PICTURE[:32, :48], PICTURE[:32, 48:], PICTURE[32:, :48] = (220, 30, 30), (30, 220, 30), (30, 30, 220)

EIGHT = {
    (1, 0, 0, 1): lambda p: p,
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (-1, 0, 0, -1): lambda p: np.rot90(p, 2),
    (0, 1, -1, 0): lambda p: np.rot90(p, -1),
    (0, -1, 1, 0): np.rot90,
    (0, 1, 1, 0): lambda p: p.swapaxes(0, 1),
    (0, -1, -1, 0): lambda p: np.rot90(p.swapaxes(0, 1), 2),
}
"""a, b, c, d of ISO/IEC 14496-12, and the same in NumPy's words."""


def with_matrix(path, a, b, c, d):
    """Put a display matrix into the track header of an mp4."""
    data = path.read_bytes()
    track = data.index(b"tkhd")
    identity = struct.pack(">9i", ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    at = data.index(identity, track)
    numbers = [round(number * ONE) for number in (a, b, c, d)]
    matrix = struct.pack(">9i", *numbers[:2], 0, *numbers[2:], 0, 0, 0, 1 << 30)
    path.write_bytes(data[:at] + matrix + data[at + 36 :])


@pytest.mark.parametrize("matrix", EIGHT)
def test_frames_are_shown_as_the_matrix_says(tmp_path, matrix):
    encode(tmp_path / "a.mp4", [PICTURE] * 3)
    with_matrix(tmp_path / "a.mp4", *matrix)
    expected = EIGHT[matrix](PICTURE)
    shown = next(read_frames(tmp_path / "a.mp4"))
    assert shown.shape == expected.shape
    assert np.median(np.abs(shown.astype(int) - expected)) <= 4
    assert (np.abs(shown.astype(int) - expected) > 40).mean() < 0.1
    whole = read_clip(tmp_path / "a.mp4", 2, 96, square=False)
    assert np.array_equal(whole.frames[0], shown)
    height, width = expected.shape[:2]
    square = expected[(height - 64) // 2 :, (width - 64) // 2 :][:64, :64].reshape(32, 2, 32, 2, 3).mean((1, 3))
    clip = read_clip(tmp_path / "a.mp4", 2, 32)
    assert (np.abs(clip.frames[0] - square) > 40).mean() < 0.1
    assert clip.proportion == pytest.approx(width / height)
    assert np.array_equal(read_companion(tmp_path / "a.mp4", clip), clip.frames)


@pytest.mark.parametrize("degrees", [30, 45, -60, 135])
def test_another_angle_is_refused_with_the_angle(tmp_path, degrees):
    encode(tmp_path / "a.mp4", [PICTURE] * 3)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    with_matrix(tmp_path / "a.mp4", cosine, sine, -sine, cosine)
    for read in (lambda path: next(read_frames(path)), lambda path: read_clip(path, 2, 16)):
        with pytest.raises(RejectedVideo, match=f"turned by {degrees} degrees"):
            read(tmp_path / "a.mp4")


def test_a_matrix_that_shows_nothing_counts_as_none_and_small_errors_are_rounded():
    for singular in ((0, 0, 0, 0), (ONE, 0, ONE, 0), (0, 0, 0, ONE)):
        assert orientation_of_matrix((*singular[:2], 0, *singular[2:], 0, 0, 0, 1 << 30)) == Orientation()
    nearly = orientation_of_matrix((3, ONE, 0, -ONE - 5, 2, 0, 0, 0, 1 << 30))
    assert nearly == orientation_of_matrix((0, 2 * ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)) == Orientation(True, True, False)
