from __future__ import annotations

import numpy as np

from sketch2video.steadiness.light import evenly_lit


def test_light_that_changes_is_taken_out() -> None:
    ground = np.random.default_rng(0).uniform(60, 190, (32, 32, 3))
    light = np.linspace(-18, 18, 12)[:, None, None, None]
    lit = evenly_lit((ground + light).astype(np.float32))
    assert lit.dtype == np.float32
    assert np.ptp(ground + light, axis=0).mean() > 35
    assert np.ptp(lit, axis=0).max() < 0.1


def test_a_thing_over_a_ground_that_drifts_far_leaves_no_shadow_of_light() -> None:
    frames = np.full((16, 48, 48, 3), 110, np.float32) + np.linspace(-70, 70, 16, dtype=np.float32)[:, None, None, None]
    for t in range(16):
        frames[t, 16:30, 2 * t : 2 * t + 14] = (20, 40, 200)
    lit = evenly_lit(frames)
    ground = np.ones(frames.shape[:3], bool)
    for t in range(16):
        ground[t, 14:32, max(2 * t - 2, 0) : 2 * t + 16] = False
    assert np.abs(lit[ground] - np.median(frames[:, 0, 0], axis=0)).max() < 10


def test_a_small_thing_that_moves_stays() -> None:
    frames = np.full((10, 32, 32), 100, np.uint8)
    for t in range(10):
        frames[t, 12:18, 3 * t : 3 * t + 4] = 220
    np.testing.assert_allclose(evenly_lit(frames), frames, atol=3)


def test_a_still_clip_is_left_alone() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 20, 24, 3), dtype=np.uint8).repeat(3, 0)
    np.testing.assert_array_equal(evenly_lit(frames), frames)
