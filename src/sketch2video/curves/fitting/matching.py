"""Compiled loops over the points of strokes and the ink of a frame; :mod:`.registration` says what they are for.

Points of M strokes are planes (M, 2, n): x and y of a stroke are contiguous.
"""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled


@compiled
def targets_of_points(
    points: np.ndarray,
    ink: np.ndarray,
    distance: np.ndarray,
    index: np.ndarray,
    nearest: np.ndarray,
    reach: float,
    most: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Target of each point: the mean of the ink that is nearest to it, or else the ink in reach that is nearest.

    A point is not attracted by ink that is nearer to another stroke: an occluded part of a stroke keeps its form.

    Args:
        points: (M, 2, n) px.
        ink: (N, 2) px.
        distance: (N,) px, of the ink to the nearest point.
        index: (N,) of that point among all M n; -1: none.
        nearest: (H, W), index of the ink nearest to each pixel.
        reach: px.
        most: px, at which distances are clipped.

    Returns:
        Weights (M, n), targets (M, 2, n), and the mean of the clipped distances.
    """
    count, _, n = points.shape
    height, width = nearest.shape
    weight, target = np.zeros((count, n)), np.zeros((count, 2, n))
    owner = np.full(len(ink), -1)
    total = 0.0
    for i in range(len(ink)):
        total += min(distance[i], most)
        if index[i] >= 0:
            stroke = index[i] // n
            j = index[i] - stroke * n
            owner[i] = stroke
            weight[stroke, j] += 1.0
            target[stroke, 0, j] += ink[i, 0]
            target[stroke, 1, j] += ink[i, 1]
    for stroke in range(count):
        for j in range(n):
            pulls = weight[stroke, j]
            if pulls > 0:
                target[stroke, 0, j] /= pulls
                target[stroke, 1, j] /= pulls
                weight[stroke, j] = min(pulls, 3.0)
                continue
            x, y = points[stroke, 0, j], points[stroke, 1, j]
            i = nearest[int(min(max(y, 0.0), height - 1.0)), int(min(max(x, 0.0), width - 1.0))]
            near = np.sqrt((ink[i, 0] - x) ** 2 + (ink[i, 1] - y) ** 2) <= reach
            if near and (owner[i] < 0 or owner[i] == stroke):
                weight[stroke, j] = 0.5
                target[stroke, 0, j] = ink[i, 0]
                target[stroke, 1, j] = ink[i, 1]
    return weight, target, total / len(ink)


@compiled
def moved_towards(
    coefficients: np.ndarray, points: np.ndarray, weight: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotate, scale and shift strokes by the similarities z -> a z + b, in complex numbers, that bring their points
    nearest to the targets in the weighted mean square; strokes with few targets stay.

    Args:
        coefficients: (M, 2, K) px.
        points: (M, 2, n) px.
        weight: (M, n) of the targets.
        target: (M, 2, n) px.

    Returns:
        Coefficients and points of the moved strokes.
    """
    moved, moved_points = np.empty_like(coefficients), np.empty_like(points)
    for stroke in range(len(coefficients)):
        x, y, u, v = points[stroke, 0], points[stroke, 1], target[stroke, 0], target[stroke, 1]
        total, x0, y0, u0, v0 = 1e-9, 0.0, 0.0, 0.0, 0.0
        for j in range(len(x)):
            w = weight[stroke, j]
            total += w
            x0 += w * x[j]
            y0 += w * y[j]
            u0 += w * u[j]
            v0 += w * v[j]
        x0, y0, u0, v0 = x0 / total, y0 / total, u0 / total, v0 / total
        spread, real, imaginary = 0.0, 0.0, 0.0
        for j in range(len(x)):
            w, dx, dy, du, dv = weight[stroke, j], x[j] - x0, y[j] - y0, u[j] - u0, v[j] - v0
            spread += w * (dx * dx + dy * dy)
            real += w * (dx * du + dy * dv)
            imaginary += w * (dx * dv - dy * du)
        hold = 0.1 * spread + 1e-6  # towards a = 1: with little evidence, a stroke is only shifted
        if total > 2:
            real, imaginary = (real + hold) / (spread + hold), imaginary / (spread + hold)
        else:
            real, imaginary, u0, v0 = 1.0, 0.0, x0, y0
        for k in range(coefficients.shape[2]):
            a, b = coefficients[stroke, 0, k], coefficients[stroke, 1, k]
            moved[stroke, 0, k] = real * a - imaginary * b
            moved[stroke, 1, k] = real * b + imaginary * a
        right, down = u0 - (real * x0 - imaginary * y0), v0 - (real * y0 + imaginary * x0)
        moved[stroke, 0, 0] += right
        moved[stroke, 1, 0] += down
        for j in range(len(x)):
            moved_points[stroke, 0, j] = real * x[j] - imaginary * y[j] + right
            moved_points[stroke, 1, j] = real * y[j] + imaginary * x[j] + down
    return moved, moved_points


@compiled
def misfits(points: np.ndarray, offsets: np.ndarray, distance: np.ndarray, most: float) -> np.ndarray:
    """Mean clipped distance to the ink of points (M, 2, n) after every shift of offsets (D,) right and (D,) down.

    Args:
        points: px.
        offsets: px.
        distance: (H, W) px, of each pixel to the ink; it keeps growing outside the frame.
        most: px, at which distances are clipped.

    Returns:
        (M, D, D) px; the first D is of shifts to the right.
    """
    count, _, n = points.shape
    height, width = distance.shape
    sums = np.zeros((count, len(offsets), len(offsets)))
    rows, below = np.empty(len(offsets), np.int64), np.empty(len(offsets))
    for stroke in range(count):
        for j in range(n):
            for d in range(len(offsets)):
                y = points[stroke, 1, j] + offsets[d]
                rows[d], below[d] = int(min(max(y, 0.0), height - 1.0)), max(0.0, max(-y, y - height))
            for right in range(len(offsets)):
                x = points[stroke, 0, j] + offsets[right]
                column, beside = int(min(max(x, 0.0), width - 1.0)), max(0.0, max(-x, x - width))
                for down in range(len(offsets)):
                    apart = distance[rows[down], column] + (beside + below[down])
                    sums[stroke, right, down] += min(apart, most)
    return sums / n


@compiled
def best_shifts(
    apart: np.ndarray, offsets: np.ndarray, share: np.ndarray, reluctance: float, own: np.ndarray
) -> np.ndarray:
    """The shift with the smallest misfit for each of M strokes, near to the best common one.

    Args:
        apart: (M, D, D) px, misfits; see :func:`misfits`.
        offsets: (D,) px.
        share: (M,), of each stroke in the common misfit.
        reluctance: misfit in px for a pixel of the common shift.
        own: (M,), misfit in px for a pixel of each stroke's deviation from the common shift.

    Returns:
        (M, 2) px.
    """
    count, size, _ = apart.shape
    best, right, down = np.inf, 0.0, 0.0
    for i in range(size):
        for j in range(size):
            misfit = reluctance * np.sqrt(offsets[i] ** 2 + offsets[j] ** 2)
            for stroke in range(count):
                misfit += share[stroke] * apart[stroke, i, j]
            if misfit < best:
                best, right, down = misfit, offsets[i], offsets[j]
    shift = np.zeros((count, 2))
    for stroke in range(count):
        best = np.inf
        for i in range(size):
            for j in range(size):
                aside = np.sqrt((offsets[i] - right) ** 2 + (offsets[j] - down) ** 2)
                misfit = apart[stroke, i, j] + own[stroke] * aside
                if misfit < best:
                    best = misfit
                    shift[stroke, 0], shift[stroke, 1] = offsets[i], offsets[j]
    return shift


@compiled
def distances_to_ink(
    points: np.ndarray, distance: np.ndarray, reach: float, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the ink of points (M, 2, n), as in :func:`misfits`.

    Returns:
        The share of each stroke's points within ``reach`` px, and the mean of their distances clipped at ``most`` px:
        (M,) each.
    """
    height, width = distance.shape
    count, _, n = points.shape
    near, apart = np.zeros(count), np.zeros(count)
    for stroke in range(count):
        for j in range(n):
            x, y = points[stroke, 0, j], points[stroke, 1, j]
            outside = max(0.0, max(-x, x - width)) + max(0.0, max(-y, y - height))
            row, column = int(min(max(y, 0.0), height - 1.0)), int(min(max(x, 0.0), width - 1.0))
            here = distance[row, column] + outside
            near[stroke] += here <= reach
            apart[stroke] += min(here, most)
    return near / n, apart / n


@compiled
def shares_on(points: np.ndarray, height: int, width: int, mask: np.ndarray, top: int, left: int) -> np.ndarray:
    """The share (M,) of the points (M, 2, n) of each stroke that are on a mask.

    Args:
        points: px; those outside of the frame are taken for points at its border.
        height, width: of the frame.
        mask: bool, a part of the frame.
        top, left: row and column of its first pixel.
    """
    count, _, n = points.shape
    rows, columns = mask.shape
    on = np.zeros(count)
    for stroke in range(count):
        for j in range(n):
            row = int(min(max(points[stroke, 1, j], 0.0), height - 1.0)) - top
            column = int(min(max(points[stroke, 0, j], 0.0), width - 1.0)) - left
            if 0 <= row < rows and 0 <= column < columns:
                on[stroke] += mask[row, column]
    return on / n
