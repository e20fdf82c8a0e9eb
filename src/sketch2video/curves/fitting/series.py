"""Lines as cosine series: arc length, projection, and truncation errors.

On the midpoint grid u_j = (j + 1/2) / n the functions cos(k pi u) are orthogonal, so that the least-squares
coefficients of a line sampled there are its type-II discrete cosine transform, and by Parseval the squared error of
truncation at K harmonics is half the sum of the squares of the others.
"""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled
from sketch2video.curves.equation.sequence import cosines

POINTS = 64
"""Smallest number of pen positions of a stroke that are compared with the ink."""

LEFT = 1 / 3
"""Tilt to the left of the upward direction, so that an outline with a level top edge starts at its left corner."""


def resample(points: np.ndarray, n: int, closed: bool) -> np.ndarray:
    """``n`` points at the midpoints of equal arcs of a polyline: (m, 2) -> (n, 2); including the closing segment."""
    return _resampled(np.ascontiguousarray(points, np.float64), n, closed)


@compiled
def _resampled(points: np.ndarray, n: int, closed: bool) -> np.ndarray:
    count = len(points) + closed
    along = np.zeros(count)
    for i in range(1, count):
        right, down = points[i % len(points), 0] - points[i - 1, 0], points[i % len(points), 1] - points[i - 1, 1]
        along[i] = along[i - 1] + np.sqrt(right * right + down * down)
    found, i = np.empty((n, 2)), 0
    for j in range(n):
        at = (j + 0.5) / n * along[-1]
        while i < count - 2 and along[i + 1] <= at:
            i += 1
        step = along[i + 1] - along[i] if count > 1 else 0.0
        part = (at - along[i]) / step if step > 0 else 0.0
        following = (i + 1) % len(points)
        for axis in range(2):
            found[j, axis] = points[i, axis] + part * (points[following, axis] - points[i, axis])
    return found


def project(samples: np.ndarray, harmonics: int, closed: bool = False) -> np.ndarray:
    """Least-squares coefficients of lines sampled on the midpoint grid: (..., n, 2) -> (..., 2, harmonics).

    With ``closed`` the series ends exactly where it starts: x(0) - x(1) is twice the sum of the odd coefficients, and
    the nearest coefficients for which it vanishes are those minus an equal share of that sum.
    """
    n = samples.shape[-2]
    coefficients = 2.0 / n * np.matmul(samples.swapaxes(-1, -2), cosines(n, harmonics, midpoints=True))
    coefficients[..., 0] /= 2.0
    return close(coefficients) if closed else coefficients


def grid_size(harmonics: int) -> int:
    """n, pen positions of the midpoint grid on which strokes with so many harmonics are compared."""
    return max(POINTS, 2 * harmonics)


def samples(coefficients: np.ndarray) -> np.ndarray:
    """Points (..., n, 2) of strokes (..., 2, K) on the midpoint grid; a view with contiguous x and y."""
    return sampled_planes(coefficients).swapaxes(-1, -2)


def sampled_planes(coefficients: np.ndarray) -> np.ndarray:
    """Points of strokes (..., 2, K) on the midpoint grid, as contiguous x and y: (..., 2, n)."""
    harmonics = coefficients.shape[-1]
    basis = cosines(grid_size(harmonics), harmonics, midpoints=True)
    # One product of two matrices takes a quarter of the time of a product for each stroke.
    return np.asarray((coefficients.reshape(-1, harmonics) @ basis.T).reshape(*coefficients.shape[:-1], len(basis)))


def planes(points: np.ndarray) -> np.ndarray:
    """Points (..., n, 2) as contiguous float64 (..., 2, n); not a copy if they are such planes with swapped axes."""
    return np.ascontiguousarray(points.swapaxes(-1, -2), np.float64)


def lengths(coefficients: np.ndarray) -> np.ndarray:
    """Lengths (...) of strokes (..., 2, K), between the ends of the midpoint grid."""
    return polyline_lengths(samples(coefficients))


def polyline_lengths(points: np.ndarray) -> np.ndarray:
    """Lengths (...) of polylines (..., n, 2)."""
    return plane_lengths(planes(points))


def plane_lengths(lines: np.ndarray) -> np.ndarray:
    """Lengths (...) of polylines as contiguous x and y (..., 2, n)."""
    return np.asarray(_lengths(lines.reshape(-1, *lines.shape[-2:])).reshape(lines.shape[:-2]))


@compiled
def _lengths(lines: np.ndarray) -> np.ndarray:
    """Lengths (M,) of polylines (M, 2, n)."""
    total = np.zeros(len(lines))
    for line in range(len(lines)):
        for j in range(1, lines.shape[2]):
            right, down = lines[line, 0, j] - lines[line, 0, j - 1], lines[line, 1, j] - lines[line, 1, j - 1]
            total[line] += np.sqrt(right * right + down * down)
    return total


def close(coefficients: np.ndarray) -> np.ndarray:
    """The nearest coefficients (..., 2, K) whose curve ends where it starts."""
    coefficients = coefficients.copy()
    odd = coefficients[..., 1::2]
    if odd.size:
        used = odd != 0
        odd -= used * (odd.sum(-1, keepdims=True) / np.maximum(used.sum(-1, keepdims=True), 1))
    return coefficients


def start_canonically(points: np.ndarray) -> np.ndarray:
    """A closed polyline (n, 2), oriented clockwise on screen and started at its topmost point.

    Topmost is tilted slightly to the left (:data:`LEFT`): the top edge of a square starts at its left corner,
    independent of the pixels of that edge.
    """
    x, y = points[:, 0], points[:, 1]
    area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()  # y points down: positive is clockwise
    if area < 0:
        points = points[::-1]
    return np.roll(points, -int(np.argmin(points[:, 1] + LEFT * points[:, 0])), axis=0)


def direct_canonically(points: np.ndarray) -> np.ndarray:
    """An open polyline (n, 2), drawn from its left end, or from its upper end if it is rather vertical."""
    span = points[-1] - points[0]
    forward = span[0] > 0 if abs(span[0]) > abs(span[1]) else span[1] > 0
    return points if forward else points[::-1]
