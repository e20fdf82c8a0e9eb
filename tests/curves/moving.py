"""A clip of strokes that move, are born and die, and a test whether others draw it."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import cKDTree

from sketch2video.curves import CurveSequence, Equation

WIDTH, HEIGHT = 320, 180


def clip(frames: int = 12, colours: np.ndarray | None = None) -> Equation:
    """Three strokes on curved ways; the second is born at frame 4, the third dies at frame 5 and returns at 8."""
    rng = np.random.default_rng(0)
    shapes = rng.normal(0, 0.1, (3, 3, 2, 10)) / (1 + np.arange(10)) ** 1.5
    shapes[..., 0] = rng.uniform((0.3, 0.2), (0.7, 0.4), (3, 3, 2))
    share = ((np.arange(frames) + 0.5) / frames)[:, None, None, None]
    coefficients = shapes[0] * (1 - share) ** 2 + shapes[1] * 2 * share * (1 - share) + shapes[2] * share**2
    visibility = np.ones((frames, 3))
    visibility[:4, 1] = 0
    visibility[5:8, 2] = 0
    return Equation(CurveSequence(coefficients, visibility), HEIGHT, WIDTH, 6.0, colours=colours)


def check_frame(points: np.ndarray, equation: Equation, frame: int, tolerance: float = 0.5) -> None:
    """Strokes (M, n, 2), in frame widths with y up, lie on those of a frame, and nothing is missing."""
    shown = equation.curves.visible[frame]
    assert len(points) == shown.sum()
    upright = np.stack([points[..., 0], equation.height / equation.width - points[..., 1]], axis=-1)
    drawn = upright.reshape(-1, 2) * equation.width
    wanted = equation.curves.points(2000)[frame][shown].reshape(-1, 2) * equation.width
    assert cKDTree(wanted).query(drawn)[0].max() < tolerance
    dense = np.concatenate([np.linspace(a, b, 8) for stroke in upright for a, b in itertools.pairwise(stroke)])
    assert cKDTree(dense * equation.width).query(wanted)[0].max() < tolerance


def times(equation: Equation) -> list[float]:
    """Times in [0, 1) of the middles of the frames."""
    frames = len(equation.curves)
    return [(frame + 0.5) / frames for frame in range(frames)]
