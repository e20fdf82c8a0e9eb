import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_error
from sketch2video.curves.measure import rendered_discrepancy


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


def test_missing_curves_and_missing_ink_cost_a_frame_width():
    nothing = CurveSequence(np.zeros((1, 1, 2, 2)), np.zeros((1, 1)))
    assert fit_error(nothing, ink_of(20)) == pytest.approx((64, 0, 1))
    assert fit_error(a_line(20.5), np.zeros((1, 64, 64), np.uint8))[:2] == (0, 64)
    assert fit_error(nothing, np.zeros((1, 64, 64), np.uint8)) == (0, 0, 0)


def test_discrepancy_grows_with_the_displacement():
    errors = [rendered_discrepancy(ink_of(20), ink_of(20 + shift)) for shift in range(5)]
    assert errors[0] == 0
    assert errors == sorted(errors)
