"""Drawings through time → canonical strokes through time.

Stroke s in frame t + 1 *is* stroke s in frame t: it is moved onto the new ink and solved again. For each frame

1. every stroke is predicted to go on as it went, and searches its neighbourhood for the shift that brings it onto ink
   (chamfer matching, Barrow et al. 1977);
2. ink is assigned to the nearest point of a curve and each stroke is turned and scaled towards its ink (the closest
   points of Besl and McKay 1992), then solved for: a ridge problem that is held near the moved stroke by a weight that
   grows with k², so that place follows first and detail only where ink asks for it; again and again, until strokes
   come no nearer to the ink;
3. a closed stroke whose ink forms a loop is replaced by that loop, by arc length, started where its own start moved to;
4. strokes that lost their ink are retired, and ink that no stroke covers is traced into free slots;
5. harmonics are shared out anew among all strokes, to those that lose most without them.

Where lines of several objects cross, a stroke follows the ink that is nearest to it and to no other stroke; the rest of
it is hidden, and keeps its form. Shots, between cuts that are known or found from the ink, are tracked apart. A shot is
tracked forwards, and, if strokes are born on the way, backwards, too: objects are distinguished best where they do not
overlap, and that may be at the end. The direction that needs fewer strokes is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import scipy.fft
from scipy.spatial import cKDTree

from sketch2video.curves.sequence import CurveSequence, cosines
from sketch2video.curves.series import (
    LEFT,
    close,
    direct_canonically,
    project,
    resample,
    start_canonically,
    tails,
)
from sketch2video.curves.trace import Line, link, thin, trace

POINTS = 64
"""Pen positions at which a stroke meets the ink."""

TOLERANCE = 0.15
"""Root mean square error, in px, below which more harmonics would only draw the pixels' staircase."""

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

_RUN = 8
"""Harmonics that are looked ahead when they are shared out."""

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
    past = _Past.empty(frames, strokes, harmonics)
    for shot in np.split(np.arange(frames), np.flatnonzero(find_cuts(skeletons) if cuts is None else cuts)):
        lives = int(past.life.max())
        tracker = partial(_Tracker, height, width, budget, strokes, harmonics, rounds, stiffness, lives)
        pictures = [skeletons[t] for t in shot]
        found = _track(tracker(), pictures)
        if found.count_lives() > np.count_nonzero(found.life[:1]):
            found = min(found, _track(tracker(), pictures, -1), key=_Past.count_lives)
        past.coefficients[shot], past.life[shot], past.closed[shot] = found.coefficients, found.life, found.closed
    start_canonically_for_life(past.coefficients, past.life, past.closed)
    coefficients, visibility = in_order(past.coefficients, past.life)
    return CurveSequence((coefficients / width).astype(np.float32), visibility)


