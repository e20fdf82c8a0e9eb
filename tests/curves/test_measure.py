import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_error
from sketch2video.curves.equation.measure import displacement, kept, nearest_distances, rendered_discrepancy


def a_line(row: float, width: int = 64) -> CurveSequence:
    """A level line from column 8 to 56 of 64, ``row`` in pixels."""
    return CurveSequence(np.array([[[[0.5, -0.375], [row / width, 0.0]]]]), np.ones((1, 1)))


def ink_of(row: int) -> np.ndarray:
    ink = np.zeros((1, 64, 64), np.uint8)
    ink[0, row, 8:56] = 255
    return ink


def test_distances_are_those_of_the_lines():
    near, far = fit_error(a_line(20.5), ink_of(20)), fit_error(a_line(20.5), ink_of(25))
    assert near.ink_to_curve == pytest.approx(0, abs=0.2)
    assert near.curve_to_ink == pytest.approx(0.25, abs=0.1)  # between pixel centres
    assert far.ink_to_curve == pytest.approx(5, abs=0.1)
    assert far.curve_to_ink == pytest.approx(5, abs=0.1)
    assert near.rendered_discrepancy < 0.05
    assert far.rendered_discrepancy > 1


def test_nearest_distances_are_those_of_all_pairs():
    generator = np.random.default_rng(0)
    points, others = generator.uniform(0, 60, (80, 2)), generator.uniform(0, 40, (150, 2))
    exact = np.linalg.norm(points[:, None] - others[None], axis=-1)
    there, back = nearest_distances(points, others)
    np.testing.assert_allclose(there, exact.min(1))
    np.testing.assert_allclose(back, exact.min(0))


def test_missing_curves_and_missing_ink_cost_a_frame_width():
    nothing = CurveSequence(np.zeros((1, 1, 2, 2)), np.zeros((1, 1)))
    assert fit_error(nothing, ink_of(20)) == pytest.approx((64, 0, 1))
    assert fit_error(a_line(20.5), np.zeros((1, 64, 64), np.uint8))[:2] == (0, 64)
    assert fit_error(nothing, np.zeros((1, 64, 64), np.uint8)) == (0, 0, 0)


def test_what_curves_do_outside_of_the_frame_is_no_distance_from_the_ink():
    leaving = CurveSequence(np.array([[[[1.0, -0.875], [20.5 / 64, 0.0]]]]), np.ones((1, 1)))  # to column 120 of 64
    ink = ink_of(20)
    ink[0, 20, 8:] = 255
    assert fit_error(leaving, ink).curve_to_ink == pytest.approx(0.25, abs=0.1)
    assert fit_error(leaving, ink).ink_to_curve == pytest.approx(0, abs=0.2)
    outside = CurveSequence(np.array([[[[2.0, -0.5], [0.5, 0.0]]]]), np.ones((1, 1)))
    assert fit_error(outside, ink).curve_to_ink == 0, "nothing is drawn"
    assert fit_error(outside, ink).ink_to_curve > 32


def test_discrepancy_grows_with_the_displacement():
    errors = [rendered_discrepancy(ink_of(20), ink_of(20 + shift)) for shift in range(5)]
    assert errors[0] == 0
    assert errors == sorted(errors)


def moving_circles(shift: float, frames: int = 3) -> np.ndarray:
    """Two circles of 10 px, 40 px apart, that move ``shift`` px to the right a frame: (T, 2, 64, 2)."""
    angle = np.linspace(0, 2 * np.pi, 64)
    circle = 10 * np.stack([np.cos(angle), np.sin(angle)], 1)
    centres = np.array([[20.0, 20.0], [20.0, 60.0]]) + np.arange(frames)[:, None, None] * [shift, 0.0]
    return centres[:, :, None] + circle


def test_displacement_is_the_motion_of_strokes_that_both_frames_show():
    visible = np.array([[True, True], [True, False], [True, True]])
    np.testing.assert_allclose(displacement(moving_circles(5), visible), [5, 5])
    together = np.array([True, False])
    np.testing.assert_allclose(displacement(moving_circles(5), np.ones((3, 2), bool), together), [5, 5])


def test_what_the_video_moves_is_not_the_strokes_own_displacement():
    points, visible = moving_circles(5), np.ones((3, 2), bool)
    flow = np.zeros((2, 80, 80, 2))
    flow[:, :40] = (5, 0)  # only the upper circle's part of the video moves
    np.testing.assert_allclose(displacement(points, visible, flow=flow), [0, 5, 0, 5], atol=1e-9)
    outside = points + 1000
    np.testing.assert_allclose(displacement(outside, visible, flow=flow), 5)


def test_motion_of_a_line_along_itself_does_not_count_across():
    line = np.stack([np.linspace(20, 50, 31), np.linspace(20, 60, 31)], 1)
    unit = np.array([3.0, 4.0]) / 5
    points = np.stack([line, line + 7 * unit, line + 7 * unit + 2 * unit[::-1] * (1, -1)])[:, None]
    visible = np.ones((3, 1), bool)
    np.testing.assert_allclose(displacement(points, visible), [7, 2])
    np.testing.assert_allclose(displacement(points, visible, across=True), [0, 2], atol=1e-9)
    stands = np.repeat(points[:1], 2, axis=0)
    flow = np.broadcast_to(5 * unit, (1, 80, 80, 2))
    np.testing.assert_allclose(displacement(stands, visible[:2], flow=flow), 5)
    np.testing.assert_allclose(displacement(stands, visible[:2], flow=flow, across=True), 0, atol=1e-9)


def test_a_stroke_that_turns_in_place_is_displaced():
    points = moving_circles(0, 2)
    points[1] = points[1][:, ::-1]
    assert (displacement(points, np.ones((2, 2), bool)) > 5).all()


def test_kept_is_the_share_of_strokes_that_the_next_frame_shows():
    visible = np.array([[True, True, False], [True, False, True], [True, False, False]])
    assert kept(visible) == 2 / 4
    assert kept(visible, np.array([True, False])) == 1 / 2
    assert kept(visible, np.array([False, False])) == 1
    assert kept(np.zeros((3, 2), bool)) == 1
