"""A line drawn by hand, as points of the pen → one stroke, in the canonical form of tracked strokes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sketch2video.curves.fitting.harmonics import share_harmonics
from sketch2video.curves.fitting.paths import NEARLY_CLOSED
from sketch2video.curves.fitting.series import (
    close,
    direct_canonically,
    polyline_lengths,
    project,
    resample,
    start_canonically,
)

CANVAS = 96
"""Pixels of a frame width for the tolerance of the fit; finer would only fit the trembling of the hand."""

NEGLIGIBLE = 1e-5
"""Coefficients below this, in frame widths, are zero: those of an outline's symmetry are rounding errors."""

SHORTEST = 1 / 256
"""Length of the shortest line, frame widths: a shorter one is a dot, which has no direction."""

_SAMPLES = 512


class HandDrawn(NamedTuple):
    """A fitted stroke.

    Attributes:
        coefficients: (2, K) float32, frame widths; K is as small as the tolerance allows.
        closed: whether it ends exactly where it starts.
    """

    coefficients: np.ndarray
    closed: bool

    @property
    def numbers(self) -> int:
        """Number of non-zero coefficients."""
        return int(np.count_nonzero(self.coefficients))


def fit_hand_drawn(points: np.ndarray, closed: bool | None = None, harmonics: int = 32) -> HandDrawn:
    """Fit a line that was drawn by hand.

    As in tracked strokes, the pen position is the share of the arc length; a closed stroke starts at its topmost point
    and runs clockwise, an open one starts at its left end, or at its upper one if it is rather vertical. The ends of an
    open stroke are exactly those of the line.

    Args:
        points: (n, 2) of the pen in their order, frame widths.
        closed: whether the line is an outline; None: it is if its ends are nearer than a tenth of its length, and it
            encloses an area.
        harmonics: largest K.

    Raises:
        ValueError: there are fewer than two points, they are not finite, or the line is too short.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"the points must be finite numbers of shape (n, 2), not {points.shape}")
    if len(points) < 2 or polyline_lengths(points) < SHORTEST:
        raise ValueError("the line is only a dot; draw a longer one")
    points = points[np.append(True, np.any(np.diff(points, axis=0) != 0, axis=1))]
    closed = _is_outline(points) if closed is None else bool(closed) and len(points) > 2
    if closed:
        line = start_canonically(resample(points, _SAMPLES, closed=True))
    else:
        points = direct_canonically(points)
        line = resample(points, _SAMPLES, closed=False)
    series = project(line, harmonics, closed)
    length = float(polyline_lengths(line)) * CANVAS
    count = int(share_harmonics(series[None] * CANVAS, np.array([length]), harmonics)[0])
    series = series[:, : max(count, 2)]
    series[np.abs(series) < NEGLIGIBLE] = 0.0
    series = close(series) if closed else _with_ends(series, points[0], points[-1])
    return HandDrawn(series.astype(np.float32), closed)


def _is_outline(points: np.ndarray) -> bool:
    """Whether a line is closed; one that turns back on its way, such as a stroke to and fro, encloses no area."""
    gap = float(np.hypot(*(points[-1] - points[0])))
    x, y = points[:, 0], points[:, 1]
    area = 0.5 * abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()))
    width, height = np.ptp(points, axis=0)
    return gap < NEARLY_CLOSED * float(polyline_lengths(points)) and bool(area > 0.2 * width * height)


def _with_ends(series: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The curve nearest to (2, K), K at least 2, in the mean square along the pen, that has these ends.

    The ends are the sum of all coefficients and their alternating sum, so the even and the odd ones have one condition
    each. The mean square of the constant term counts twice that of the others. Zero coefficients stay zero, except for
    the lowest ones.
    """
    k = np.arange(series.shape[-1])
    weights = np.where(k == 0, 0.5, 1.0) * ((series != 0) | (k < 2))
    series = series.copy()
    for parity, target in enumerate(((first + last) / 2, (first - last) / 2)):
        share = weights[:, parity::2] / weights[:, parity::2].sum(-1, keepdims=True)
        series[:, parity::2] += (target - series[:, parity::2].sum(-1))[:, None] * share
    return series
