"""Frame-by-frame tracking of strokes: which continue, which end, and which begin.

For each frame

1. every stroke is predicted with constant velocity, and registered to the ink
   (:class:`~sketch2video.curves.fitting.registration.Registration`), until the discrepancy no longer decreases;
2. a closed stroke whose ink forms a loop is replaced by that loop, by arc length, with the start nearest to its own;
3. strokes that lost their ink are retired; uncovered ink continues an outline that was occluded by
   others, if it is a part of it (:mod:`~sketch2video.curves.fitting.lost`), and is traced into free slots;
4. harmonics are reallocated among all strokes, to those whose error is largest without them.

Where lines of several objects cross, a stroke follows the ink that is nearest to it and to no other stroke; the rest of
it is occluded and keeps its form.
"""

from __future__ import annotations

import cv2
import numpy as np

from sketch2video.curves.fitting.harmonics import share_harmonics, truncated
from sketch2video.curves.fitting.ink_map import InkFrame, Regions, meet, near, without_specks
from sketch2video.curves.fitting.lives import LONGEST
from sketch2video.curves.fitting.lost import FOUND, Lost, placed
from sketch2video.curves.fitting.matching import distances_to_ink, moved_towards, shares_on
from sketch2video.curves.fitting.order import alignment, rotate
from sketch2video.curves.fitting.registration import Registration
from sketch2video.curves.fitting.series import (
    close,
    direct_canonically,
    grid_size,
    lengths,
    plane_lengths,
    planes,
    polyline_lengths,
    project,
    resample,
    sampled_planes,
    samples,
    start_canonically,
)
from sketch2video.curves.fitting.trace import Line, link, trace

OUTLINE = 0.3
"""A closed stroke longer than this, in frame widths, is an outline that is traced again in every frame."""

RING = 0.5
"""A loop longer than this, in frame widths, is replaced by one closed stroke where several open ones draw it."""

ON_RING = 0.8
"""Share of a stroke's points that must be near the border of a region for it to be a part of its loop."""

LINK = 0.15
"""Widest gap across which lines are joined, in frame widths, when there are more lines than strokes."""

SHORTEST = 0.05
"""Shortest uncovered ink that starts a new stroke, in frame widths."""

STRAY = 0.02
"""Mean distance to the ink, in frame widths, at which a stroke has lost it."""

OWNED = 0.2
"""Pixels of ink that are nearest to a stroke, for each pixel of its length, below which it is redundant."""

FALL = 0.15
"""A frame's rounds end when the last one reduced the discrepancy between ink and strokes by less than this share."""

SAME = 0.7
"""Share of a piece's points that must be on the outline that it is a piece of."""


