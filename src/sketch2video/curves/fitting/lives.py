"""Selection of the stroke tracks of a shot from those that were tracked forwards and backwards.

An object that is occluded for a while is lost and found again: first as pieces of its outline, later as a whole.
Tracked forwards it is whole until it disappears, backwards it is whole from where it reappears. A life is the track of
one stroke. One that ends and one that begins later are joined if they coincide or have the same form, and the stroke
between them is occluded (:func:`join`). Lives, joined ones included, are then selected greedily to cover the ink
(:func:`cover`): few strokes remain, each for the frames in which it is needed, without pieces of complete outlines.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

import numpy as np

from sketch2video.curves.equation.nearest import put_distances_of_groups
from sketch2video.curves.fitting.coverage import best_run, without_ink
from sketch2video.curves.fitting.ink_map import InkFrame
from sketch2video.curves.fitting.order import alignment, rotate
from sketch2video.curves.fitting.series import close, plane_lengths, project, sampled_planes, samples

WORTH = 0.1
"""Ink, in frame widths summed over the frames, that a stroke must cover and no other does."""

PRICE = 0.4
"""Cost of a stroke in frame widths of uncovered ink."""

GAIN = 0.97
"""Strokes of several trackings are combined if the cost is at most this share of that of the best single one: the
strokes that cover most ink over all frames are not always tracked best."""

AGAIN = 0.25
"""Cost of a pixel of ink that is covered twice."""

HIDDEN_COST = 0.1
"""Cost of a pixel of a stroke without ink where it may be occluded; elsewhere it is 1."""

LONG = 0.3
"""Strokes shorter than this, in frame widths, are too similar and are not joined."""

ALIKE = 0.25
"""Root mean square difference, in units of their size, below which two strokes have the same form."""

GROWTH = 1.6
"""Factor by which the sizes of two strokes of one form may differ."""

SWITCH = 2.5
"""Largest distance, in units of the reach of ink, of two strokes at their joint."""

LONGEST = 8
"""Largest number of frames for which a stroke may be occluded."""

STEP = 0.12
"""Largest motion between two frames of an occluded stroke, frame widths."""

CUT = 3
"""Frames at the end of one life and at the beginning of another that may be dropped where they are joined: the track of
a stroke that is nearly occluded is poor."""

LEFT_OUT = 0.02
"""Decrease of the difference of form that justifies dropping a frame."""

SEEN = 0.7
"""Share of a joined stroke, between its two lives, that must be on ink or occluded."""


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
    """A life, and its coverage of the ink of a shot.

    Attributes:
        life: of L frames.
        ink: the range of the shot's ink that is in these frames.
        apart: the distance in px from each of this ink to the stroke, infinite beyond the reach.
        cost: (L,) px that are drawn where there is no ink; see :data:`HIDDEN_COST`.
    """

    life: Life
    ink: slice
    apart: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class Shot:
    """The ink of a shot's frames, and the regions of possible occlusion.

    Attributes:
        frames: T frames.
        starts: (T + 1,), of the ink of each frame in that of the shot, and its end.
        distance: (T, H, W) px, of each pixel to the ink.
        inside: (T, H, W) bool, pixels that lines surround.
        reach: distance in px at which ink is drawn by a stroke.
    """

    frames: Sequence[InkFrame]
    starts: np.ndarray
    distance: np.ndarray
    inside: np.ndarray
    reach: float

    @classmethod
    def of(cls, frames: Sequence[InkFrame], reach: float, gap: float) -> Shot:
        """Of the ink of frames; regions count as enclosed up to gaps of ``gap`` px."""
        distance, inside = (
            np.stack(maps)
            for maps in zip(*((frame.distance, frame.regions(gap).surrounded) for frame in frames), strict=True)
        )
        starts = np.cumsum([0, *(len(frame.ink) for frame in frames)])
        return cls(frames, starts, distance, inside, reach)

    @property
    def size(self) -> int:
        """Width of the frames, px."""
        return int(self.inside.shape[2])

    def measured(self, lives: Sequence[Life]) -> list[Measured]:
        """Coverage of the ink by each of several lives."""
        if not lives:
            return []
        parts = np.cumsum([0, *(len(life.coefficients) for life in lives)])
        frames = np.concatenate([np.arange(life.first, life.end) for life in lives])
        points = sampled_planes(np.concatenate([life.coefficients for life in lives]))
        bare, open_ = without_ink(points, frames, self.distance, self.inside, self.reach)
        cost = plane_lengths(points) * (open_ + HIDDEN_COST * (bare - open_)) / points.shape[-1]
        ink = [self.ink_of(life) for life in lives]
        sizes = np.cumsum([0, *(part.stop - part.start for part in ink)])
        apart = np.full(sizes[-1], np.inf)
        owner = np.repeat(np.arange(len(lives)), np.diff(parts))
        # Of each frame of each life, where its ink starts in all the distances.
        starts = sizes[owner] + self.starts[frames] - np.array([part.start for part in ink])[owner]
        for t, frame in enumerate(self.frames):
            now = np.flatnonzero(frames == t)
            put_distances_of_groups(points[now].swapaxes(-1, -2), frame.ink, self.reach, apart, starts[now])
        shares = np.split(apart, sizes[1:-1]), np.split(cost, parts[1:-1])
        return [Measured(*each) for each in zip(lives, ink, *shares, strict=True)]

    def ink_of(self, life: Life) -> slice:
        """The range of the shot's ink in the frames of a life."""
        return slice(int(self.starts[life.first]), int(self.starts[life.end]))

    def part(self, one: Measured, first: int, end: int) -> Measured:
        """A measured life in frames ``first`` to ``end`` alone."""
        life = one.life.part(first, end)
        ink = self.ink_of(life)
        apart = one.apart[ink.start - one.ink.start : ink.stop - one.ink.start]
        return Measured(life, ink, apart, one.cost[first - one.life.first : end - one.life.first])

    def accounted(self, life: Life) -> float:
        """The least share, over the frames of a life, of its points that are on ink or occluded."""
        points, frames = sampled_planes(life.coefficients), np.arange(life.first, life.end)
        open_ = without_ink(points, frames, self.distance, self.inside, self.reach)[1]
        return 1 - float(open_.max(initial=0)) / points.shape[-1]


