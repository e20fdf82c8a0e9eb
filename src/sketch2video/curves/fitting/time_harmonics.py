"""The equation of a whole clip from strokes frame by frame: linear least squares in time.

Each pen coefficient of a life is a signal in time. With the functions of time at its frames orthonormalised in their
order (a QR decomposition), the squared error that each pair (m, k) of a time function and a pen harmonic removes is one
square, whatever other pairs are kept, as long as a pair is kept only with those of lower m. So a truncation is selected
without solving again: at a price of a number, the best limits K_0 >= K_1 >= ... of each stroke follow by dynamic
programming, and the price is the one at which the clip has its tolerance or its budget. No price has all truncations
that are best for their numbers, so what is left of the tolerance, or of the budget, is used up limit by limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg

from sketch2video.curves.equation.clip import ClipEquation, MovingStroke, midpoints, time_functions
from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.fitting.series import lengths

TOLERANCE = 0.004
"""Default root mean square distance to the strokes of the frames, frame widths."""

_STEPS = 16
"""Number of bisections of the price of a number."""

_ROUNDING = 1e-14
"""Share of the energy of a signal that single precision rounds off."""


@lru_cache(maxsize=8)
def _orthonormal(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The functions of time at the frames of a life as Q R: orthonormal columns, and upper triangular."""
    q, r = np.linalg.qr(time_functions(midpoints(frames), frames))
    return q, r


@dataclass(frozen=True)
class _Life:
    """The coefficients of a slot in consecutive frames from ``first``.

    Attributes:
        series: (L, 2, K), of L frames.
        projected: (L, 2, K), on the orthonormalised functions of time.
        weight: mean length of the stroke.
        energy: (L, K) squared error, summed over frames and weighted, that the pairs (m, k) remove.
    """

    slot: int
    first: int
    series: np.ndarray
    projected: np.ndarray
    weight: float
    energy: np.ndarray


def fit_clip(
    curves: CurveSequence,
    cuts: np.ndarray | None = None,
    *,
    budget: int | None = None,
    tolerance: float = TOLERANCE,
) -> ClipEquation:
    """Solve the equation of a clip from its strokes; frames in which a stroke is hidden have no influence.

    Functions of time are allocated to the pen harmonics of all strokes by need: those that reduce the squared distance
    of the drawing, all its lines weighted by their length, most for their numbers.

    Args:
        curves: T frames. A life is a run of frames in which a slot is visible.
        cuts: (T,) bool, true where all lives end and others begin; None: nowhere.
        budget: numbers of the clip, all counted; None: as many as the tolerance needs.
        tolerance: root mean square distance to the strokes of the frames, frame widths, below which no more numbers
            are used; at 0 the strokes of the frames are reproduced.

    Raises:
        ValueError: the budget is too small for the strokes, or cuts are not as long as the frames.
    """
    return ClipEquation(tuple(stroke for _, stroke in _fitted(curves, cuts, budget, tolerance)), len(curves))


def smooth_in_time(curves: CurveSequence, cuts: np.ndarray | None = None, *, tolerance: float) -> CurveSequence:
    """The strokes of a clip as its equation has them: the same frames and slots, with few functions of time.

    A coefficient that a frame does not use stays zero, so frames are within the budget that they were fitted to.

    Args:
        curves: T frames.
        cuts: as in :func:`fit_clip`.
        tolerance: as in :func:`fit_clip`.

    Raises:
        ValueError: cuts are not as long as the frames.
    """
    coefficients = curves.coefficients.copy()
    for life, stroke in _fitted(curves, cuts, None, tolerance):
        lived = slice(life.first, life.first + len(life.series))
        smooth = np.zeros(coefficients[lived, life.slot].shape)
        smooth[..., : stroke.coefficients.shape[-1]] = stroke.at(midpoints(len(curves))[lived])
        coefficients[lived, life.slot] = np.where(coefficients[lived, life.slot] != 0, smooth, 0)
    return CurveSequence(coefficients, curves.visibility)


