"""Drawings through time → canonical strokes through time.

Stroke s in frame t + 1 *is* stroke s in frame t: it is moved onto the new ink and solved again. For each frame

1. every stroke is predicted to go on as it went, and searches its neighbourhood for the shift that brings it onto ink
   (chamfer matching, Barrow et al. 1977);
2. ink is assigned to the nearest point of a curve and each stroke is turned and scaled towards its ink (the closest
   points of Besl and McKay 1992), then solved for: a ridge problem that is held near the moved stroke by a weight that
   grows with k², so that place follows first and detail only where ink asks for it; again and again, until strokes
   come no nearer to the ink;
3. a closed stroke whose ink forms a loop is replaced by that loop, by arc length, started where its own start moved to;
4. strokes that lost their ink are retired; ink that no stroke covers lets an outline live on that was lost behind
   others, if it is a part of it, and is traced into free slots;
5. harmonics are shared out anew among all strokes, to those that lose most without them.

Where lines of several objects cross, a stroke follows the ink that is nearest to it and to no other stroke; the rest of
it is hidden, and keeps its form. Shots, between cuts that are known or found from the ink, are tracked apart. A shot is
tracked forwards, and, if strokes are born on the way, backwards, too: objects are distinguished best where they do not
overlap, and that may be at the end. What of both is needed is kept (:mod:`~sketch2video.curves.lives`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple

import cv2
import numpy as np
import scipy.fft
from scipy.spatial import cKDTree

from sketch2video.curves.harmonics import share_harmonics
from sketch2video.curves.ink import InkFrame, enclosed, meet, regions, surrounded, without_specks
from sketch2video.curves.lives import LONGEST, Life, Shot, most_at_once, needed
from sketch2video.curves.order import POINTS, alignment, in_order, rotate, start_canonically_for_life
from sketch2video.curves.sequence import CurveSequence, cosines
from sketch2video.curves.series import close, direct_canonically, project, resample, start_canonically
from sketch2video.curves.trace import Line, link, thin, trace

GAP = 0.03
"""Ends this far apart, in frame widths, may be joined into one line."""

REACH = 0.025
"""Ink this near to a stroke, in frame widths, is covered by it."""

SEARCH = 0.1
"""How far from where it was predicted a stroke is looked for, in frame widths."""

OUTLINE = 0.3
"""A closed stroke longer than this, in frame widths, is an outline that is traced anew in every frame."""

RING = 0.5
"""A loop longer than this, in frame widths, is drawn anew as one closed stroke where several open ones draw it."""

LINK = 0.15
"""The widest gap that a pen crosses, in frame widths, when there are more lines than strokes."""

SHORTEST = 0.05
"""Length in frame widths below which uncovered ink is not worth a new stroke."""

STRAY = 0.02
"""Mean distance to the ink, in frame widths, at which a stroke has lost it."""

OWNED = 0.2
"""Pixels of ink that are nearest to a stroke, for each pixel of its length, below which others draw what it draws."""

HIDDEN = 10.0
"""By how many times its stiffness a stroke is stiffer if all of it were hidden; in proportion to the part that is."""

FALL = 0.15
"""A frame's rounds end when the last one took less than this share off the discrepancy between ink and strokes."""

RELUCTANCE = 0.15
"""Pixels nearer to the ink, on average, that a stroke must come for every pixel that it leaves its prediction."""

PLAIN = 0.3
"""Strokes shorter than this, in frame widths, look alike: they go where the others go rather than to the next ink."""

STAY = 0.3
"""Pixels nearer to the ink that a line must come by moving at all."""

FOUND, OPEN = 0.15, 0.1
"""An outline is found again where at least this share of it is on ink that no stroke covers, and at most this share is
neither on ink nor inside of lines, where it may be hidden."""

SAME = 0.7
"""Share of a piece's points that must lie on the outline that it is a piece of."""