def needed(ways: Sequence[Sequence[Life]], shot: Shot, strokes: int) -> Sequence[Life]:
    """The lives that draw a shot best: one of several trackings, or a cover of the ink by lives of all.

    Args:
        ways: the lives of each tracking, which is a complete drawing.
        shot: the ink.
        strokes: most strokes of a frame.
    """
    pieces = [life for way in ways for life in way]
    measured = iter(shot.measured([*pieces, *joins(pieces, shot)]))
    drawn = [list(islice(measured, len(way))) for way in ways]
    covered = cover([*measured, *chain(*drawn)], shot)
    lives = [one.life for one in covered]
    prices = [_price(way, shot) for way in drawn]
    if most_at_once(lives) > strokes or _price(covered, shot) > GAIN * min(prices):
        return ways[int(np.argmin(prices))]
    return lives


def joins(pieces: Sequence[Life], shot: Shot) -> list[Life]:
    """Lives of two or three of the pieces, one after another."""
    lines = np.stack([sampled_planes(life.coefficients).mean(0) for life in pieces])
    long = [one for one, length in zip(pieces, plane_lengths(lines), strict=True) if length > LONG * shot.size]
    found = [two for one in long for other in long if (two := join(one, other, shot)) is not None]
    return found + [three for two in found for other in long if (three := join(two, other, shot)) is not None]


