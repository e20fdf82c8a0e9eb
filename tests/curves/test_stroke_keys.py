from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.stroke_keys import resampled, with_key_frames


def strokes(frames: int, harmonics: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 2, harmonics)).astype(np.float32)


@settings(max_examples=60)
@given(st.integers(1, 20), st.sets(st.integers(0, 19), max_size=6), st.integers(0, 99))
def test_the_difference_is_interpolated_linearly_and_held_outside(frames: int, chosen: set[int], seed: int) -> None:
    base = strokes(frames, 5, seed)
    at = sorted(frame for frame in chosen if frame < frames)
    keys = {frame: strokes(1, 5, seed + frame + 1)[0] for frame in at}
    changed = with_key_frames(base, keys)
    for frame in at:
        assert np.array_equal(changed[frame], keys[frame])
    if not at:
        assert np.array_equal(changed, base)
        return
    difference = np.stack([keys[frame] - base[frame] for frame in at])
    positions, values = (
        (np.array(at), difference) if len(at) > 1 else (np.array([at[0], at[0] + 1]), difference[[0, 0]])
    )
    ends = (values[0], values[-1])
    expected = interp1d(positions, values, axis=0, bounds_error=False, fill_value=ends)(np.arange(frames))
    assert np.allclose(changed - base, expected, atol=1e-5)


def test_one_key_frame_shifts_the_whole_motion_alike() -> None:
    base = strokes(8, 4)
    moved = with_key_frames(base, {3: base[3] + np.float32(0.25)})
    assert np.allclose(moved - base, 0.25, atol=1e-6)


def test_a_still_stroke_goes_straight_from_key_to_key() -> None:
    base = np.repeat(strokes(1, 4), 9, axis=0)
    first, last = strokes(1, 4, 1)[0], strokes(1, 4, 2)[0]
    moved = with_key_frames(base, {0: first, 8: last})
    parts = np.linspace(0, 1, 9)[:, None, None]
    assert np.allclose(moved, first * (1 - parts) + last * parts, atol=1e-6)


def test_points_of_the_curve_follow_the_same_rule() -> None:
    base, key = strokes(5, 6), strokes(1, 6, 3)[0]
    visible = np.ones((5, 1), np.float32)
    points = CurveSequence(with_key_frames(base, {1: base[1], 4: key})[:, None], visible).points(20)
    before = CurveSequence(base[:, None], visible).points(20)
    shift = CurveSequence((key - base[4])[None, None], visible[:1]).points(20)[0]
    assert np.allclose(points[2], before[2] + shift / 3, atol=1e-5)
    assert np.allclose(points[0], before[0], atol=1e-5)


def test_a_key_may_need_more_harmonics_than_the_base() -> None:
    base, key = strokes(3, 2), strokes(1, 6, 1)[0]
    changed = with_key_frames(base, {2: key})
    assert changed.shape == (3, 2, 6)
    assert np.array_equal(changed[2], key)
    fewer = with_key_frames(changed, {0: key[:, :3]})
    assert np.array_equal(fewer[0, :, :3], key[:, :3])
    assert not fewer[0, :, 3:].any()


@pytest.mark.parametrize("keys", [{3: np.zeros((2, 2))}, {-1: np.zeros((2, 2))}, {0: np.zeros(2)}])
def test_wrong_keys_are_refused(keys: dict[int, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="key frame"):
        with_key_frames(strokes(3, 2), keys)


def test_a_drawing_has_the_same_motion_in_another_number_of_frames() -> None:
    coefficients = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None, None] * np.ones((5, 2, 2, 3), np.float32)
    visibility = np.ones((5, 2), np.float32)
    visibility[3:, 1] = 0
    coefficients[3:, 1] = 0
    curves = CurveSequence(coefficients, visibility)
    more = resampled(curves, 9)
    assert np.allclose(more.coefficients[:, 0, 0, 0], np.linspace(0, 1, 9))
    assert np.array_equal(resampled(more, 5).coefficients[:, 0], coefficients[:, 0])
    # A stroke that ends is not drawn towards zero.
    assert np.allclose(more.coefficients[more.visible[:, 1], 1, 0, 0], [0, 0.125, 0.25, 0.375, 0.5, 0.5], atol=1e-6)
    assert resampled(curves, 5) is curves
    assert len(resampled(curves, 1)) == 1
