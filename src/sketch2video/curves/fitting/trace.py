"""Tracing of ink: follow the lines of a thinned drawing from end to end, and join lines that continue each other.

Pixels where three or more arms meet are removed, which leaves simple paths and loops; each of them is followed by
border following (Suzuki and Abe 1985, ``cv2.findContours``), which traverses an open path in both directions and a loop
once. Ends that meet again at a junction, or across a small gap, are then joined, straightest continuation first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from sketch2video.curves.fitting.series import polyline_lengths

TANGENT = 6
"""Pixels from an end over which its direction is measured."""


NEARLY_CLOSED = 0.1
"""A line whose ends are nearer than this share of its length is an outline with a hole in it."""


@dataclass(frozen=True, eq=False)
class Line:
    """A traced line: ``points`` (n, 2) float64 in pixels, centres at +0.5; ``closed`` if the last meets the first."""

    points: np.ndarray
    closed: bool

    @cached_property
    def length(self) -> float:
        """Length in pixels, the closing piece counted."""
        return float(polyline_lengths(np.concatenate([self.points, self.points[:1]]) if self.closed else self.points))


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
    paths, spurs = _simple_paths(skeleton, gap, offsets)
    if spurs.any():
        paths, _ = _simple_paths(skeletonize(skeleton & ~spurs), gap, offsets)
    lines = [_line(points, closed) for points, closed in _join(paths, gap)]
    lines = [line for line in lines if len(line.points) > 1 and line.length >= min_length]
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
    linked = whole + [Line(points, False) for points, _ in _walk(paths, partner)]
    return sorted(linked, key=_rank)[:count]


def _rank(line: Line) -> tuple[float, float, float]:
    return -line.length, float(line.points[0, 1]), float(line.points[0, 0])


def _arms() -> np.ndarray:
    """For each pattern of the 8 neighbours, how many separate arms leave the pixel."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    return ((bits == 1) & (np.roll(bits, 1, axis=1) == 0)).sum(1).astype(np.uint8)


_ARMS = _arms()
_NEIGHBOURS = np.array([[1, 2, 4], [128, 0, 8], [64, 32, 16]], np.float32)  # clockwise from the upper left


def _simple_paths(
    skeleton: np.ndarray, gap: float, offsets: np.ndarray | None
) -> tuple[list[tuple[np.ndarray, bool]], np.ndarray]:
    """Paths without junctions, and spurs.

    Returns:
        Paths as (points, closed) with points (n, 2) float64 in pixels; and bool (H, W), pixels of short paths that
        leave a junction and end freely, as thinning produces at sharp corners.
    """
    mask = cv2.copyMakeBorder(skeleton.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    code = cv2.filter2D(mask, cv2.CV_32F, _NEIGHBOURS).astype(np.uint8)
    junctions = ((_ARMS[code] > 2) & (mask > 0)).astype(np.uint8)
    spurs = np.zeros(skeleton.shape, bool)
    branching = bool(junctions.any())
    if branching:
        mask[cv2.dilate(junctions, np.ones((3, 3), np.uint8)) > 0] = 0
        beside = cv2.dilate(junctions, np.ones((5, 5), np.uint8))
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    paths = []
    for contour, (_, _, _, parent) in zip(contours, hierarchy[0] if hierarchy is not None else (), strict=True):
        if parent >= 0:  # the inner border of a loop, whose outer one has been followed
            continue
        chain, closed = _unfold(contour[:, 0, :])
        if branching and not closed and len(chain) <= gap:
            (column, row), (last_column, last_row) = chain[0], chain[-1]
            if bool(beside[row, column]) != bool(beside[last_row, last_column]):
                spurs[chain[:, 1] - 1, chain[:, 0] - 1] = True
        points = chain - 0.5  # the padding is an offset of one pixel
        paths.append((points if offsets is None else points + offsets[chain[:, 1] - 1, chain[:, 0] - 1], closed))
    return paths, spurs


def _unfold(chain: np.ndarray) -> tuple[np.ndarray, bool]:
    """A followed border (m, 2) as a path; the border of an open path runs in both directions."""
    if len(chain) < 3:
        return chain, False
    pixel = chain @ [1, 1 << 16]
    around = np.concatenate([pixel[-1:], pixel, pixel[:1]])
    turns = np.flatnonzero(around[2:] == around[:-2]).tolist()
    if not turns:
        return chain, True
    first, last = max(pairwise([*turns, turns[0] + len(chain)]), key=lambda run: run[1] - run[0])
    return chain.take(np.arange(first, last + 1), axis=0, mode="wrap"), False


def _line(points: np.ndarray, closed: bool) -> Line:
    """A line; one whose ends nearly meet, for its length, is treated as closed."""
    if not closed and len(points) > 8:
        (x, y), (left, top), (right, bottom) = points[-1] - points[0], points.min(0), points.max(0)
        closed = bool(np.hypot(x, y) < NEARLY_CLOSED * len(points)) and _area(points) > 0.2 * (right - left) * (
            bottom - top
        )
    return Line(points, closed)


def _area(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return 0.5 * abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()))


