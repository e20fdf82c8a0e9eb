from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sketch2video.curves import CurveSequence
from sketch2video.curves.fitting.hand_drawn import HandDrawn, fit_hand_drawn


def points_of(stroke: HandDrawn, n: int = 400) -> np.ndarray:
    return CurveSequence(stroke.coefficients[None, None], np.ones((1, 1))).points(n)[0, 0]


def circle(start: float, turn: float, radius: float = 0.2, trembling: float = 0.0) -> np.ndarray:
    angles = start + np.linspace(0, turn, 150)
    noise = np.random.default_rng(0).normal(0, trembling, (150, 2))
    return 0.5 + radius * np.stack([np.cos(angles), np.sin(angles)], 1) + noise


@pytest.mark.parametrize("start", [0.0, 2.0, -1.0])
@pytest.mark.parametrize("turn", [6.2, -6.2])
def test_an_outline_is_closed_clockwise_from_its_top(start: float, turn: float) -> None:
    stroke = fit_hand_drawn(circle(start, turn))
    assert stroke.closed
    points = points_of(stroke)
    assert np.allclose(points[0], points[-1], atol=1e-6)
    assert np.abs(np.linalg.norm(points - 0.5, axis=1) - 0.2).max() < 0.01
    top = points_of(fit_hand_drawn(circle(-np.pi / 2, 2 * np.pi)))[0]
    assert np.linalg.norm(points[0] - top) < 0.03
    assert points[20, 0] > points[0, 0]  # clockwise on screen


def test_trembling_costs_few_numbers() -> None:
    steady, trembling = fit_hand_drawn(circle(0, 6.28)), fit_hand_drawn(circle(0, 6.28, trembling=0.0005))
    assert steady.numbers <= 40
    assert trembling.numbers <= 64
    assert np.abs(np.linalg.norm(points_of(trembling) - 0.5, axis=1) - 0.2).max() < 0.005


def test_the_ends_of_an_open_stroke_stay_and_it_runs_to_the_right() -> None:
    u = np.linspace(0, 1, 80)
    line = np.stack([0.9 - 0.8 * u, 0.5 + 0.2 * np.sin(5 * u)], 1)
    stroke = fit_hand_drawn(line)
    assert not stroke.closed
    points = points_of(stroke)
    assert np.allclose(points[[0, -1]], line[[-1, 0]], atol=1e-6)
    assert cKDTree(points).query(line)[0].max() < 0.003


def test_a_straight_line_takes_few_numbers_and_its_pen_position_is_arc_length() -> None:
    stroke = fit_hand_drawn(np.array([[0.2, 0.2], [0.25, 0.25], [0.8, 0.8]]))
    steps = np.linalg.norm(np.diff(points_of(stroke, 50), axis=0), axis=1)
    assert stroke.numbers <= 26
    assert steps[3:-3].max() < 1.35 * steps[3:-3].min()


def test_closing_can_be_asked_for_and_refused() -> None:
    half = circle(0, 3.0)
    closed = points_of(fit_hand_drawn(half, closed=True))
    assert np.allclose(closed[0], closed[-1], atol=1e-6)
    assert not fit_hand_drawn(circle(0, 6.2), closed=False).closed


def test_a_line_to_and_fro_is_no_outline() -> None:
    there = np.linspace([0.2, 0.5], [0.8, 0.52], 50)
    assert not fit_hand_drawn(np.concatenate([there, there[::-1]])).closed


def test_a_corner_stays_a_corner() -> None:
    corners = np.array([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]])
    square = np.concatenate([np.linspace(a, b, 40) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
    stroke = fit_hand_drawn(square)
    assert stroke.closed
    assert cKDTree(points_of(stroke, 2000)).query(square)[0].max() < 0.02


def test_points_that_repeat_do_not_matter() -> None:
    line = np.linspace([0.1, 0.1], [0.9, 0.3], 30)
    assert np.array_equal(fit_hand_drawn(np.repeat(line, 3, axis=0)).coefficients, fit_hand_drawn(line).coefficients)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.full((9, 2), 0.5), np.array([[0.5, 0.5], [0.5001, 0.5]])])
def test_a_dot_is_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="only a dot"):
        fit_hand_drawn(points)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_hand_drawn(np.array([[0.0, np.nan], [1, 1]]))
