"""Strokes of several drawings: which are the same, and which of their points correspond."""

from __future__ import annotations

import numpy as np
import pytest

from sketch2video.curve_vae.linking import aligned_with, is_closed, linked, unlikeness
from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting.series import project, resample, start_canonically

HARMONICS = 16


def outline(shape: str, x: float, y: float, size: float = 0.1, start: float = 0.0) -> np.ndarray:
    """A closed stroke (2, K); ``start``: share of the pen's way at which it starts, from its topmost point."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    if shape == "star":
        radius = 1 + 0.4 * np.cos(5 * angles)
    elif shape == "drop":
        radius = 1 + 0.5 * np.cos(angles) + 0.2 * np.cos(2 * angles + 1)
    else:
        radius = np.ones_like(angles)
    points = radius[:, None] * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    points = resample(start_canonically(points), 400, closed=True)
    points = np.roll(points, -round(start * 400), axis=0)
    return project(size * points + [x, y], HARMONICS, closed=True).astype(np.float32)


def line(x: float, y: float, dx: float, dy: float, bend: float = 0.0) -> np.ndarray:
    """An open stroke (2, K) from (x - dx, y - dy) to (x + dx, y + dy)."""
    way = np.linspace(-1, 1, 200)
    points = np.stack([x + way * dx, y + way * dy + bend * (1 - way**2) * (1 + way)], axis=1)
    return project(points, HARMONICS).astype(np.float32)


def points(stroke: np.ndarray, n: int = 100) -> np.ndarray:
    return stroke @ cosines(n, HARMONICS).T


def pairs(*drawings: list[np.ndarray], most: int = 8) -> list[list[tuple[int, int]]]:
    """For each stroke of the clip, drawing and index of the strokes that were linked, found by their middles."""
    found = []
    for stroke in linked([np.stack(drawing) for drawing in drawings], most):
        found.append(
            [
                (d, int(np.argmin([np.abs(one[:, 0] - series[:, 0]).sum() for one in drawings[d]])))
                for d, series in stroke.items()
            ]
        )
    return sorted(found)


def test_strokes_that_moved_far_are_linked_by_their_shapes() -> None:
    first = [outline("star", 0.2, 0.5), outline("drop", 0.8, 0.5)]
    last = [outline("drop", 0.25, 0.5), outline("star", 0.85, 0.5)]
    assert pairs(first, last) == [[(0, 0), (1, 1)], [(0, 1), (1, 0)]]


def test_equal_shapes_are_linked_by_the_shorter_way() -> None:
    first = [outline("round", 0.2, 0.2), outline("round", 0.8, 0.8)]
    last = [outline("round", 0.75, 0.7), outline("round", 0.3, 0.2)]
    assert pairs(first, last) == [[(0, 0), (1, 1)], [(0, 1), (1, 0)]]


def test_an_outline_that_grows_is_the_same_stroke_and_another_shape_is_another_one() -> None:
    assert pairs([outline("star", 0.5, 0.5, 0.08)], [outline("star", 0.5, 0.5, 0.2)]) == [[(0, 0), (1, 0)]]
    assert pairs([outline("star", 0.2, 0.2)], [line(0.7, 0.6, 0.2, 0.1)]) == [[(0, 0)], [(1, 0)]]


def test_where_a_clip_can_have_no_more_strokes_they_are_continued_however_much_they_change() -> None:
    first, last = [outline("star", 0.2, 0.2)], [line(0.7, 0.6, 0.2, 0.1)]
    assert pairs(first, last, most=1) == [[(0, 0), (1, 0)]]
    three = [outline("star", 0.2, 0.2)], [line(0.7, 0.6, 0.2, 0.1)], [outline("star", 0.3, 0.2)]
    assert pairs(*three, most=1) == [[(0, 0), (1, 0), (2, 0)]]
    assert pairs(*three, most=2) == [[(0, 0), (2, 0)], [(1, 0)]], "a stroke may be hidden in one drawing"


def test_a_drawing_with_too_many_strokes_is_refused() -> None:
    with pytest.raises(ValueError, match="2 strokes, more than the 1"):
        linked([np.stack([line(0.2, 0.2, 0.1, 0.1)] * 2)], 1)


@pytest.mark.parametrize("shape", ["star", "drop"])
@pytest.mark.parametrize("start", [0.1, 0.37, 0.8])
def test_outlines_correspond_point_by_point_wherever_they_start(shape: str, start: float) -> None:
    one, other = outline(shape, 0.3, 0.3), outline(shape, 0.7, 0.6, 0.2, start if shape == "drop" else start / 5)
    aligned = aligned_with(one, other)
    assert is_closed(aligned)
    expected = 2 * (points(one) - [[0.3], [0.3]]) + [[0.7], [0.6]]
    assert np.abs(points(aligned) - expected).max() < 0.02
    assert unlikeness(one, aligned) < unlikeness(one, other)


def test_open_strokes_run_in_the_same_direction() -> None:
    one, other = line(0.3, 0.3, 0.1, 0.02, 0.05), line(0.6, 0.7, 0.1, 0.02, 0.05)
    backwards = project(points(other, 400).T[::-1], HARMONICS).astype(np.float32)
    np.testing.assert_allclose(points(aligned_with(one, backwards)), points(other), atol=3e-3)
    np.testing.assert_array_equal(aligned_with(one, other), other)


def test_the_start_is_that_of_the_median_outline() -> None:
    """As tracked clips have it: the first drawing starts elsewhere, and all are restarted alike."""
    drawings = [outline("drop", 0.3, 0.3, start=0.4), outline("drop", 0.5, 0.5), outline("drop", 0.7, 0.5, start=0.7)]
    (stroke,) = linked([drawing[None] for drawing in drawings], 1)
    for series, (x, y) in zip(stroke.values(), [(0.3, 0.3), (0.5, 0.5), (0.7, 0.5)], strict=True):
        assert np.abs(points(series) - points(outline("drop", x, y))).max() < 0.01


def test_the_cost_of_shapes_is_the_distance_of_their_points() -> None:
    one, other = outline("star", 0.5, 0.5), outline("drop", 0.5, 0.5)
    shapes = [stroke @ cosines(4000, HARMONICS, midpoints=True).T for stroke in (one, other)]
    shapes = [shape - shape.mean(1, keepdims=True) for shape in shapes]
    shapes = [shape / np.sqrt((shape**2).sum(0).mean()) for shape in shapes]
    distance = np.sqrt(((shapes[0] - shapes[1]) ** 2).sum(0).mean())
    sizes = [np.sqrt((stroke[:, 1:] ** 2).sum() / 2) for stroke in (one, other)]
    far = np.hypot(*(one - other)[:, 0])
    expected = distance + 0.25 * abs(np.log(sizes[0] / sizes[1])) + 0.2 * far / (far + 1 / 16)
    assert unlikeness(one, other) == pytest.approx(expected, abs=1e-4)


def test_a_new_start_does_not_move_the_line() -> None:
    one, other = outline("drop", 0.5, 0.5, 0.3), outline("drop", 0.4, 0.6, 0.25, start=0.37)
    aligned = points(aligned_with(one, other), 50).T
    gaps = np.linalg.norm(aligned[:, None] - points(other, 4000).T, axis=-1).min(1)
    assert gaps.mean() < 5e-3  # a series of 16 harmonics rounds a closed line where it starts
    assert gaps.max() < 0.02