CUT = 0.35
"""Below this correlation, at the best shift, two drawings are of different shots (the same shot: 0.6 and more)."""


def fit_curves(
    ink: np.ndarray,
    cuts: np.ndarray | None = None,
    *,
    budget: int = 288,
    strokes: int = 24,
    harmonics: int = 32,
    rounds: int = 3,
    stiffness: float = 0.001,
) -> CurveSequence:
    """Fit tracked, canonical strokes to a drawing through time.

    One outline is one stroke for as long as it lives; a closed outline is a closed stroke that starts at its topmost
    point and goes round clockwise; the pen position is the share of the arc length; strokes are ordered by birth, the
    longer first.

    Args:
        ink: (T, H, W) uint8 or bool, non-zero (uint8: above 127) where there is ink.
        cuts: (T,) bool, true where a shot begins and all strokes with it; None: cuts are found from the ink.
        budget: numbers a frame, visibilities counted.
        strokes: S, the most strokes of a frame.
        harmonics: K, the most harmonics of a stroke.
        rounds: how often, at most, ink is assigned and strokes are solved again in a frame; fewer where the discrepancy
            no longer falls (:data:`FALL`).
        stiffness: weight of the previous frame's coefficients, which grows with k².

    Raises:
        TypeError: ``ink`` is not a uint8 or bool array.
        ValueError: ``ink`` does not have three axes, or one of them is empty; ``cuts`` is not as long; the budget is
            too small for the strokes.
    """
    drawing = _checked(ink)
    if budget < 5 * strokes:
        raise ValueError(f"a budget of {budget} numbers cannot hold {strokes} strokes, which need {5 * strokes}")
    frames, height, width = drawing.shape
    if cuts is not None and np.shape(cuts) != (frames,):
        raise ValueError(f"cuts must have the shape ({frames},) as the ink has, not {np.shape(cuts)}")
    skeletons = [thin(picture) for picture in drawing]
    tracker = partial(_Tracker, height, width, budget, strokes, harmonics, rounds, stiffness)
    lives: list[Life] = []
    for shot in np.split(np.arange(frames), np.flatnonzero(find_cuts(skeletons) if cuts is None else cuts)):
        if len(shot):
            pictures = [skeletons[t] for t in shot]
            lives += [replace(life, first=life.first + shot[0]) for life in _lives_of_shot(tracker, pictures, strokes)]
    past = _in_slots(lives, frames, strokes, harmonics)
    _keep_within(*past, (budget - strokes) // 2)
    start_canonically_for_life(*past)
    coefficients, visibility = in_order(*past[:2])
    return CurveSequence((coefficients / width).astype(np.float32), visibility)


def find_cuts(skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """Where drawings through time, bool (H, W) each, are of another shot than the one before: (T,) bool."""
    spectra = [_spectrum(skeleton) if skeleton.any() else None for skeleton in skeletons]
    return np.array([False, *(a is not None and b is not None and _likeness(a, b) < CUT for a, b in pairwise(spectra))])


def _lives_of_shot(make: Callable[[], _Tracker], skeletons: Sequence[np.ndarray], strokes: int) -> Sequence[Life]:
    """The strokes of a shot."""
    tracker = make()
    forwards = _track(tracker, skeletons)
    if all(life.first == 0 for life in forwards):
        return forwards
    shot = Shot.of(skeletons, tracker.reach, tracker.gap)
    return needed([forwards, _track(make(), skeletons, -1)], shot, strokes)


def _track(tracker: _Tracker, skeletons: Sequence[np.ndarray], step: int = 1) -> list[Life]:
    """Carry strokes through the frames of a shot, forwards (1) or backwards (-1)."""
    seen: dict[int, list[tuple[int, np.ndarray, bool]]] = {}
    for t in range(len(skeletons))[::step]:
        tracker.advance(skeletons[t])
        for slot in np.flatnonzero(tracker.alive):
            now = (t, tracker.coefficients[slot].copy(), bool(tracker.closed[slot]))
            seen.setdefault(int(tracker.life[slot]), []).append(now)
    lives = [sorted(life, key=itemgetter(0)) for life in seen.values()]
    whole = [_through(life) for life in lives]
    if most_at_once(whole) <= len(tracker.alive):
        return whole
    # Others have the slots of what is hidden: it is then not drawn.
    runs = [np.split(np.arange(len(life)), 1 + np.flatnonzero(np.diff([t for t, *_ in life]) > 1)) for life in lives]
    return [_through([life[i] for i in run]) for life, parts in zip(lives, runs, strict=True) for run in parts]


def _through(seen: Sequence[tuple[int, np.ndarray, bool]]) -> Life:
    """The life of a stroke of the frames in which it was seen; between them it goes over evenly."""
    times, parts = [t for t, *_ in seen], np.stack([part for _, part, _ in seen])
    frames = np.arange(times[0], times[-1] + 1)
    before = np.searchsorted(times, frames, side="right") - 1
    after = np.minimum(before + 1, len(times) - 1)
    share = (frames - np.take(times, before)) / np.maximum(np.take(times, after) - np.take(times, before), 1)
    return Life(times[0], parts[before] + share[:, None, None] * (parts[after] - parts[before]), seen[0][2])


def _in_slots(
    lives: Sequence[Life], frames: int, strokes: int, harmonics: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (T, S, 2, K), the number of the life of each stroke, 0 for none, and whether it is closed (T, S)."""
    coefficients = np.zeros((frames, strokes, 2, harmonics))
    number, closed = np.zeros((2, frames, strokes), np.int64)
    for name, life in enumerate(sorted(lives, key=attrgetter("first")), 1):
        lived = slice(life.first, life.end)
        slot = np.flatnonzero(~number[lived].any(0))[0]
        coefficients[lived, slot], number[lived, slot], closed[lived, slot] = life.coefficients, name, life.closed
    return coefficients, number, closed


def _keep_within(coefficients: np.ndarray, number: np.ndarray, closed: np.ndarray, harmonics: int) -> None:
    """Share harmonics anew in frames (T, S, 2, K) whose strokes have more than ``harmonics``; in place."""
    size = coefficients.shape[-1]
    for series, alive, rings in zip(coefficients, number > 0, closed > 0, strict=True):
        used = (size - (series[alive] != 0).any(1)[:, ::-1].argmax(1)).sum()
        if used > harmonics:
            kept = np.arange(size) < share_harmonics(series[alive], _lengths(series[alive]), harmonics)[:, None]
            series[alive] *= kept[:, None]
            series[alive & rings] = close(series[alive & rings])


def _checked(ink: np.ndarray) -> np.ndarray:
    ink = np.asarray(ink)
    if ink.ndim != 3 or 0 in ink.shape:
        raise ValueError(f"ink must have the shape (frames, height, width), none of them zero, not {ink.shape}")
    if ink.dtype == np.bool_:
        return ink
    if ink.dtype != np.uint8:
        raise TypeError(f"ink must be uint8 (255 ink on 0) or bool, not {ink.dtype}")
    return ink > 127


def _spectrum(skeleton: np.ndarray) -> np.ndarray:
    """Fourier transform of a blurred, small, centred drawing of unit energy."""
    height, width = skeleton.shape
    scale = min(64 / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.GaussianBlur(cv2.resize(skeleton.astype(np.float32), size, interpolation=cv2.INTER_AREA), (0, 0), 0.8)
    small -= small.mean()
    return np.asarray(scipy.fft.rfft2(np.asarray(small / max(float(np.linalg.norm(small)), 1e-9), np.float32)))


def _likeness(spectrum: np.ndarray, other: np.ndarray) -> float:
    """Largest circular cross-correlation of two drawings, at most 1."""
    return float(scipy.fft.irfft2(np.conj(spectrum) * other).max())


def _lengths(series: np.ndarray) -> np.ndarray:
    """Lengths (M,) of strokes (M, 2, K)."""
    n = max(POINTS, 2 * series.shape[-1])
    steps = np.diff(np.matmul(cosines(n, series.shape[-1], midpoints=True), series.swapaxes(-1, -2)), axis=1)
    return np.asarray(np.hypot(steps[..., 0], steps[..., 1]).sum(1))


class _Lost(NamedTuple):
    """An outline that is no longer seen: the frame in which it was missed first, its coefficients (2, K) in the one
    before, its velocity (2,) in px a frame, and the number of its life."""

    since: int
    coefficients: np.ndarray
    velocity: np.ndarray
    life: int


class _Tracker:
    """Strokes of the present frame, in px."""

    def __init__(
        self,
        height: int,
        width: int,
        budget: int,
        strokes: int,
        harmonics: int,
        rounds: int,
        stiffness: float,
    ) -> None:
        self.size = width
        self.budget = budget - strokes  # what is left for coefficients
        self.rounds = rounds
        self.coefficients = np.zeros((strokes, 2, harmonics))
        self.alive = np.zeros(strokes, bool)
        self.closed = np.zeros(strokes, bool)
        self.velocity = np.zeros((strokes, 2))
        self.life = np.zeros(strokes, np.int64)  # names what lives in a slot
        self.life_count = 0
        self.now = 0
        self.born = np.zeros(strokes, np.int64)
        self.lost: list[_Lost] = []
        self.n = max(POINTS, 2 * harmonics)
        self.basis = cosines(self.n, harmonics, midpoints=True)
        self.outer = np.einsum("nk,nl->nkl", self.basis, self.basis).reshape(self.n, -1)
        self.ridge = stiffness * self.n * np.arange(harmonics) ** 2.0
        self.reach = max(REACH * width, 1.5)
        self.gap = max(GAP * width, 3.0)

    @property
    def harmonics(self) -> int:
        return self.coefficients.shape[-1]

    def advance(self, skeleton: np.ndarray) -> None:
        """Carry the strokes over to the next frame."""
        self.now += 1
        frame = InkFrame.of(skeleton)
        before = self.alive.copy()
        if not len(frame.ink):
            self.alive[:] = False
            return
        if self.alive.any():
            self._follow(frame)
            self._close_rings(frame)
            self._find_again(frame, before)
        uncovered = frame.ink[self._distance_to_strokes(frame.ink, self.alive) > self.reach]
        if len(uncovered):
            # A slot rests for a frame between two strokes: they must not look like one stroke that jumps.
            self._give_birth(uncovered, frame, np.flatnonzero(~self.alive & ~before))
        self._share_harmonics()

    def samples(self, which: np.ndarray) -> np.ndarray:
        """Strokes ``which`` at the midpoint grid: (M, n, 2) px."""
        return np.matmul(self.basis, self.coefficients[which].swapaxes(-1, -2))

    def _distance_to_strokes(self, points: np.ndarray, which: np.ndarray) -> np.ndarray:
        if not which.any():
            return np.full(len(points), np.inf)
        return np.asarray(cKDTree(self.samples(which).reshape(-1, 2)).query(points)[0])

    # Following

    def _follow(self, frame: InkFrame) -> None:
        which = np.flatnonzero(self.alive)
        before = self.coefficients[which]
        moved = before.copy()
        length = _lengths(before)
        moved[..., 0] += self._momentum(which, length)
        moved[..., 0] += self._search(moved, length, frame)
        stays = self._stays(before, moved, frame) & ~self.closed[which]
        moved[stays] = before[stays]
        rigid, reach, discrepancy = moved, 2.0 * self.reach, np.inf
        for turn in range(self.rounds):
            weight, target, now = self._targets(moved, frame, reach)
            if turn > 1 and now > (1 - FALL) * discrepancy:
                break
            discrepancy = now
            rigid = self._similar(rigid, weight, target)
            moved = self._solve(rigid, weight, target, which, 4.0 if turn == 1 else 1.0) if turn else rigid
            reach = max(reach * 0.75, self.reach)
        points = np.matmul(self.basis, moved.swapaxes(-1, -2))
        apart = frame.distance_from(points)
        inked, apart = (apart <= self.reach).mean(1), apart.mean(1)
        *_, owner = meet(points, frame, self.reach)
        owned = np.bincount(owner + 1, minlength=len(which) + 1)[1:] / np.maximum(_lengths(moved), 1.0)
        for i in np.flatnonzero(self.closed[which] & (inked > 0.5) & (length > OUTLINE * self.size)):
            loop = self._loop([points[i]], frame, (owner >= 0) & (owner != i))
            if loop is not None:
                moved[i] = self._follow_loop(moved[i], rigid[i], loop)
        # A closed stroke may be hidden in part, and the part that is hidden is far from any ink.
        near = self.closed[which] | (apart < STRAY * self.size)
        keep = (inked > 0.5) & (owned > OWNED) & near & (_lengths(moved) > 0.4 * length)
        for i in np.flatnonzero(~keep & self.closed[which] & (length > OUTLINE * self.size)):
            self.lost.append(_Lost(self.now, before[i], self.velocity[which[i]].copy(), int(self.life[which[i]])))
        self.velocity[which] = moved[..., 0] - before[..., 0]
        self.coefficients[which] = moved
        self.alive[which[~keep]] = False

    def _find_again(self, frame: InkFrame, before: np.ndarray) -> None:
        """Let outlines that were lost behind others live on where ink that nobody else draws is a part of them.

        Pieces of them that were taken for new strokes since are retired.
        """
        self.lost = [one for one in self.lost if self.now - one.since <= LONGEST]
        hides = surrounded(frame.skeleton, self.gap) if self.lost else frame.skeleton
        for one in self.lost[::-1]:
            pieces = self.alive & ~self.closed & (self.born >= one.since)
            free = np.flatnonzero(~self.alive & ~before)
            uncovered = frame.ink[self._distance_to_strokes(frame.ink, self.alive & ~pieces) > self.reach]
            if not len(free) or len(uncovered) < FOUND * _lengths(one.coefficients[None])[0]:
                continue
            coefficients = self._placed(one, uncovered, frame, hides)
            if coefficients is None:
                continue
            self.lost = [other for other in self.lost if other is not one]
            outline = cKDTree(self.basis @ coefficients.T)
            for piece in np.flatnonzero(pieces):
                apart = outline.query(self.samples(np.array([piece]))[0])[0]
                self.alive[piece] = np.mean(apart <= self.reach) < SAME
            slot = free[0]
            self.coefficients[slot], self.life[slot], self.born[slot] = coefficients, one.life, one.since
            self.velocity[slot] = (coefficients - one.coefficients)[:, 0] / (self.now - one.since + 1)
            self.alive[slot] = self.closed[slot] = True

    def _placed(self, lost: _Lost, uncovered: np.ndarray, frame: InkFrame, hides: np.ndarray) -> np.ndarray | None:
        """A lost outline moved onto uncovered ink, the rest of it hidden; None where it does not fit."""
        bare = np.zeros(frame.skeleton.shape, bool)
        bare[frame.at(uncovered)] = True
        bare_ink = InkFrame.of(bare)
        frames = self.now - lost.since + 1
        expected = lost.coefficients.copy()
        expected[:, 0] += lost.velocity * frames
        offsets = np.linspace(-SEARCH, SEARCH, 11) * self.size * min(1 + 0.25 * frames, 2.0)
        shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
        points = (self.basis[::2] @ expected.T) + shifts[:, None]
        on = (bare_ink.distance_from(points) <= self.reach).mean(1)
        open_ = self._in_the_open(points, frame, hides)
        away = np.hypot(shifts[:, 0], shifts[:, 1]) / self.size
        best = int(np.argmax(on - 2 * open_ - away))
        expected[:, 0] += shifts[best]
        for _ in range(self.rounds):
            points = (self.basis @ expected.T)[None]
            target = bare_ink.ink[bare_ink.nearest[frame.at(points)]]
            weight = (np.hypot(*np.moveaxis(target - points, -1, 0)) <= 2 * self.reach).astype(np.float64)
            expected = self._similar(expected[None], weight, target)[0]
        points = self.basis @ expected.T
        on = bare_ink.distance_from(points) <= self.reach
        if on.mean() < FOUND or float(self._in_the_open(points[None], frame, hides)[0]) > OPEN:
            return None
        return expected

    def _in_the_open(self, points: np.ndarray, frame: InkFrame, hides: np.ndarray) -> np.ndarray:
        """Share of points (M, n, 2) that are neither on ink nor inside of lines: (M,)."""
        return np.asarray(((frame.distance_from(points) > self.reach) & ~hides[frame.at(points)]).mean(1))

    def _momentum(self, which: np.ndarray, length: np.ndarray) -> np.ndarray:
        """How strokes are expected to go on, (M, 2): long ones as they went, short ones with the others."""
        own = self.velocity[which]
        common = np.average(own, axis=0, weights=length + 1e-9)
        weight = (length / (length + PLAIN * self.size))[:, None]
        return weight * own + (1 - weight) * common

    def _search(self, coefficients: np.ndarray, length: np.ndarray, frame: InkFrame) -> np.ndarray:
        """The shift (M, 2) that brings each stroke onto ink; all go one way unless the ink says otherwise."""
        offsets = np.linspace(-SEARCH, SEARCH, 9) * self.size
        shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
        points = np.matmul(self.basis[::4], coefficients.swapaxes(-1, -2))
        apart = frame.distance_from_shifted(points, offsets).reshape(len(points), -1, points.shape[1])
        misfit = np.minimum(apart, 2.5 * self.reach).mean(-1)
        together = np.average(misfit, axis=0, weights=length + 1e-9) + RELUCTANCE * np.hypot(shifts[:, 0], shifts[:, 1])
        aside = shifts - shifts[np.argmin(together)]
        reluctance = RELUCTANCE * (1 + PLAIN * self.size / np.maximum(length, 1.0))[:, None]
        return shifts[np.argmin(misfit + reluctance * np.hypot(aside[:, 0], aside[:, 1]), axis=1)]

    def _stays(self, before: np.ndarray, moved: np.ndarray, frame: InkFrame) -> np.ndarray:
        """Which strokes (M,) lie on ink as well where they were: a line's motion along itself cannot be seen."""
        there, here = (
            np.minimum(frame.distance_from(np.matmul(self.basis[::4], c.swapaxes(-1, -2))), 2.5 * self.reach).mean(-1)
            for c in (before, moved)
        )
        return np.asarray(there <= here + STAY)

    def _targets(self, coefficients: np.ndarray, frame: InkFrame, reach: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Where each pen position should be, and how far the ink is from the strokes as they are.

        Returns:
            The weight (M, n) of each target, 0 where no ink is in reach; the targets (M, n, 2), px; the discrepancy:
            the mean distance in px from ink to the nearest stroke, none counted as more than :attr:`reach`.
        """
        points = np.matmul(self.basis, coefficients.swapaxes(-1, -2))
        count, n = points.shape[:2]
        distance, nearest, owner = meet(points, frame, reach)
        found = owner >= 0
        nearest = nearest[found]
        pulls = np.bincount(nearest, minlength=count * n).astype(np.float64)
        target = (
            np.stack([np.bincount(nearest, frame.ink[found, axis], minlength=count * n) for axis in (0, 1)], axis=-1)
            / np.maximum(pulls, 1.0)[:, None]
        )
        rows, columns = frame.at(points)
        pull = frame.ink[frame.nearest[rows, columns]]
        apart = np.hypot(*np.moveaxis(pull - points, -1, 0))
        inked = apart <= reach
        pulls, target = pulls.reshape(count, n), target.reshape(count, n, 2)
        # Where it is hidden a stroke keeps its form: it is not drawn to the lines of what hides it.
        owner = owner[frame.nearest[rows, columns]]
        bare = (pulls == 0) & inked & ((owner < 0) | (owner == np.arange(count)[:, None]))
        weight = np.where(bare, 0.5, np.minimum(pulls, 3.0))
        target = np.where(bare[..., None], pull, target)
        return weight, target, float(np.minimum(distance, self.reach).mean())

    def _similar(self, coefficients: np.ndarray, weight: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Turn, scale and shift each stroke towards its targets, as complex numbers z -> a z + b."""
        points = np.matmul(self.basis, coefficients.swapaxes(-1, -2))
        z, w = points[..., 0] + 1j * points[..., 1], target[..., 0] + 1j * target[..., 1]
        total = weight.sum(1) + 1e-9
        z0, w0 = (weight * z).sum(1) / total, (weight * w).sum(1) / total
        z, w = z - z0[:, None], w - w0[:, None]
        spread = (weight * np.abs(z) ** 2).sum(1)
        hold = 0.1 * spread + 1e-6  # towards a = 1: short of evidence, a stroke is only shifted
        a = ((weight * np.conj(z) * w).sum(1) + hold) / (spread + hold)
        enough = total > 2
        a, b = np.where(enough, a, 1.0), np.where(enough, w0, z0)
        series = (coefficients[:, 0] + 1j * coefficients[:, 1]) * a[:, None]
        series[:, 0] += b - a * z0
        return np.stack([series.real, series.imag], 1)

    def _solve(
        self, prior: np.ndarray, weight: np.ndarray, target: np.ndarray, which: np.ndarray, softness: float
    ) -> np.ndarray:
        """Ridge problem of each stroke: (B' W B + R) c = B' W p + R c_prior."""
        count, k = len(prior), self.harmonics
        # What is seen of a stroke in part must not bend the rest.
        hidden = 1.0 - (weight > 0).mean(1, keepdims=True)
        ridge = self.ridge * softness * (1.0 + HIDDEN * hidden)
        normal = (weight @ self.outer).reshape(count, k, k)
        normal[:, np.arange(k), np.arange(k)] += ridge + 0.01
        pulled = np.matmul((weight[..., None] * target).swapaxes(-1, -2), self.basis)
        right = pulled + prior * (ridge + 0.01)[:, None]
        solved = np.linalg.solve(normal, right.swapaxes(-1, -2)).swapaxes(-1, -2)
        closed = self.closed[which]
        solved[closed] = close(solved[closed])
        return solved

    # Closed outlines

    def _loop(self, polylines: Sequence[np.ndarray], frame: InkFrame, foreign: np.ndarray) -> Line | None:
        """The loop that the ink near polylines (n, 2) forms, if it forms one about as long as they are.

        ``foreign`` (N,) is ink that belongs to other strokes.
        """
        near = np.zeros(frame.skeleton.shape, np.uint8)
        pixels = [(points * 16 - 8).round().astype(np.int32) for points in polylines]
        cv2.polylines(near, pixels, False, 1, 2 * int(self.reach) + 1, cv2.LINE_8, 4)
        ink = frame.skeleton & (near > 0)
        ink[frame.at(frame.ink[foreign])] = False
        length = sum(float(np.hypot(*np.diff(points, axis=0).T).sum()) for points in polylines)
        if not len(regions(ink, self.gap, 0.01 * length**2)[1]):
            return None
        lines = trace(ink, self.gap)
        if not lines or not lines[0].closed:
            return None
        return lines[0] if 0.7 < lines[0].length / length < 1.4 else None

    def _follow_loop(self, moved: np.ndarray, rigid: np.ndarray, loop: Line) -> np.ndarray:
        """Coefficients of a loop, clockwise, started where the stroke's start is now, held near the stroke's shape."""
        samples = resample(start_canonically(loop.points), self.n, closed=True)
        samples = rotate(samples, alignment(self.basis @ moved.T, samples))
        found = project(samples, self.harmonics)
        rigid = self._similar(rigid[None], np.ones((1, self.n)), samples[None])[0]
        ridge = np.where(rigid.any(0), self.ridge, 0.0)
        return close((found * self.n / 2 + rigid * ridge) / (self.n / 2 + ridge))

    def _share_harmonics(self) -> None:
        """Cut the strokes' series where the budget, or their own need, ends."""
        which = np.flatnonzero(self.alive)
        series = self.coefficients[which]
        counts = share_harmonics(series, _lengths(series), self.budget // 2)
        series[np.broadcast_to((np.arange(self.harmonics) >= counts[:, None])[:, None], series.shape)] = 0.0
        closed = self.closed[which]
        series[closed] = close(series[closed])
        self.coefficients[which] = series

    # Births

    def _give_birth(self, uncovered: np.ndarray, frame: InkFrame, free: np.ndarray) -> None:
        mask = np.zeros(frame.skeleton.shape, bool)
        mask[uncovered[:, 1].astype(int), uncovered[:, 0].astype(int)] = True
        shortest = SHORTEST * self.size if self.alive.any() else 0.0
        lines = trace(without_specks(mask, shortest / 2), self.gap, shortest)
        room = len(free)
        if len(lines) > room:
            self._make_room(lines[room].length)
        lines = link(lines, room, LINK * self.size) if room else []
        if not lines:
            return
        for slot, line in zip(free, lines, strict=False):
            points = start_canonically(line.points) if line.closed else direct_canonically(line.points)
            self.coefficients[slot] = project(resample(points, self.n, line.closed), self.harmonics, line.closed)
            self.alive[slot], self.closed[slot] = True, line.closed
            self.life_count += 1
            self.velocity[slot], self.life[slot], self.born[slot] = 0.0, self.life_count, self.now

    def _make_room(self, length: float) -> None:
        """Retire the shortest stroke if a line more than twice as long as it has to wait for a slot."""
        which = np.flatnonzero(self.alive)
        if len(which):
            lengths = _lengths(self.coefficients[which])
            if 2 * lengths.min() < length:
                self.alive[which[np.argmin(lengths)]] = False

    def _close_rings(self, frame: InkFrame) -> None:
        """Retire open strokes that together draw one loop; its ink is then uncovered and born as one closed stroke."""
        alive = np.flatnonzero(self.alive)
        if self.closed[alive].all():
            return
        places, lengths = frame.at(self.samples(alive)), _lengths(self.coefficients[alive])
        nearby = np.ones((2 * int(self.reach) + 1,) * 2, np.uint8)
        # What closed strokes draw stays theirs: a line that ends at another outline is no loop with a part of it.
        loose = frame.skeleton.copy()
        loose[frame.at(frame.ink[self._distance_to_strokes(frame.ink, self.alive & self.closed) <= self.reach])] = False
        for region in enclosed(frame.skeleton, self.gap, 0.01 * (RING * self.size) ** 2):
            border = loose & (cv2.dilate(region, np.ones((5, 5), np.uint8)) > 0)
            on = cv2.dilate(border.astype(np.uint8), nearby)[places].mean(1) > 0.8
            drawn = lengths[on].sum()
            if self.closed[alive[on]].any() or drawn < 0.6 * max(float(np.count_nonzero(border)), RING * self.size):
                continue
            lines = trace(border, self.gap)
            if lines and lines[0].closed and RING * self.size < lines[0].length < drawn / 0.6:
                self.alive[alive[on]] = False
