"""Which lives of strokes a shot needs, of those that were tracked forwards and backwards.

An object that others hide for a while is lost and found again: as pieces of its outline first, as a whole later.
Tracked forwards it is whole until it vanishes, backwards it is whole from where it comes out. A life that ends and one
that begins later are joined where they run on each other or have the same form, and what lies between is hidden
(:func:`join`). Of all lives, joined ones among them, the ink is then covered greedily (:func:`cover`): what remains are
few strokes, each for as long as it is needed, and pieces of outlines that a whole one draws anyway are gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product

import numpy as np
from scipy.spatial import cKDTree

from sketch2video.curves.fitting.ink_map import InkFrame, surrounded
from sketch2video.curves.fitting.order import alignment, rotate
from sketch2video.curves.fitting.series import close, polyline_lengths, project, samples

WORTH = 0.1
"""Ink, in frame widths summed over the frames, that a stroke must draw and no other does."""

PRICE = 0.4
"""Ink, in frame widths, that may be missing, or drawn with its whole distance from a stroke, for a stroke less."""

GAIN = 0.97
"""Strokes of several trackings are mixed where that makes the price at most this share of the best one's: what draws
most, all frames together, is not always what follows best."""

AGAIN = 0.25
"""What a pixel of ink costs that a stroke draws once more."""

HIDDEN_COST = 0.1
"""What a pixel of a stroke costs where there is no ink and something may hide it; in the open it costs 1."""

LONG = 0.3
"""Strokes shorter than this, in frame widths, look alike and are not joined."""

ALIKE = 0.25
"""Root mean square difference, in units of their size, below which two strokes have the same form."""

GROWTH = 1.6
"""Factor by which the sizes of two strokes of one form may differ."""

SWITCH = 2.5
"""How far apart, in units of the reach of ink, two strokes may run where one takes over from the other."""

LONGEST = 8
"""Frames for which a stroke may be hidden."""

STEP = 0.12
"""Frame widths that a stroke may move between two frames where it is hidden."""

CUT = 3
"""Frames at the end of one life and at the beginning of another that may be left out where they are joined: a stroke
that is nearly hidden is not seen well."""

LEFT_OUT = 0.02
"""Difference of form that a frame which is left out must make up for."""

SEEN = 0.7
"""Share of a joined stroke, between its two lives, that must be on ink or hidden."""


@dataclass(frozen=True)
class Life:
    """One stroke from its birth to its death.

    Attributes:
        first: the frame of its birth.
        coefficients: (L, 2, K) px, of L frames.
        closed: whether it ends where it starts.
    """

    first: int
    coefficients: np.ndarray
    closed: bool

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.first + len(self.coefficients)

    def at(self, t: int) -> np.ndarray:
        """Coefficients (2, K) in frame ``t``."""
        return self.coefficients[t - self.first]

    def part(self, first: int, end: int) -> Life:
        """The same stroke in frames ``first`` to ``end``."""
        return Life(first, self.coefficients[first - self.first : end - self.first], self.closed)


@dataclass(frozen=True)
class Measured:
    """A life, and what it draws of a shot.

    Attributes:
        life: of L frames.
        apart: in each of them the distance from ink to the stroke, infinite beyond the reach: (N,) px.
        cost: (L,) px that are drawn where there is no ink; see :data:`HIDDEN_COST`.
    """

    life: Life
    apart: Sequence[np.ndarray]
    cost: np.ndarray

    def part(self, first: int, end: int) -> Measured:
        """The same stroke in frames ``first`` to ``end``."""
        kept = slice(first - self.life.first, end - self.life.first)
        return Measured(self.life.part(first, end), self.apart[kept], self.cost[kept])


@dataclass(frozen=True)
class Shot:
    """The ink of a shot's frames, and what may be hidden in it.

    Attributes:
        frames: T frames.
        inside: (T, H, W) bool, what lines go round.
        reach: distance in px at which ink is drawn by a stroke.
    """

    frames: Sequence[InkFrame]
    inside: np.ndarray
    reach: float

    @classmethod
    def of(cls, skeletons: Sequence[np.ndarray], reach: float, gap: float) -> Shot:
        """Of skeletons (H, W) bool; lines with gaps of ``gap`` px go round something, too."""
        inside = np.stack([surrounded(skeleton, gap) for skeleton in skeletons])
        return cls([InkFrame.of(skeleton) for skeleton in skeletons], inside, reach)

    @property
    def size(self) -> int:
        """Width of the frames, px."""
        return int(self.inside.shape[2])

    def measured(self, life: Life) -> Measured:
        """What a life draws."""
        return Measured(life, self._apart(life), self._cost(life))

    def _apart(self, life: Life) -> list[np.ndarray]:
        return [
            np.asarray(cKDTree(points).query(frame.ink, distance_upper_bound=self.reach)[0])
            for points, frame in zip(samples(life.coefficients), self.frames[life.first : life.end], strict=True)
        ]

    def _cost(self, life: Life) -> np.ndarray:
        costs = []
        for t, points in enumerate(samples(life.coefficients), life.first):
            bare = self.frames[t].distance_from(points) > self.reach
            hidden = self.inside[t][self.frames[t].at(points)]
            weight = np.where(hidden, HIDDEN_COST, 1.0) * bare
            costs.append(polyline_lengths(points) * weight.mean())
        return np.array(costs)

    def accounted(self, life: Life) -> float:
        """The least share, over the frames of a life, of its points that are on ink or hidden."""
        open_ = [
            float(self.frames[t].in_the_open(points, self.inside[t], self.reach).mean())
            for t, points in enumerate(samples(life.coefficients), life.first)
        ]
        return 1 - max(open_, default=0.0)


def needed(ways: Sequence[Sequence[Life]], shot: Shot, strokes: int) -> Sequence[Life]:
    """The lives that draw a shot best: one of several trackings as it is, or what covers the ink of all together.

    Args:
        ways: lives that were tracked, each way a whole drawing.
        shot: what is drawn.
        strokes: most strokes of a frame.
    """
    pieces = [life for way in ways for life in way]
    drawn = [[shot.measured(life) for life in way] for way in ways]
    covered = cover([*map(shot.measured, joins(pieces, shot)), *chain(*drawn)], shot)
    lives = [one.life for one in covered]
    prices = [_price(way, shot) for way in drawn]
    if most_at_once(lives) > strokes or _price(covered, shot) > GAIN * min(prices):
        return ways[int(np.argmin(prices))]
    return lives


def joins(pieces: Sequence[Life], shot: Shot) -> list[Life]:
    """Lives of two or three of the pieces, one after another."""
    long = [one for one in pieces if polyline_lengths(samples(one.coefficients).mean(0)) > LONG * shot.size]
    found = [two for one in long for other in long if (two := join(one, other, shot)) is not None]
    return found + [three for two in found for other in long if (three := join(two, other, shot)) is not None]


def join(one: Life, other: Life, shot: Shot) -> Life | None:
    """One life of two, the other of which begins and ends later; None where they are not of one stroke."""
    if one.closed != other.closed or one.first >= other.first or one.end >= other.end:
        return None
    common = np.arange(other.first, one.end)
    if len(common):
        step = one.coefficients[common - one.first, :, 0] - other.coefficients[common - other.first, :, 0]
        near = common[np.hypot(step[:, 0], step[:, 1]) <= SWITCH * shot.reach]
        apart, t = min(((_apart(one.at(t), other.at(t), one.closed), int(t)) for t in near), default=(np.inf, 0))
        if apart <= SWITCH * shot.reach:
            return _together(one.part(one.first, t), other.part(t, other.end), one.at(t))
    if other.first - one.end > LONGEST:
        return None
    best: tuple[float, Life | None] = (ALIKE, None)
    for early, late in product(range(CUT + 1), repeat=2):
        end, begin = one.end - early, other.first + late
        if end - one.first < 2 or other.end - begin < 2 or end > begin:
            continue
        step = (other.at(begin) - one.at(end - 1))[:, 0]
        if np.hypot(*step) > STEP * shot.size * (begin - end + 1):
            continue
        difference = _difference(one.at(end - 1), other.at(begin), one.closed) + LEFT_OUT * (early + late)
        if difference >= best[0]:
            continue
        whole = _together(one.part(one.first, end), other.part(begin, other.end))
        if shot.accounted(whole.part(end, begin)) >= SEEN:
            best = difference, whole
    return best[1]


def cover(candidates: Sequence[Measured], shot: Shot) -> list[Measured]:
    """Lives that together draw the ink, chosen greedily, each in the frames in which it draws what others do not."""
    drawn = [[np.isfinite(apart) for apart in one.apart] for one in candidates]
    left = [np.ones(len(frame.ink), bool) for frame in shot.frames]

    def gain(index: int) -> tuple[int, int, float]:
        """The frames in which a candidate is worth most, from the first of its life, and what it is worth there."""
        alive = enumerate(drawn[index], candidates[index].life.first)
        new, all_ = np.array([(np.count_nonzero(d & left[t]), np.count_nonzero(d)) for t, d in alive]).T
        return _best_run(new - AGAIN * (all_ - new) - candidates[index].cost)

    # What is chosen only takes from the others: whoever is still the best after a look is the best.
    queue = [(-gain(index)[2], index) for index in range(len(candidates))]
    heapq.heapify(queue)
    chosen = []
    while queue:
        _, index = heapq.heappop(queue)
        first, end, worth = gain(index)
        if worth <= WORTH * shot.size:
            continue
        if queue and worth < -queue[0][0]:
            heapq.heappush(queue, (-worth, index))
            continue
        born = candidates[index].life.first
        chosen.append(candidates[index].part(born + first, born + end))
        for t in range(first, end):
            left[born + t] &= ~drawn[index][t]
    return chosen


def _best_run(gain: np.ndarray) -> tuple[int, int, float]:
    """Bounds and sum of the consecutive values with the largest sum (Kadane)."""
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(sums)
    end = int(np.argmax(sums - lowest))
    first = int(np.flatnonzero(sums[: end + 1] == lowest[end])[-1])
    return first, end, float(sums[end] - sums[first])


def _price(lives: Sequence[Measured], shot: Shot) -> float:
    """Ink that is not drawn, in part where it is drawn beside it, what is drawn without ink, and the strokes; px."""
    apart = [np.ones(len(frame.ink)) for frame in shot.frames]
    for one in lives:
        for t, distance in enumerate(one.apart, one.life.first):
            apart[t] = np.minimum(apart[t], distance / shot.reach)
    bare = sum(float(one.cost.sum()) for one in lives)
    return sum(float(ink.sum()) for ink in apart) + bare + PRICE * shot.size * len(lives)


def most_at_once(lives: Sequence[Life]) -> int:
    """The most lives of one frame."""
    alive = np.zeros(max((life.end for life in lives), default=0) + 1, int)
    for life in lives:
        alive[life.first : life.end] += 1
    return int(alive.max())


def _together(one: Life, other: Life, beside: np.ndarray | None = None) -> Life:
    """One life before another; the other starts where the one does, and what is between goes over evenly.

    ``beside`` (2, K) is what the other's first frame runs beside; the last of the one if None.
    """
    beside = one.coefficients[-1] if beside is None else beside
    later = _run_alike(beside, other.coefficients, one.closed)
    gap = other.first - one.end
    share = (np.arange(gap) + 1.0)[:, None, None] / (gap + 1)
    between = (1 - share) * one.coefficients[-1:] + share * later[:1] if gap else later[:0]
    return Life(one.first, np.concatenate([one.coefficients, between, later]), one.closed)


def _run_alike(beside: np.ndarray, series: np.ndarray, closed: bool) -> np.ndarray:
    """Series (L, 2, K), started, or turned round, so that the first of them runs beside (2, K)."""
    if closed:
        rings = samples(series)
        used = series != 0
        return close(project(rotate(rings, alignment(samples(beside), rings[0])), series.shape[-1]) * used)
    sign = np.where(np.arange(series.shape[-1]) % 2, -1.0, 1.0)
    turned = series * sign
    centred = beside[:, 1:]
    nearer = ((turned[0, :, 1:] - centred) ** 2).sum() < ((series[0, :, 1:] - centred) ** 2).sum()
    return np.asarray(turned if nearer else series)


def _apart(one: np.ndarray, other: np.ndarray, closed: bool) -> float:
    """Root mean square distance in px of two strokes (2, K) that run alike."""
    other = _run_alike(one, other[None], closed)[0]
    return float(np.sqrt(((samples(one) - samples(other)) ** 2).sum(-1).mean()))


def _difference(one: np.ndarray, other: np.ndarray, closed: bool) -> float:
    """How different two strokes (2, K) are in form, in units of their size; infinite where their sizes differ much."""
    sizes = [float(np.sqrt((part[:, 1:] ** 2).sum() / 2)) for part in (one, other)]
    if min(sizes) <= 0 or max(sizes) > GROWTH * min(sizes):
        return np.inf
    forms = [part / size for part, size in zip((one, other), sizes, strict=True)]
    for form in forms:
        form[:, 0] = 0.0
    return _apart(forms[0], forms[1], closed)