def _fitted(
    curves: CurveSequence, cuts: np.ndarray | None, budget: int | None, tolerance: float
) -> list[tuple[_Life, MovingStroke]]:
    """The lives of a clip and their strokes, by birth; see :func:`fit_clip`."""
    if cuts is not None and np.shape(cuts) != (len(curves),):
        raise ValueError(f"cuts must have the shape ({len(curves)},), not {np.shape(cuts)}")
    lives = _lives(curves, np.zeros(len(curves), bool) if cuts is None else np.asarray(cuts, bool))
    if not lives:
        return []
    shared = _shared(lives, budget, tolerance)
    return [(life, _solved(life, limits[limits > 0], len(curves))) for life, limits in zip(lives, shared, strict=True)]


def _lives(curves: CurveSequence, cuts: np.ndarray) -> list[_Life]:
    """The lives of all slots, by birth."""
    found = []
    for slot, visible in enumerate(curves.visible.T):
        borders = np.flatnonzero(np.diff(visible, prepend=False) | cuts)
        for frames in np.split(np.arange(len(curves)), borders):
            if len(frames) and visible[frames[0]]:
                found.append(_life(slot, int(frames[0]), curves.coefficients[frames, slot].astype(np.float64)))
    return sorted(found, key=lambda life: life.first)


def _life(slot: int, first: int, series: np.ndarray) -> _Life:
    used = np.flatnonzero((series != 0).any((0, 1)))
    series = series[..., : used.max(initial=0) + 1]
    weight = max(float(lengths(series).mean()), np.finfo(float).tiny)
    projected = np.tensordot(_orthonormal(len(series))[0].T, series, 1)
    removed = (projected**2).sum(1)
    removed[:, 1:] /= 2.0  # mean squares of cos(k pi u)
    return _Life(slot, first, series, projected, weight, removed * weight)


def _numbers(limits: np.ndarray) -> int:
    """Numbers of strokes (S, M); see :attr:`MovingStroke.num_parameters`."""
    return int(2 * limits.sum() + np.count_nonzero(limits) + 3 * len(limits))


def _stacked(lives: list[_Life]) -> tuple[np.ndarray, np.ndarray]:
    """What harmonics below each limit remove, cumulated over k: (S, M, K + 1), and the harmonics of strokes (S,)."""
    harmonics = np.array([life.energy.shape[1] for life in lives])
    out = np.zeros((len(lives), max(len(life.energy) for life in lives), harmonics.max() + 1))
    for removed, life in zip(out, lives, strict=True):
        removed[: len(life.energy), 1 : 1 + life.energy.shape[1]] = life.energy
    return np.cumsum(out, axis=-1), harmonics


def _limits(removed: np.ndarray, harmonics: np.ndarray, price: float) -> np.ndarray:
    """The limits K_0 >= K_1 >= ... of each stroke that minimise its error plus the price of its numbers.

    The value of K_m = k is what row m removes minus its price; the best continuation has a limit of at most k, or none.

    Args:
        removed: (S, M, K + 1), see :func:`_stacked`.
        harmonics: (S,), of which a line has at least two if it can.
        price: of a number.

    Returns:
        (S, M) int, zero where a time function is not used.
    """
    strokes, rows, most = removed.shape
    value = removed - price * (2 * np.arange(most) + 1)
    value[..., 0] = 0.0
    best = np.zeros((strokes, most))
    following = np.zeros((rows, strokes, most), int)
    for m in range(rows)[::-1]:
        reached = np.maximum.accumulate(best, axis=1)
        rises = np.pad(best[:, 1:] > reached[:, :-1], ((0, 0), (1, 0)))
        following[m] = np.maximum.accumulate(np.where(rises, np.arange(most), 0), axis=1)
        best = value[:, m] + reached
        best[:, 0] = 0.0
    best[np.arange(most) < np.minimum(2, harmonics)[:, None]] = -np.inf
    limits = [best.argmax(1)]
    for m in range(rows - 1):
        limits.append(following[m, np.arange(strokes), limits[-1]])
    return np.stack(limits, axis=1)