def join(one: Life, other: Life, shot: Shot) -> Life | None:
    """One life of two, the other of which begins and ends later; None where they are not of one stroke."""
    if one.closed != other.closed or one.first >= other.first or one.end >= other.end:
        return None
    if other.first < one.end:
        steps = one.coefficients[other.first - one.first :, :, 0] - other.coefficients[: one.end - other.first, :, 0]
        near = np.flatnonzero((steps**2).sum(1) <= (SWITCH * shot.reach) ** 2) + other.first
        apart, t = min(((_distance(one.at(t), other.at(t), one.closed), t) for t in near.tolist()), default=(np.inf, 0))
        if apart <= SWITCH * shot.reach:
            return _together(one.part(one.first, t), other.part(t, other.end), one.at(t))
    if not -2 * CUT <= other.first - one.end <= LONGEST:
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
    """Lives that together cover the ink, chosen greedily, each in the frames in which it covers new ink."""
    drawn = [np.isfinite(one.apart) for one in candidates]
    left = np.ones(shot.starts[-1], bool)

    def gain(index: int) -> tuple[int, int, float]:
        """The range of frames in which the gain of a candidate is largest, from the first of its life, and the gain."""
        one = candidates[index]
        starts = shot.starts[one.life.first : one.life.end + 1]
        return best_run(drawn[index], left[one.ink], starts, one.cost, AGAIN)

    # A choice only reduces the gains of others: a candidate that is still the best after an update is the best.
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
        chosen.append(shot.part(candidates[index], born + first, born + end))
        left[chosen[-1].ink] &= ~np.isfinite(chosen[-1].apart)
    return chosen


def _price(lives: Sequence[Measured], shot: Shot) -> float:
    """Cost in px: uncovered ink, in proportion to its distance, strokes without ink, and the number of strokes."""
    apart = np.full(shot.starts[-1], shot.reach)
    for one in lives:
        np.minimum(apart[one.ink], one.apart, out=apart[one.ink])
    bare = sum(float(one.cost.sum()) for one in lives)
    return float(apart.sum()) / shot.reach + bare + PRICE * shot.size * len(lives)


def most_at_once(lives: Sequence[Life]) -> int:
    """The most lives of one frame."""
    alive = np.zeros(max((life.end for life in lives), default=0) + 1, int)
    for life in lives:
        alive[life.first : life.end] += 1
    return int(alive.max())


def _together(one: Life, other: Life, beside: np.ndarray | None = None) -> Life:
    """One life before another; the other starts where the one does, and the frames between are interpolated linearly.

    ``beside`` (2, K) is the stroke to which the other's first frame is aligned; the last of the one if None.
    """
    beside = one.coefficients[-1] if beside is None else beside
    later = _aligned(beside, other.coefficients, one.closed)
    gap = other.first - one.end
    share = (np.arange(gap) + 1.0)[:, None, None] / (gap + 1)
    between = (1 - share) * one.coefficients[-1:] + share * later[:1] if gap else later[:0]
    return Life(one.first, np.concatenate([one.coefficients, between, later]), one.closed)


def _aligned(beside: np.ndarray, series: np.ndarray, closed: bool) -> np.ndarray:
    """Series (L, 2, K), started, or turned round, so that the first of them is aligned to (2, K)."""
    if closed:
        rings = samples(series)
        used = series != 0
        return close(project(rotate(rings, alignment(samples(beside), rings[0])), series.shape[-1]) * used)
    sign = np.where(np.arange(series.shape[-1]) % 2, -1.0, 1.0)
    turned = series * sign
    centred = beside[:, 1:]
    nearer = ((turned[0, :, 1:] - centred) ** 2).sum() < ((series[0, :, 1:] - centred) ** 2).sum()
    return np.asarray(turned if nearer else series)


def _distance(one: np.ndarray, other: np.ndarray, closed: bool) -> float:
    """Root mean square distance in px of two strokes (2, K) after alignment."""
    other = _aligned(one, other[None], closed)[0]
    return float(np.sqrt(((samples(one) - samples(other)) ** 2).sum(-1).mean()))


def _difference(one: np.ndarray, other: np.ndarray, closed: bool) -> float:
    """Difference of form of two strokes (2, K), in units of their size; infinite if their sizes differ much."""
    sizes = [float(np.sqrt((part[:, 1:] ** 2).sum() / 2)) for part in (one, other)]
    if min(sizes) <= 0 or max(sizes) > GROWTH * min(sizes):
        return np.inf
    forms = [part / size for part, size in zip((one, other), sizes, strict=True)]
    for form in forms:
        form[:, 0] = 0.0
    return _distance(forms[0], forms[1], closed)
