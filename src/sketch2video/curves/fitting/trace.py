"""Tracing of ink: follow the lines of a thinned drawing from end to end, and join lines that continue each other.

Pixels where three or more arms meet are removed, which leaves simple paths and loops; each of them is followed by
border following (Suzuki and Abe 1985, ``cv2.findContours``), which traverses an open path in both directions and a loop
once. Ends that meet again at a junction, or across a small gap, are then joined, straightest continuation first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from sketch2video.curves.fitting.paths import joined, unfolded, without_junctions
from sketch2video.curves.fitting.series import polyline_lengths


@dataclass(frozen=True, eq=False)
class Line:
    """A traced line.

    Attributes:
        points: (n, 2) float64 in pixels, centres at +0.5.
        closed: whether the last point meets the first.
        length: in pixels, the closing piece counted; measured if it is not given.
    """

    points: np.ndarray
    closed: bool
    length: float = np.nan

    def __post_init__(self) -> None:
        if np.isnan(self.length):
            ring = np.concatenate([self.points, self.points[:1]]) if self.closed else self.points
            object.__setattr__(self, "length", float(polyline_lengths(ring)))

    def shifted(self, right: float, down: float) -> Line:
        """The line elsewhere."""
        return Line(self.points + np.array([right, down]), self.closed, self.length)


def trace(skeleton: np.ndarray, gap: float, min_length: float = 0.0, offsets: np.ndarray | None = None) -> list[Line]:
    """Follow the lines of a thinned drawing.

    Args:
        skeleton: bool (H, W), lines one pixel wide.
        gap: ends up to this many pixels apart may be joined.
        min_length: lines shorter than this many pixels are dropped.
        offsets: (H, W, 2) px, from the centres of pixels to the lines; None: lines run through the centres.

    Returns:
        Lines, longest first; the order is a function of the drawing alone.
    """
    if offsets is None:
        offsets = np.zeros((*skeleton.shape, 2))
    offsets = np.ascontiguousarray(offsets)
    points, starts, closed, spurs = _simple_paths(skeleton, gap, offsets)
    if len(spurs):
        bare = skeleton.copy()
        bare[spurs[:, 0], spurs[:, 1]] = False
        points, starts, closed, _ = _simple_paths(skeletonize(bare), gap, offsets)
    points, starts, closed, lengths = joined(points, starts, closed, gap)
    lines = [
        Line(points[start:end], ring, length)
        for (start, end), ring, length in zip(pairwise(starts.tolist()), closed.tolist(), lengths.tolist(), strict=True)
        if end - start > 1 and length >= min_length
    ]
    return sorted(lines, key=_rank)


def link(lines: list[Line], count: int, gap: float) -> list[Line]:
    """At most ``count`` lines: where there are more, nearest ends are joined.

    Ends are joined greedily, nearest first (the greedy edge heuristic for tours), across gaps of at most ``gap``
    pixels; then the longest lines are kept. A closed line is not joined if it is among the ``count`` longest.
    """
    if len(lines) <= count:
        return lines
    whole = [line for line in lines[:count] if line.closed]
    paths = [line.points for i, line in enumerate(lines) if not (line.closed and i < count)]
    number = len(paths)
    ends = np.array([p for points in paths for p in (points[0], points[-1])])
    pairs = cKDTree(ends).query_pairs(gap, output_type="ndarray")
    pairs = pairs[pairs[:, 0] // 2 != pairs[:, 1] // 2]
    apart = np.hypot(*(ends[pairs[:, 0]] - ends[pairs[:, 1]]).T)
    partner, group = np.full(2 * number, -1), np.arange(number)
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], apart))]:
        if number + len(whole) <= count:
            break
        if partner[a] < 0 and partner[b] < 0 and group[a // 2] != group[b // 2]:
            group[group == group[b // 2]] = group[a // 2]
            partner[a], partner[b] = b, a
            number -= 1
    linked = whole + [Line(points, False) for points in _walk(paths, partner)]
    return sorted(linked, key=_rank)[:count]


def _rank(line: Line) -> tuple[float, float, float]:
    return -line.length, float(line.points[0, 1]), float(line.points[0, 0])


def _simple_paths(
    skeleton: np.ndarray, gap: float, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Paths without junctions; and spurs, as thinning produces at sharp corners. See :func:`.paths.unfolded`."""
    rest, beside, branching = without_junctions(skeleton)
    borders, hierarchy = cv2.findContours(rest, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # The inner border of a loop is left out: its outer one has been followed.
    outer = [border for border, link in zip(borders, hierarchy[0], strict=True) if link[3] < 0] if len(borders) else []
    starts = np.cumsum([0, *map(len, outer)])
    followed = np.concatenate(outer).reshape(-1, 2) if outer else np.zeros((0, 2), np.int32)
    return unfolded(followed, starts, beside, branching, gap, offsets)


def _walk(open_paths: list[np.ndarray], partner: np.ndarray) -> list[np.ndarray]:
    """Concatenate paths along their joined ends, which form no rings; end 2 i is the start of path i, 2 i + 1 its end.

    Args:
        open_paths: M arrays (n, 2).
        partner: (2 M,), the end that each end is joined to, or -1.
    """
    joined = []
    seen = np.zeros(len(open_paths), bool)
    for start in np.flatnonzero(partner < 0):
        if seen[start // 2]:
            continue
        pieces, end = [], int(start)
        while end >= 0:
            points = open_paths[end // 2]
            seen[end // 2] = True
            pieces.append(points if end % 2 == 0 else points[::-1])
            end = int(partner[end ^ 1])
        joined.append(np.concatenate(pieces))
    return joined