class Tracker:
    """Strokes of the present frame, in px."""

    def __init__(
        self,
        width: int,
        budget: int,
        strokes: int,
        harmonics: int,
        rounds: int,
        stiffness: float,
    ) -> None:
        self.budget = budget - strokes  # remaining budget for coefficients
        self.rounds = rounds
        self.coefficients = np.zeros((strokes, 2, harmonics))
        self.points = np.zeros((strokes, 2, grid_size(harmonics)))  # of the strokes on the midpoint grid
        self.alive = np.zeros(strokes, bool)
        self.closed = np.zeros(strokes, bool)
        self.velocity = np.zeros((strokes, 2))
        self.life = np.zeros(strokes, np.int64)  # index of the life in a slot
        self.life_count = 0
        self.now = 0
        self.born = np.zeros(strokes, np.int64)
        self.lost: list[Lost] = []
        self.onto = Registration(width, harmonics, stiffness)

    @property
    def size(self) -> int:
        """Width of the frames, px."""
        return self.onto.size

    @property
    def reach(self) -> float:
        """Distance in px at which ink is drawn by a stroke."""
        return self.onto.reach

    @property
    def gap(self) -> float:
        """Largest gap within a line, px."""
        return self.onto.gap

    def advance(self, frame: InkFrame) -> None:
        """Track the strokes to the next frame."""
        self.now += 1
        before = self.alive.copy()
        if not len(frame.ink):
            self.alive[:] = False
            return
        owner = np.full(len(frame.ink), -1)
        if self.alive.any():
            owner = self._follow(frame)
            self._close_rings(frame, owner)
            self._find_again(frame, before, owner)
        uncovered = frame.ink[~self._covered(frame, self.alive, owner)]
        if len(uncovered):
            # A slot is empty for a frame between two strokes: they must not look like one stroke that jumps.
            self._give_birth(uncovered, frame, np.flatnonzero(~self.alive & ~before))
        self._share_harmonics()

    def _covered(self, frame: InkFrame, which: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """Ink (N,) bool within reach of one of some strokes (S,) bool.

        ``owner`` (N,) is a stroke that is known to reach the ink, or -1: only other ink is searched for.
        """
        covered = (owner >= 0) & which[owner]
        if which.any() and not covered.all():
            covered[~covered] = near(self.points[which].swapaxes(-1, -2), frame.ink[~covered], self.reach)
        return covered

    # Following

    def _follow(self, frame: InkFrame) -> np.ndarray:
        """Move the strokes onto the ink, and retire those that lost it.

        Returns:
            For each pixel of ink (N,), the slot of a stroke that reaches it, or -1.
        """
        which = np.flatnonzero(self.alive)
        before, drawn = self.coefficients[which], self.points[which]
        length = plane_lengths(drawn)
        shift = self.onto.momentum(self.velocity[which], length)
        shift += self.onto.shift_onto_ink(drawn + shift[..., None], length, frame)
        shift[self.onto.stays(drawn, drawn + shift[..., None], frame) & ~self.closed[which]] = 0.0
        moved, points = before.copy(), drawn + shift[..., None]
        moved[..., 0] += shift
        rigid, rigid_points, reach, discrepancy = moved, points, 2.0 * self.reach, np.inf
        for turn in range(self.rounds):
            weight, target, now = self.onto.targets(points, frame, reach)
            if turn > 1 and now > (1 - FALL) * discrepancy:
                break
            discrepancy = now
            rigid, rigid_points = moved_towards(rigid, rigid_points, weight, target)
            moved, points = rigid, rigid_points
            if turn:
                moved = self.onto.solve(rigid, weight, target, self.closed[which], 4.0 if turn == 1 else 1.0)
                points = sampled_planes(moved)
            reach = max(reach * 0.75, self.reach)
        inked, apart = distances_to_ink(points, frame.distance, self.reach, np.inf)
        owner = meet(points.swapaxes(-1, -2), frame, self.reach)[2]
        new_length = plane_lengths(points)
        owned = np.bincount(owner + 1, minlength=len(which) + 1)[1:] / np.maximum(new_length, 1.0)
        slot = np.append(which, -1)  # by the number of the owner
        outlines = self.closed[which] & (length > OUTLINE * self.size)
        for i in np.flatnonzero(outlines & (inked > 0.5)):
            loop = self._loop(points[i].T, frame, (owner >= 0) & (owner != i))
            if loop is not None:
                moved[i], slot[i] = self._follow_loop(points[i].T, rigid[i], loop), -1
                points[i] = sampled_planes(moved[i])
                new_length[i] = plane_lengths(points[i])
        # A closed stroke may be partly occluded, and the occluded part is far from any ink.
        attached = self.closed[which] | (apart < STRAY * self.size)
        keep = (inked > 0.5) & (owned > OWNED) & attached & (new_length > 0.4 * length)
        for i in np.flatnonzero(~keep & outlines):
            self.lost.append(Lost(self.now, before[i], self.velocity[which[i]].copy(), int(self.life[which[i]])))
        self.velocity[which] = moved[..., 0] - before[..., 0]
        self.coefficients[which], self.points[which] = moved, points
        self.alive[which[~keep]] = False
        return slot[owner]

    def _find_again(self, frame: InkFrame, before: np.ndarray, owner: np.ndarray) -> None:
        """Continue occluded outlines where ink that no other stroke covers is a part of them.

        Pieces of them that became new strokes in the meantime are retired.
        """
        self.lost = [one for one in self.lost if self.now - one.since <= LONGEST]
        hides = frame.regions(self.gap).surrounded if self.lost else frame.skeleton
        for one in self.lost[::-1]:
            pieces = self.alive & ~self.closed & (self.born >= one.since)
            free = np.flatnonzero(~self.alive & ~before)
            uncovered = frame.ink[~self._covered(frame, self.alive & ~pieces, owner)]
            if not len(free) or len(uncovered) < FOUND * lengths(one.coefficients):
                continue
            coefficients = placed(one, self.now - one.since + 1, uncovered, frame, hides, self.onto, self.rounds)
            if coefficients is None:
                continue
            self.lost = [other for other in self.lost if other is not one]
            outline = samples(coefficients)
            for piece in np.flatnonzero(pieces):
                on = near(outline, self.points[piece].T, self.reach)
                self.alive[piece] = on.mean() < SAME
            slot = free[0]
            self.coefficients[slot], self.points[slot] = coefficients, outline.T
            self.life[slot], self.born[slot] = one.life, one.since
            self.velocity[slot] = (coefficients - one.coefficients)[:, 0] / (self.now - one.since + 1)
            self.alive[slot] = self.closed[slot] = True

    # Closed outlines

    def _loop(self, polyline: np.ndarray, frame: InkFrame, foreign: np.ndarray) -> Line | None:
        """The loop that the ink near a polyline (n, 2) forms, if it forms one about as long as that is.

        ``foreign`` (N,) is ink that belongs to other strokes.
        """
        width = 2 * int(self.reach) + 1
        rows, columns = frame.at(polyline)
        top, left = max(rows.min() - width, 0), max(columns.min() - width, 0)
        box = slice(top, rows.max() + width + 1), slice(left, columns.max() + width + 1)
        ink = frame.skeleton.copy()
        ink[frame.at(frame.ink[foreign])] = False
        ink = ink[box]
        beside = np.zeros(ink.shape, np.uint8)
        pixels = ((polyline - (left, top)) * 16 - 8).round().astype(np.int32)
        cv2.polylines(beside, [pixels], False, 1, width, cv2.LINE_8, 4)
        ink &= beside > 0
        length = float(polyline_lengths(polyline))
        if not len(Regions.of(ink, self.gap).enclosed(0.01 * length**2)):
            return None
        lines = trace(ink, self.gap, offsets=frame.offsets[box])
        if not lines or not lines[0].closed:
            return None
        return lines[0].shifted(left, top) if 0.7 < lines[0].length / length < 1.4 else None

    def _follow_loop(self, points: np.ndarray, rigid: np.ndarray, loop: Line) -> np.ndarray:
        """Coefficients of a loop, clockwise from the point nearest to the start of a stroke (n, 2), regularised to the
        shape of a rigidly moved one."""
        ring = resample(start_canonically(loop.points), self.onto.n, closed=True)
        ring = rotate(ring, alignment(points, ring))
        found, series = project(ring, self.onto.harmonics), rigid[None]
        target = planes(ring[None])
        rigid = moved_towards(series, sampled_planes(series), np.ones((1, self.onto.n)), target)[0][0]
        ridge = np.where(rigid.any(0), self.onto.ridge, 0.0)
        return close((found * self.onto.n / 2 + rigid * ridge) / (self.onto.n / 2 + ridge))

    def _share_harmonics(self) -> None:
        """Truncate the strokes' series to their allocation of harmonics."""
        which = np.flatnonzero(self.alive)
        series = self.coefficients[which]
        counts = share_harmonics(series, plane_lengths(self.points[which]), self.budget // 2)
        series = truncated(series, counts, self.closed[which])
        self.coefficients[which], self.points[which] = series, sampled_planes(series)

    # Births

    def _give_birth(self, uncovered: np.ndarray, frame: InkFrame, free: np.ndarray) -> None:
        shortest = SHORTEST * self.size if self.alive.any() else 0.0
        mask = without_specks(*frame.at(uncovered), frame.skeleton.shape, shortest / 2)
        lines = trace(mask, self.gap, shortest, frame.offsets)
        free_slots = len(free)
        if len(lines) > free_slots:
            self._retire_for(lines[free_slots].length)
        lines = link(lines, free_slots, LINK * self.size) if free_slots else []
        if not lines:
            return
        n = self.onto.n
        points = np.stack(
            [
                resample((start_canonically if line.closed else direct_canonically)(line.points), n, line.closed)
                for line in lines
            ]
        )
        slots, closed = free[: len(lines)], np.array([line.closed for line in lines])
        series = project(points, self.onto.harmonics)
        series[closed] = close(series[closed])
        self.coefficients[slots], self.points[slots] = series, sampled_planes(series)
        self.alive[slots], self.closed[slots], self.velocity[slots] = True, closed, 0.0
        self.life[slots], self.born[slots] = self.life_count + 1 + np.arange(len(lines)), self.now
        self.life_count += len(lines)

    def _retire_for(self, length: float) -> None:
        """Retire the shortest stroke if a line more than twice as long has no slot."""
        which = np.flatnonzero(self.alive)
        if len(which):
            drawn = plane_lengths(self.points[which])
            if 2 * drawn.min() < length:
                self.alive[which[np.argmin(drawn)]] = False

    def _close_rings(self, frame: InkFrame, owner: np.ndarray) -> None:
        """Retire open strokes that together draw one loop; its ink is then uncovered and born as one closed stroke."""
        alive = np.flatnonzero(self.alive)
        if self.closed[alive].all():
            return
        points = self.points[alive]
        length, (rows, columns) = plane_lengths(points), frame.skeleton.shape
        nearby = np.ones((2 * int(self.reach) + 1,) * 2, np.uint8)
        regions = frame.regions(self.gap)
        lines_around = np.ones((2 * int(self.gap / 2) + 5,) * 2, np.uint8)
        margin = lines_around.shape[0] // 2 + nearby.shape[0] // 2
        loose: np.ndarray | None = None
        for region in regions.enclosed(0.01 * (RING * self.size) ** 2):
            top, bottom, left, right = regions.boxes[region].tolist()
            top, left = max(top - margin, 0), max(left - margin, 0)
            box = slice(top, bottom + margin), slice(left, right + margin)
            within = regions.labels[box] == region
            around = shares_on(points, rows, columns, np.ones(within.shape, bool), top, left) > ON_RING
            if length[around].sum() < 0.6 * RING * self.size:
                continue
            if loose is None:
                # Ink of closed strokes is excluded: a line that ends at another outline does not form a loop with a
                # part of it.
                loose = frame.skeleton.copy()
                loose[frame.at(frame.ink[self._covered(frame, self.alive & self.closed, owner)])] = False
            border = loose[box] & (cv2.dilate(within.view(np.uint8), lines_around) > 0)
            near_border = cv2.dilate(border.view(np.uint8), nearby) > 0
            on = shares_on(points, rows, columns, near_border, top, left) > ON_RING
            drawn = length[on].sum()
            if self.closed[alive[on]].any() or drawn < 0.6 * max(float(np.count_nonzero(border)), RING * self.size):
                continue
            lines = trace(border, self.gap, offsets=frame.offsets[box])
            if lines and lines[0].closed and RING * self.size < lines[0].length < drawn / 0.6:
                self.alive[alive[on]] = False
