import cv2
import numpy as np
import pytest

from sketch2video.media.codec import read_clip
from tests.media.small_videos import encode


def shots(lengths, side=64):
    """Pictures of a textured ground that pans by a pixel a frame; ground and light differ from shot to shot."""
    pictures = []
    for number, length in enumerate(lengths):
        rng = np.random.default_rng(number)
        ground = cv2.GaussianBlur(rng.uniform(0, 255, (side, side + length, 3)), (0, 0), 3) / 2 + (0, 120, 20)[number]
        pictures += [ground[:, shift : shift + side].astype(np.uint8) for shift in range(length)]
    return pictures


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_cuts_are_found_where_the_video_has_them(tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    encode(path, shots([10, 14, 8]))
    np.testing.assert_array_equal(np.flatnonzero(read_clip(path, 32, 32).cuts), [10, 24])


def test_a_clip_of_fewer_frames_has_the_cut_at_its_first_frame_after_it(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, shots([10, 14, 8]))
    clip = read_clip(path, 8, 32)
    shown = np.linspace(0, 31, 8).round()
    np.testing.assert_array_equal(np.flatnonzero(clip.cuts), [np.argmax(shown >= 10), np.argmax(shown >= 24)])
    assert read_clip(path, 2, 32).cuts.tolist() == [False, True]


def test_motion_without_a_cut_is_none(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, shots([30]))
    assert not read_clip(path, 16, 32).cuts.any()
