from __future__ import annotations

import numpy as np

from sketch2video.steadiness.background import aligned_background, explained


def wide_ground(width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, width, 3), dtype=np.uint8)


def shifts(*right: float) -> np.ndarray:
    """The path of a camera under which the ground moves to the right by so many px."""
    path = np.tile(np.eye(3), (len(right), 1, 1))
    path[:, 0, 2] = right
    return path


def test_a_still_camera_has_one_mean_of_what_is_not_covered() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    foreground = np.random.default_rng(2).random((4, 6, 5)) < 0.5
    mean, seen = aligned_background(frames, foreground, shifts(0, 0, 0, 0), [0, 2, 3])
    for y in range(6):
        for x in range(5):
            shown = [frames[i, y, x].astype(float) for i in (0, 2, 3) if not foreground[i, y, x]]
            assert bool(seen[0, y, x]) == bool(shown)
            np.testing.assert_allclose(mean[0, y, x], np.mean(shown, axis=0) if shown else 0, rtol=1e-5)
    np.testing.assert_array_equal(mean, mean[:1].repeat(4, 0))


def test_frames_of_a_moving_camera_are_aligned_first() -> None:
    ground = wide_ground(40)
    frames = np.stack([ground[:, start : start + 24] for start in (0, 3, 6)])
    mean, seen = aligned_background(frames, np.zeros(frames.shape[:3], bool), shifts(0, -3, -6), [0, 2])
    np.testing.assert_allclose(mean[seen], frames[seen], atol=1e-3)
    assert seen[0].all()
    assert seen[2].all()
    assert seen[1].all(), "what one of them has left, the other shows"


def test_what_no_drawn_frame_shows_is_not_seen() -> None:
    ground = wide_ground(40)
    frames = np.stack([ground[:, start : start + 24] for start in (0, 10)])
    _, seen = aligned_background(frames, np.zeros(frames.shape[:3], bool), shifts(0, -10), [0])
    assert seen[0].all()
    np.testing.assert_array_equal(seen[1], np.broadcast_to(np.arange(24) < 14, (20, 24)))


def test_what_stands_before_the_mean_is_not_explained_by_it() -> None:
    mean = np.full((2, 24, 24, 3), 120, np.float32)
    frames = mean.astype(np.uint8)
    frames[0] += 12  # drift
    frames[0, 3, 3] = 255  # noise
    frames[1, 8:16, 8:16, 0] = 40
    expected = np.ones((2, 24, 24), bool)
    expected[1, 8:16, 8:16] = False
    found = explained(frames, mean)
    np.testing.assert_array_equal(found[0], expected[0])
    assert (found[1] != expected[1]).sum() <= 4 * 10, "but for the rim"