def find_cuts(skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """Where drawings through time, bool (H, W) each, are of another shot than the one before: (T,) bool."""
    spectra = [_spectrum(skeleton) if skeleton.any() else None for skeleton in skeletons]
    return np.array([False, *(a is not None and b is not None and _likeness(a, b) < CUT for a, b in pairwise(spectra))])


def _track(tracker: _Tracker, skeletons: Sequence[np.ndarray], step: int = 1) -> _Past:
    """Carry strokes through the frames of a shot, forwards (1) or backwards (-1)."""
    past = _Past.empty(len(skeletons), *tracker.coefficients.shape[::2])
    for t in range(len(skeletons))[::step]:
        tracker.advance(skeletons[t])
        past.keep(t, tracker)
    return past


def _checked(ink: np.ndarray) -> np.ndarray:
    ink = np.asarray(ink)
    if ink.ndim != 3 or 0 in ink.shape:
        raise ValueError(f"ink must have the shape (frames, height, width), none of them zero, not {ink.shape}")
    if ink.dtype == np.bool_:
        return ink
    if ink.dtype != np.uint8:
        raise TypeError(f"ink must be uint8 (255 ink on 0) or bool, not {ink.dtype}")
    return ink > 127


@dataclass
class _Past:
    """What was tracked: coefficients (T, S, 2, K) px; (T, S) the life of each stroke, 0 for none; (T, S) if closed."""

    coefficients: np.ndarray
    life: np.ndarray
    closed: np.ndarray

    @classmethod
    def empty(cls, frames: int, strokes: int, harmonics: int) -> _Past:
        """No stroke in any frame."""
        return cls(np.zeros((frames, strokes, 2, harmonics)), *np.zeros((2, frames, strokes), np.int64))

    def count_lives(self) -> int:
        """How many strokes there are in all."""
        return int(np.count_nonzero(np.unique(self.life)))

    def keep(self, t: int, tracker: _Tracker) -> None:
        """Remember the present frame of the tracker as frame ``t``."""
        self.coefficients[t] = tracker.coefficients * tracker.alive[:, None, None]
        self.life[t] = tracker.life * tracker.alive
        self.closed[t] = tracker.closed & tracker.alive


@dataclass
class _Frame:
    """The ink of a frame: (N, 2) px, distances to it, and which ink pixel is nearest to each pixel."""

    skeleton: np.ndarray
    ink: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray

    @classmethod
    def of(cls, skeleton: np.ndarray) -> _Frame:
        rows, columns = np.nonzero(skeleton)
        ink = np.stack([columns, rows], 1) + 0.5
        if not len(ink):
            return cls(skeleton, ink, np.zeros(skeleton.shape, np.float32), np.zeros(skeleton.shape, np.int64))
        empty = (~skeleton).astype(np.uint8)
        distance, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        place = np.zeros(int(labels.max()) + 1, np.int64)
        place[labels[rows, columns]] = np.arange(len(ink))
        return cls(skeleton, ink, distance, place[labels])

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels nearest to ``points`` (..., 2)."""
        height, width = self.skeleton.shape
        columns = np.clip(points[..., 0], 0, width - 1).astype(np.int64)
        return np.clip(points[..., 1], 0, height - 1).astype(np.int64), columns

    def distance_from(self, points: np.ndarray) -> np.ndarray:
        """Distance in px of ``points`` (..., 2) to the ink; outside the frame it goes on growing."""
        height, width = self.skeleton.shape
        outside = np.maximum(0.0, np.maximum(-points, points - (width, height))).sum(-1)
        return self.distance[self.at(points)] + outside

    def distance_from_shifted(self, points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Distances as of :meth:`distance_from` after every shift of ``offsets`` (D,): (M, n, 2) -> (M, D, D, n).

        The first D is of shifts to the right, the second of shifts down.
        """
        size = np.array(self.skeleton.shape[::-1])
        moved = points[:, None] + offsets[:, None, None]
        outside = np.maximum(0.0, np.maximum(-moved, moved - size))
        places = np.clip(moved, 0, size - 1).astype(np.int64) * (1, size[0])
        distance = self.distance.ravel()[places[:, :, None, :, 0] + places[:, None, :, :, 1]]
        return distance + (outside[:, :, None, :, 0] + outside[:, None, :, :, 1])


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
        lives: int,
    ) -> None:
        self.size = width
        self.budget = budget - strokes  # what is left for coefficients
        self.rounds = rounds
        self.coefficients = np.zeros((strokes, 2, harmonics))
        self.alive = np.zeros(strokes, bool)
        self.closed = np.zeros(strokes, bool)
        self.velocity = np.zeros((strokes, 2))
        self.life = np.zeros(strokes, np.int64)  # names what lives in a slot
        self.life_count = lives
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
        frame = _Frame.of(skeleton)
        before = self.alive.copy()
        if not len(frame.ink):
            self.alive[:] = False
            return
        if self.alive.any():
            self._follow(frame)
            self._close_rings(frame)
        uncovered = frame.ink[self._distance_to_strokes(frame.ink) > self.reach]
        if len(uncovered):
            # A slot rests for a frame between two strokes: they must not look like one stroke that jumps.
            self._give_birth(uncovered, frame, np.flatnonzero(~self.alive & ~before))
        self._share_harmonics()

    def samples(self, which: np.ndarray) -> np.ndarray:
        """Strokes ``which`` at the midpoint grid: (M, n, 2) px."""
        return np.matmul(self.basis, self.coefficients[which].swapaxes(-1, -2))

    def _distance_to_strokes(self, points: np.ndarray) -> np.ndarray:
        which = np.flatnonzero(self.alive)
        if not len(which):
            return np.full(len(points), np.inf)
        return np.asarray(cKDTree(self.samples(which).reshape(-1, 2)).query(points)[0])

    # Following

    def _follow(self, frame: _Frame) -> None:
        which = np.flatnonzero(self.alive)
        before = self.coefficients[which]
        moved = before.copy()
        length = self._lengths(before)
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
        *_, owner = _meet(points, frame, self.reach)
        owned = np.bincount(owner + 1, minlength=len(which) + 1)[1:] / np.maximum(self._lengths(moved), 1.0)
        for i in np.flatnonzero(self.closed[which] & (inked > 0.5) & (length > OUTLINE * self.size)):
            loop = self._loop([points[i]], frame, (owner >= 0) & (owner != i))
            if loop is not None:
                moved[i] = self._follow_loop(moved[i], rigid[i], loop)
        # A closed stroke may be hidden in part, and the part that is hidden is far from any ink.
        near = self.closed[which] | (apart < STRAY * self.size)
        keep = (inked > 0.5) & (owned > OWNED) & near & (self._lengths(moved) > 0.4 * length)
        self.velocity[which] = moved[..., 0] - before[..., 0]
        self.coefficients[which] = moved
        self.alive[which[~keep]] = False

    def _momentum(self, which: np.ndarray, length: np.ndarray) -> np.ndarray:
        """How strokes are expected to go on, (M, 2): long ones as they went, short ones with the others."""
        own = self.velocity[which]
        common = np.average(own, axis=0, weights=length + 1e-9)
        weight = (length / (length + PLAIN * self.size))[:, None]
        return weight * own + (1 - weight) * common

    def _lengths(self, coefficients: np.ndarray) -> np.ndarray:
        steps = np.diff(np.matmul(self.basis, coefficients.swapaxes(-1, -2)), axis=1)
        return np.hypot(steps[..., 0], steps[..., 1]).sum(1)

    def _search(self, coefficients: np.ndarray, length: np.ndarray, frame: _Frame) -> np.ndarray:
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

    def _stays(self, before: np.ndarray, moved: np.ndarray, frame: _Frame) -> np.ndarray:
        """Which strokes (M,) lie on ink as well where they were: a line's motion along itself cannot be seen."""
        there, here = (
            np.minimum(frame.distance_from(np.matmul(self.basis[::4], c.swapaxes(-1, -2))), 2.5 * self.reach).mean(-1)
            for c in (before, moved)
        )
        return np.asarray(there <= here + STAY)

    def _targets(self, coefficients: np.ndarray, frame: _Frame, reach: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Where each pen position should be, and how far the ink is from the strokes as they are.

        Returns:
            The weight (M, n) of each target, 0 where no ink is in reach; the targets (M, n, 2), px; the discrepancy:
            the mean distance in px from ink to the nearest stroke, none counted as more than :attr:`reach`.
        """
        points = np.matmul(self.basis, coefficients.swapaxes(-1, -2))
        count, n = points.shape[:2]
        distance, nearest, owner = _meet(points, frame, reach)
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

    def _loop(self, polylines: Sequence[np.ndarray], frame: _Frame, foreign: np.ndarray) -> Line | None:
        """The loop that the ink near polylines (n, 2) forms, if it forms one about as long as they are.

        ``foreign`` (N,) is ink that belongs to other strokes.
        """
        near = np.zeros(frame.skeleton.shape, np.uint8)
        pixels = [(points * 16 - 8).round().astype(np.int32) for points in polylines]
        cv2.polylines(near, pixels, False, 1, 2 * int(self.reach) + 1, cv2.LINE_8, 4)
        ink = frame.skeleton & (near > 0)
        ink[frame.at(frame.ink[foreign])] = False
        length = sum(float(np.hypot(*np.diff(points, axis=0).T).sum()) for points in polylines)
        if not len(_regions(ink, self.gap, 0.01 * length**2)[1]):
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
        counts = share_harmonics(series, self._lengths(series), self.budget // 2)
        series[np.broadcast_to((np.arange(self.harmonics) >= counts[:, None])[:, None], series.shape)] = 0.0
        closed = self.closed[which]
        series[closed] = close(series[closed])
        self.coefficients[which] = series

    # Births

    def _give_birth(self, uncovered: np.ndarray, frame: _Frame, free: np.ndarray) -> None:
        mask = np.zeros(frame.skeleton.shape, bool)
        mask[uncovered[:, 1].astype(int), uncovered[:, 0].astype(int)] = True
        shortest = SHORTEST * self.size if self.alive.any() else 0.0
        lines = trace(_without_specks(mask, shortest / 2), self.gap, shortest)
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
            self.velocity[slot], self.life[slot] = 0.0, self.life_count

    def _make_room(self, length: float) -> None:
        """Retire the shortest stroke if a line more than twice as long as it has to wait for a slot."""
        which = np.flatnonzero(self.alive)
        if len(which):
            lengths = self._lengths(self.coefficients[which])
            if 2 * lengths.min() < length:
                self.alive[which[np.argmin(lengths)]] = False

    def _close_rings(self, frame: _Frame) -> None:
        """Retire open strokes that together draw one loop; its ink is then uncovered and born as one closed stroke."""
        alive = np.flatnonzero(self.alive)
        if self.closed[alive].all():
            return
        places, lengths = frame.at(self.samples(alive)), self._lengths(self.coefficients[alive])
        nearby = np.ones((2 * int(self.reach) + 1,) * 2, np.uint8)
        for region in _enclosed(frame.skeleton, self.gap, 0.01 * (RING * self.size) ** 2):
            border = frame.skeleton & (cv2.dilate(region, np.ones((5, 5), np.uint8)) > 0)
            on = cv2.dilate(border.astype(np.uint8), nearby)[places].mean(1) > 0.8
            drawn = lengths[on].sum()
            if self.closed[alive[on]].any() or drawn < 0.6 * max(float(np.count_nonzero(border)), RING * self.size):
                continue
            lines = trace(border, self.gap)
            if lines and lines[0].closed and RING * self.size < lines[0].length < drawn / 0.6:
                self.alive[alive[on]] = False


def _meet(points: np.ndarray, frame: _Frame, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the ink of a frame meets strokes, whose points are (M, n, 2).

    Returns:
        For each pixel of ink (N,): the distance in px to the nearest point, infinite beyond ``reach``; the number of
        that point among all M n; and the stroke that it belongs to, -1 beyond ``reach``.
    """
    tree = cKDTree(points.reshape(-1, 2), balanced_tree=False, compact_nodes=False)
    distance, nearest = map(np.asarray, tree.query(frame.ink, distance_upper_bound=reach))
    return distance, nearest, np.where(np.isfinite(distance), nearest // points.shape[1], -1)


def _regions(ink: np.ndarray, gap: float, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Regions of at least ``area`` pixels that lines, up to small gaps, go round.

    Returns:
        Labels (H, W) of all regions, and those of the regions in question: all but the one outside.
    """
    side = 2 * int(gap / 2) + 1
    walls = cv2.dilate(np.pad(ink.astype(np.uint8), side), np.ones((side, side), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - walls, connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= area
    large[[0, labels[0, 0]]] = False
    return labels[side:-side, side:-side], np.flatnonzero(large)


def _enclosed(ink: np.ndarray, gap: float, area: float) -> Iterator[np.ndarray]:
    """The regions of :func:`_regions`, with the ink around them that was widened: uint8 (H, W) masks."""
    labels, regions = _regions(ink, gap, area)
    side = 2 * int(gap / 2) + 1
    for region in regions:
        yield cv2.dilate((labels == region).astype(np.uint8), np.ones((side, side), np.uint8))


def _without_specks(mask: np.ndarray, least: float) -> np.ndarray:
    """Connected parts of at least ``least`` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    return np.asarray(kept[labels])


def alignment(ring: np.ndarray, other: np.ndarray) -> float:
    """By how many samples ``other`` must be rotated to run beside ``ring``: both (n, 2), closed, evenly sampled.

    The least mean square distance after a shift of place is where the circular cross-correlation peaks; a parabola
    finds the peak between samples, since a start that jumps from sample to sample would shake the whole stroke.
    """
    z, w = (points @ [1, 1j] for points in (ring, other))
    likeness = np.fft.ifft(np.conj(np.fft.fft(z - z.mean())) * np.fft.fft(w - w.mean())).real
    top = int(np.argmax(likeness))
    before, peak, after = (float(likeness[(top + i) % len(z)]) for i in (-1, 0, 1))
    return top + 0.5 * (before - after) / min(before - 2 * peak + after, -1e-9)


def rotate(ring: np.ndarray, by: float) -> np.ndarray:
    """Start a closed ring of samples (..., n, 2) ``by`` samples later, linearly interpolated."""
    n = ring.shape[-2]
    at = (np.arange(n) + by) % n
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return ring[..., low % n, :] * (1 - part) + ring[..., (low + 1) % n, :] * part


def start_canonically_for_life(coefficients: np.ndarray, life: np.ndarray, closed: np.ndarray) -> None:
    """Start every closed stroke, over its whole life, where its median outline is topmost; in place.

    One frame's pixels decide badly where a round outline is topmost; all frames of its life together decide well.

    Args:
        coefficients: (T, S, 2, K), px.
        life: (T, S), which life a stroke belongs to; 0: none.
        closed: (T, S), non-zero for closed strokes.
    """
    harmonics = coefficients.shape[-1]
    n = max(POINTS, 4 * harmonics)
    basis = cosines(n, harmonics, midpoints=True)
    for name in np.unique(life[closed > 0]):
        lived = life == name
        rings = np.matmul(basis, coefficients[lived].swapaxes(-1, -2))
        centred = rings - rings.mean(1, keepdims=True)
        usual = np.median(centred / (np.abs(centred).mean((1, 2), keepdims=True) + 1e-9), axis=0)
        start = int(np.argmin(usual[:, 1] + LEFT * usual[:, 0]))
        if start not in (0, n - 1):
            used = coefficients[lived] != 0
            coefficients[lived] = close(project(rotate(rings, start), harmonics) * used)


def in_order(coefficients: np.ndarray, life: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strokes by the rule: earlier births first, of one frame's births the longer first, each in the first free slot.

    A slot rests for a frame between two lives where it can, so that they do not look like one stroke that jumps.

    Returns:
        Coefficients (T, S, 2, K) and visibility (T, S) float32.
    """
    frames, strokes, _, harmonics = coefficients.shape
    names = [int(name) for name in np.unique(life) if name]
    times = {name: np.flatnonzero((life == name).any(1)) for name in names}
    births = np.array([coefficients[times[name][0]][life[times[name][0]] == name][0] for name in names])
    points = np.matmul(births.reshape(-1, 2, harmonics), cosines(POINTS, harmonics).T)
    lengths = np.hypot(*np.moveaxis(np.diff(points, axis=-1), 1, 0)).sum(-1)
    out, taken = np.zeros_like(coefficients), np.zeros((frames + 2, strokes), bool)  # a frame before and one after
    visibility = np.zeros((frames, strokes), np.float32)
    for i in sorted(range(len(names)), key=lambda i: (times[names[i]][0], -lengths[i], names[i])):
        lived = times[names[i]]
        first, last = lived[0], lived[-1]
        rested = np.flatnonzero(~taken[first : last + 3].any(0))
        free = rested if len(rested) else np.flatnonzero(~taken[first + 1 : last + 2].any(0))
        slot = free[0]
        taken[first + 1 : last + 2, slot] = True
        out[lived, slot] = coefficients[life == names[i]]
        visibility[lived, slot] = 1.0
    return out, visibility


def share_harmonics(series: np.ndarray, lengths: np.ndarray, total: int) -> np.ndarray:
    """Share ``total`` harmonics among strokes by need.

    Each stroke has two; the others go, one after another, to whichever stroke loses most squared error by its next
    ones (a run of up to eight, since every other harmonic of a symmetrical line is zero), weighted by its length, until
    all errors are below the tolerance or nothing is left.

    Args:
        series: (M, 2, K), full series of the strokes, px.
        lengths: (M,), px.
        total: harmonics to share, at least 2 M.

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
    gain = np.minimum.accumulate(gain[:, 2:], axis=1)  # a harmonic is never had before the one below it
    wanted = np.sort(gain, axis=None)[::-1]
    left = total - 2 * len(series)
    if left <= 0:
        return np.full(len(series), 2)
    least = wanted[left - 1] if left <= gain.size else 0.0
    counts = 2 + (gain > least).sum(1)
    for stroke in np.flatnonzero((gain == least).any(1)) if least > 0 else ():
        counts[stroke] += min(int((gain[stroke] == least).sum()), total - int(counts.sum()))
    return np.asarray(counts)
