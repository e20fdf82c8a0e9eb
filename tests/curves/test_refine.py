import cv2
import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_curves, refine_curves
from sketch2video.curves.equation.measure import displacement, rendered_discrepancy


@pytest.fixture(scope="module")
def ink() -> np.ndarray:
    """A circle that moves to the right."""
    pictures = np.zeros((3, 48, 48), np.uint8)
    for t, picture in enumerate(pictures):
        cv2.circle(picture, (20 + 2 * t, 24), 12, 255)
    return pictures


@pytest.fixture(scope="module")
def perturbed(ink) -> CurveSequence:
    """Strokes that were fitted to the circle, then shifted and bent; still closed."""
    fitted = fit_curves(ink, harmonics=16)
    coefficients = fitted.coefficients.copy()
    coefficients[:, 0, 0, 0] += 0.02
    coefficients[:, 0, 1, 2] += 0.02
    return CurveSequence(coefficients, fitted.visibility)


@pytest.fixture(scope="module")
def refined(perturbed, ink) -> CurveSequence:
    return refine_curves(perturbed, ink, steps=40)


def discrepancy(sequence, ink):
    return rendered_discrepancy(sequence.render(*ink.shape[1:]), ink)


def test_the_drawing_comes_nearer_to_the_ink(perturbed, refined, ink):
    assert discrepancy(refined, ink) < 0.5 * discrepancy(perturbed, ink)


def test_no_number_is_added_and_visibility_stays(perturbed, refined):
    assert refined.num_parameters <= perturbed.num_parameters
    assert not refined.coefficients[perturbed.coefficients == 0].any()
    np.testing.assert_array_equal(refined.visibility, perturbed.visibility)


def test_closed_strokes_stay_closed(refined):
    points = refined.points(2)[:, 0]
    np.testing.assert_allclose(points[:, 0], points[:, 1], atol=1e-4)


def test_strokes_move_as_smoothly_as_before(perturbed, refined):
    before, after = (displacement(one.points(64) * 48, one.visible) for one in (perturbed, refined))
    assert np.abs(after - before).max() < 0.3


@pytest.mark.parametrize("learning_rate", [1e-3, 10.0])
def test_it_never_ends_worse_than_it_began(ink, learning_rate):
    fitted = fit_curves(ink)
    assert discrepancy(refine_curves(fitted, ink, steps=5, learning_rate=learning_rate), ink) <= discrepancy(
        fitted, ink
    )


def test_no_steps_and_no_strokes_change_nothing(perturbed, ink):
    assert refine_curves(perturbed, ink, steps=0) is perturbed
    nothing = CurveSequence(np.zeros((3, 2, 2, 4)), np.zeros((3, 2)))
    np.testing.assert_array_equal(refine_curves(nothing, ink, steps=2).coefficients, 0)
