"""Allocation of harmonics to the strokes of a frame."""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled

TOLERANCE = 0.07
"""Root mean square error, in px, below which more harmonics would only fit the staircase of pixels."""

_RUN = 8
"""Number of harmonics that the allocation looks ahead."""


def share_harmonics(series: np.ndarray, lengths: np.ndarray, total: int) -> np.ndarray:
    """Allocate ``total`` harmonics to strokes greedily.

    Each stroke has two; the others are allocated one by one to the stroke whose squared error decreases most by its
    next ones (a run of up to eight, since every other harmonic of a symmetrical line is zero), weighted by its length,
    until all errors are below the tolerance or none is left.

    Args:
        series: (M, 2, K), full series of the strokes, px.
        lengths: (M,), px.
        total: harmonics to allocate, at least 2 M.

    Returns:
        (M,) harmonics of each stroke.
    """
    gain = _gains(np.ascontiguousarray(series), lengths)
    left = total - 2 * len(series)
    if left <= 0:
        return np.full(len(series), 2)
    least = np.partition(gain, gain.size - left, axis=None)[gain.size - left] if left <= gain.size else 0.0
    counts = 2 + (gain > least).sum(1)
    for stroke in np.flatnonzero((gain == least).any(1)) if least > 0 else ():
        counts[stroke] += min(int((gain[stroke] == least).sum()), total - int(counts.sum()))
    return np.asarray(counts)


@compiled
def truncated(series: np.ndarray, counts: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Series (M, 2, K) of strokes with the first harmonics (M,) alone; closed ones (M,) end where they start.

    The odd coefficients of a closed stroke in use change by equal shares of their sum, as in :func:`.series.close`.
    """
    kept = np.zeros_like(series)
    for stroke in range(len(series)):
        for axis in range(2):
            total, used = 0.0, 0
            for k in range(counts[stroke]):
                kept[stroke, axis, k] = series[stroke, axis, k]
                if k % 2 and kept[stroke, axis, k] != 0:
                    total += kept[stroke, axis, k]
                    used += 1
            if closed[stroke] and used:
                for k in range(1, counts[stroke], 2):
                    if kept[stroke, axis, k] != 0:
                        kept[stroke, axis, k] -= total / used
    return kept


@compiled
def _gains(series: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Decrease of the squared error by each harmonic from the third on: (M, K - 2), of series (M, 2, K) and lengths.

    It never increases with the harmonic, so that a harmonic is allocated only after the one below it.
    """
    count, _, size = series.shape
    gain = np.zeros((count, max(size - 2, 0)))
    lost = np.zeros(size + 1)  # the squared error of the first harmonics
    for stroke in range(count):
        for k in range(size - 1, -1, -1):
            energy = (series[stroke, 0, k] ** 2 + series[stroke, 1, k] ** 2) / (2.0 if k else 1.0)
            lost[k] = lost[k + 1] + energy
        least = np.inf
        for k in range(2, size):
            best = 0.0
            if lost[k] > TOLERANCE**2:
                for run in range(1, min(_RUN, size - k) + 1):
                    best = max(best, (lost[k] - lost[k + run]) / run)
            least = min(least, best * lengths[stroke])
            gain[stroke, k - 2] = least
    return gain