def _join(paths: list[tuple[np.ndarray, bool]], gap: float) -> list[tuple[np.ndarray, bool]]:
    """Join open paths end to end; the straightest and nearest pairs first, a path's own two ends before others."""
    done = [(points, True) for points, closed in paths if closed]
    open_paths = [points for points, closed in paths if not closed]
    if not open_paths:
        return done
    count = len(open_paths)
    ends = np.array([p for points in open_paths for p in (points[0], points[-1])])
    inner = np.array(
        [
            p
            for points in open_paths
            for p in (points[min(TANGENT, len(points) - 1)], points[max(-TANGENT - 1, -len(points))])
        ]
    )
    outward = ends - inner
    size = np.hypot(outward[:, 0], outward[:, 1])
    outward /= np.maximum(size, 1e-9)[:, None]
    outward[size < 2] = 0.0  # a dot has no direction

    first, second = cKDTree(ends).query_pairs(gap, output_type="ndarray").T
    same = first // 2 == second // 2
    lengths = np.array([len(points) for points in open_paths])
    keep = ~same | (lengths[first // 2] > 4 * gap)
    first, second, same = first[keep], second[keep], same[keep]
    between = ends[second] - ends[first]
    apart = np.hypot(between[:, 0], between[:, 1])
    straight = -(outward[first] * outward[second]).sum(1)  # 1: goes straight on, -1: turns back
    across = between / np.maximum(apart, 1e-9)[:, None]
    ahead = ((outward[first] - outward[second]) * across).sum(1) / 2
    # Across a wide gap both ends must point at each other; at a junction any turn but a reversal is allowed.
    wide = np.minimum(apart / 4.0, 1.0)
    cost = apart / max(gap, 1e-9) + (1 - straight) / 2 + wide * (1 - ahead) - 1.0 * same
    allowed = same | ((straight > -0.5) & (ahead > wide - 0.6))
    order = np.lexsort((second, first, cost))

    partner = np.full(2 * count, -1)
    group = np.arange(count)
    for i in order[allowed[order]]:
        a, b = int(first[i]), int(second[i])
        if partner[a] >= 0 or partner[b] >= 0:
            continue
        group_a, group_b = group[a // 2], group[b // 2]
        if group_a == group_b and a // 2 != b // 2 and lengths[group == group_a].sum() <= 4 * gap:
            continue
        group[group == group_b] = group_a
        partner[a], partner[b] = b, a
    return done + _walk(open_paths, partner)


def _walk(open_paths: list[np.ndarray], partner: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Concatenate paths along their joined ends; end 2 i is the start of path i, 2 i + 1 its end."""
    joined = []
    seen = np.zeros(len(open_paths), bool)
    starts = [end for end in range(len(partner)) if partner[end] < 0]
    for start in starts + list(range(0, len(partner), 2)):  # open chains first, the rest are rings
        if seen[start // 2]:
            continue
        pieces, end, closed = [], start, False
        while True:
            points = open_paths[end // 2]
            seen[end // 2] = True
            pieces.append(points if end % 2 == 0 else points[::-1])
            end = partner[end ^ 1]
            if end < 0 or seen[end // 2]:
                closed = end == start and partner[start] >= 0
                break
        joined.append((np.concatenate(pieces), bool(closed)))
    return joined
