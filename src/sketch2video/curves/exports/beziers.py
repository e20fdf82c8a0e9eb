"""Cosine sums as cubic Bézier curves, which other programs draw."""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.sequence import cosines

PIECES = 2
"""Bézier curves a harmonic: they stay within a hundredth of the stroke's finest wave."""


def beziers(coefficients: np.ndarray, pieces: int) -> np.ndarray:
    """Control points: piece by piece a Bézier has the ends and the end tangents of the cosine sum.

    Args:
        coefficients: (S, 2, K).
        pieces: Bézier curves a stroke, ``PIECES`` times K for accuracy.

    Returns:
        (S, 1 + 3 pieces, 2): a start, and for each piece two control points and its end.
    """
    k = np.pi * np.arange(coefficients.shape[-1])
    u = np.linspace(0, 1, pieces + 1)
    ends = np.matmul(coefficients, cosines(pieces + 1, len(k)).T).swapaxes(1, 2)
    third = np.matmul(coefficients, (-k * np.sin(np.outer(u, k))).T).swapaxes(1, 2) / (3 * pieces)
    controls = np.stack([ends[:, :-1], ends[:, :-1] + third[:, :-1], ends[:, 1:] - third[:, 1:]], axis=2)
    return np.concatenate([controls.reshape(len(coefficients), 3 * pieces, 2), ends[:, -1:]], axis=1)


def path_data(points: np.ndarray, decimals: int = 2) -> str:
    """The ``d`` of an SVG path of control points (1 + 3 pieces, 2)."""
    pairs = [f"{x:.{decimals}f},{y:.{decimals}f}" for x, y in points]
    return f"M{pairs[0]}" + "".join(f" C{' '.join(pairs[i : i + 3])}" for i in range(1, len(pairs), 3))
