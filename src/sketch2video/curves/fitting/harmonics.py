"""Allocation of harmonics to the strokes of a frame."""

from __future__ import annotations

import numpy as np

from sketch2video.curves.fitting.series import tails

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
    lost = tails(series) * lengths[:, None]
    most = series.shape[-1]
    gain = np.zeros((len(series), most))
    for run in range(1, min(_RUN, most) + 1):
        drop = (lost[:, :-run] - lost[:, run:]) / run
        np.maximum(gain[:, : drop.shape[1]], drop, out=gain[:, : drop.shape[1]])
    gain[lost[:, :-1] <= TOLERANCE**2 * lengths[:, None]] = 0.0
    gain = np.minimum.accumulate(gain[:, 2:], axis=1)  # a harmonic is allocated only after the one below it
    sorted_gains = np.sort(gain, axis=None)[::-1]
    left = total - 2 * len(series)
    if left <= 0:
        return np.full(len(series), 2)
    least = sorted_gains[left - 1] if left <= gain.size else 0.0
    counts = 2 + (gain > least).sum(1)
    for stroke in np.flatnonzero((gain == least).any(1)) if least > 0 else ():
        counts[stroke] += min(int((gain[stroke] == least).sum()), total - int(counts.sum()))
    return np.asarray(counts)