def _removed_by(removed: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """What limits (S, M) remove: (S, M)."""
    return np.take_along_axis(removed, limits[..., None], axis=-1)[..., 0]


def _lost(removed: np.ndarray, limits: np.ndarray) -> float:
    """Squared error that is left, weighted."""
    return float(removed[..., -1].sum() - _removed_by(removed, limits).sum())


def _numbers_apart(limits: np.ndarray, most: int) -> np.ndarray:
    """How many numbers more than now there are if a limit (S, M) is k = 0 ... most - 1: (S, M, most)."""
    k = np.arange(most)
    now = limits[..., None]
    return 2 * (k - now) + (k > 0).astype(int) - (now > 0)


def _lowered(removed: np.ndarray, harmonics: np.ndarray, limits: np.ndarray, allowed: float) -> np.ndarray:
    """Limits with fewer numbers and at most the allowed error: of all changes of one limit, that which costs the least
    for each number that is saved, and again, as long as there is one."""
    limits, most = limits.copy(), removed.shape[-1]
    least = np.zeros_like(limits)
    least[:, 0] = np.minimum(2, harmonics)
    while True:
        lowest = np.maximum(np.pad(limits[:, 1:], ((0, 0), (0, 1))), least)
        cost = _removed_by(removed, limits)[..., None] - removed
        k = np.arange(most)
        fits = (lowest[..., None] <= k) & (k < limits[..., None]) & (_lost(removed, limits) + cost <= allowed)
        if not fits.any():
            return limits
        saved = -_numbers_apart(limits, most)
        rate = np.where(fits, cost / np.maximum(saved, 1), np.inf)
        *where, lower = np.unravel_index(rate.argmin(), rate.shape)
        limits[tuple(where)] = lower


def _raised(removed: np.ndarray, harmonics: np.ndarray, limits: np.ndarray, budget: int) -> np.ndarray:
    """Limits with less error and at most the budget: of all changes of one limit, that which gains the most for each
    number, and again, as long as there is one."""
    limits, most = limits.copy(), removed.shape[-1]
    while True:
        highest = np.concatenate([harmonics[:, None], limits[:, :-1]], axis=1)
        gain = removed - _removed_by(removed, limits)[..., None]
        k = np.arange(most)
        more = _numbers_apart(limits, most)
        fits = (limits[..., None] < k) & (k <= highest[..., None]) & (more <= budget - _numbers(limits)) & (gain > 0)
        if not fits.any():
            return limits
        rate = np.where(fits, gain / np.maximum(more, 1), -np.inf)
        *where, higher = np.unravel_index(rate.argmax(), rate.shape)
        limits[tuple(where)] = higher


def _shared(lives: list[_Life], budget: int | None, tolerance: float) -> np.ndarray:
    """Limits (S, M) of the strokes that meet the tolerance with few numbers, or else have little error in the budget.

    Raises:
        ValueError: the budget is too small for the strokes.
    """
    removed, harmonics = _stacked(lives)
    energy = float(removed[..., -1].sum())
    total = sum(life.weight * len(life.series) for life in lives)
    allowed = tolerance**2 * total + _ROUNDING * energy

    def at(price: float) -> tuple[np.ndarray, bool, bool]:
        limits = _limits(removed, harmonics, price)
        return limits, _lost(removed, limits) <= allowed, budget is None or _numbers(limits) <= budget

    low, high = energy * _ROUNDING, energy
    fewest, near, holds = at(high)
    if not holds:
        least = _numbers(fewest)
        raise ValueError(f"a budget of {budget} numbers cannot hold {len(lives)} strokes, which need {least}")
    if near:
        return fewest
    most, near, holds = at(0.0)
    meets = most if near and holds else None
    for _ in range(_STEPS):
        price = float(np.sqrt(low * high))
        limits, near, holds = at(price)
        if holds and not near:
            fewest, high = limits, price
        else:
            low = price
            meets = limits if holds else meets
    if meets is None:
        raised = _raised(removed, harmonics, fewest, budget) if budget is not None else fewest
        if _lost(removed, raised) > allowed:
            return raised
        meets = raised
    return _lowered(removed, harmonics, meets, allowed)


def _solved(life: _Life, limits: np.ndarray, frames: int) -> MovingStroke:
    """The least-squares coefficients within limits: for pen harmonic k, those of all m with K_m > k."""
    coefficients = np.zeros((len(limits), 2, int(limits[0])))
    counts = (limits[:, None] > np.arange(limits[0])).sum(0)
    triangle = _orthonormal(len(life.series))[1]
    for count in np.unique(counts):
        columns = np.flatnonzero(counts == count)
        wanted = life.projected[:count, :, columns].reshape(count, -1)
        found = scipy.linalg.solve_triangular(triangle[:count, :count], wanted)
        coefficients[:count, :, columns] = found.reshape(count, 2, -1)
    return MovingStroke(life.first / frames, (life.first + len(life.series)) / frames, coefficients)
