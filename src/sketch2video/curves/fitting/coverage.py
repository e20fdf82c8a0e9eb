"""Compiled loops over the ink of a shot, and over strokes in its frames; :mod:`.lives` says what they are for."""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled


@compiled
def without_ink(
    points: np.ndarray, frames: np.ndarray, distance: np.ndarray, inside: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count the points of strokes without ink.

    Args:
        points: (L, 2, n) px.
        frames: (L,), of each stroke.
        distance: (T, H, W) px, of each pixel to the ink; it keeps growing outside the frame.
        inside: (T, H, W) bool, pixels where a stroke may be occluded.
        reach: px, within which a point has ink.

    Returns:
        Numbers of points (L,) without ink, and of those among them that cannot be occluded.
    """
    _, height, width = distance.shape
    bare, open_ = np.zeros(len(points), np.int64), np.zeros(len(points), np.int64)
    for i in range(len(points)):
        for j in range(points.shape[2]):
            x, y = points[i, 0, j], points[i, 1, j]
            outside = max(0.0, max(-x, x - width)) + max(0.0, max(-y, y - height))
            row, column = int(min(max(y, 0.0), height - 1.0)), int(min(max(x, 0.0), width - 1.0))
            if distance[frames[i], row, column] + outside > reach:
                bare[i] += 1
                open_[i] += not inside[frames[i], row, column]
    return bare, open_


@compiled
def best_run(
    drawn: np.ndarray, left: np.ndarray, starts: np.ndarray, cost: np.ndarray, again: float
) -> tuple[int, int, float]:
    """The consecutive frames in which a stroke gains most (Kadane's algorithm).

    Args:
        drawn: (N,) bool, ink of L frames that the stroke draws.
        left: (N,) bool, ink that no other stroke draws.
        starts: (L + 1,) index of the first ink of each frame, from that of the first.
        cost: (L,) px, of the stroke.
        again: cost of a pixel of ink that is drawn again.

    Returns:
        The first of the frames, the one after the last, and the gain.
    """
    total, lowest, lowest_at = 0.0, 0.0, 0
    first, end, most = 0, 0, 0.0
    for t in range(len(cost)):
        new, old = 0, 0
        for i in range(starts[t] - starts[0], starts[t + 1] - starts[0]):
            new += drawn[i] & left[i]
            old += drawn[i] & ~left[i]
        total += new - again * old - cost[t]
        if total <= lowest:
            lowest, lowest_at = total, t + 1
        if total - lowest > most:
            first, end, most = lowest_at, t + 1, total - lowest
    return first, end, most
