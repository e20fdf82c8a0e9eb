import numpy as np
import pytest

from benchmarks.truth import (
    agreement,
    motion_residual,
    outline_distances,
    signed_area,
    start_and_direction,
    strokes_an_outline,
)

VISIBLE = np.ones((4, 1), bool)


def ring(n: int = 128, radius: float = 10.0) -> np.ndarray:
    """A circle that starts at its top and goes round clockwise to the eye."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False) - np.pi / 2
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def moving(shift: float, n: int = 128) -> np.ndarray:
    """A circle in four frames: (4, 1, n, 2)."""
    return ring(n) + 50 + np.arange(4)[:, None, None, None] * [shift, 0.0]


def test_strokes_that_move_as_their_object_does_have_no_residual():
    assert motion_residual(moving(19), VISIBLE, moving(19)) == pytest.approx(0)
    np.testing.assert_allclose(motion_residual(moving(19), VISIBLE, moving(16)), 3)


def test_sliding_along_the_outline_is_a_residual():
    turned = np.stack([np.roll(frame, 16 * t, axis=1) for t, frame in enumerate(moving(0))])
    chord = 2 * 10 * np.sin(np.pi / 8)
    np.testing.assert_allclose(motion_residual(turned, VISIBLE, moving(0)), chord)


def test_strokes_are_counted_for_each_outline():
    visible = np.array([[True, True, False], [True, True, True]])
    assert strokes_an_outline(visible, np.zeros((2, 2, 8, 2))) == 1.25


def test_start_and_direction_are_those_of_the_stroke_whatever_the_size_and_place():
    for size, place in ((1.0, 0.0), (3.0, 40.0)):
        outline = size * moving(2)[:, 0] + place
        start, direction = start_and_direction(outline[:, None], VISIBLE, outline)
        np.testing.assert_allclose(start, [0, -1], atol=1e-6)
        assert direction == 1
        assert start_and_direction(outline[:, None, ::-1], VISIBLE, outline)[1] == -1
    assert start_and_direction(outline[:, None], ~VISIBLE, outline) is None


def test_agreement_counts_starts_elsewhere_other_directions_and_missing_strokes():
    top, right = np.array([0.0, -1.0]), np.array([1.0, 0.0])
    assert agreement([(top, 1), (top + 0.1, 1), (top, 1)]) == 1
    assert agreement([(top, 1), (top, 1), (top, -1), (right, 1), None]) == pytest.approx(2 / 5)
    assert agreement([None]) == 0


def test_area_is_positive_clockwise():
    assert signed_area(ring(1000)) == pytest.approx(np.pi * 100, rel=1e-3)


def test_distances_to_outlines_are_those_of_a_larger_circle():
    angle = np.arange(128) / 128 * 2 * np.pi
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    outlines = np.tile(30 + 10 * circle, (2, 1, 1, 1))
    points = np.tile(30 + 10.5 * circle, (2, 3, 1, 1))
    visible = np.array([[True, False, False], [False, False, False]])
    assert outline_distances(points, visible, outlines) == pytest.approx((0.5, 0.5), abs=0.03)
    half = points[:, :, :64]
    there, back = outline_distances(half, visible, outlines)
    assert there == pytest.approx(0.5, abs=0.02)
    assert back > 5
    assert np.isnan(outline_distances(points, visible & False, outlines)).all()
