"""Compiled loops over the pixels and paths of a thinned drawing; :mod:`.trace` says what they are for.

Paths of a drawing are one array of points (P, 2), with the index at which each path starts, and that of the end:
``starts`` (R + 1,).
"""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled

TANGENT = 6
"""Pixels from an end over which its direction is measured."""

NEARLY_CLOSED = 0.1
"""A line whose ends are nearer than this share of its length is an outline with a hole in it."""

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # clockwise from the upper left


@compiled
def without_junctions(skeleton: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Remove the pixels of a skeleton (H, W) bool where three or more arms meet, and those around them.

    Returns:
        The rest, uint8 (H + 2, W + 2) with an empty border; pixels within two of a junction, bool (H + 2, W + 2); and
        whether there is a junction.
    """
    height, width = skeleton.shape
    rest = np.zeros((height + 2, width + 2), np.uint8)
    beside = np.zeros((height + 2, width + 2), np.bool_)
    for row in range(height):
        for column in range(width):
            rest[row + 1, column + 1] = skeleton[row, column]
    found, junctions = 0, np.empty((height * width, 2), np.int32)
    for row in range(1, height + 1):
        for column in range(1, width + 1):
            if rest[row, column] == 0:
                continue
            arms, before = 0, rest[row, column - 1]  # the last of the neighbours
            for down, right in _AROUND:
                here = rest[row + down, column + right]
                arms += here > before
                before = here
            if arms > 2:
                junctions[found, 0], junctions[found, 1] = row, column
                found += 1
    for i in range(found):
        for row in range(max(junctions[i, 0] - 2, 0), min(junctions[i, 0] + 3, height + 2)):
            for column in range(max(junctions[i, 1] - 2, 0), min(junctions[i, 1] + 3, width + 2)):
                beside[row, column] = True
                if abs(row - junctions[i, 0]) < 2 and abs(column - junctions[i, 1]) < 2:
                    rest[row, column] = 0
    return rest, beside, found > 0


@compiled
def unfolded(
    borders: np.ndarray, starts: np.ndarray, beside: np.ndarray, branching: bool, gap: float, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Followed borders as paths; the border of an open path runs in both directions, that of a loop once.

    Args:
        borders: (P, 2) int32, columns and rows of pixels with a border of 1.
        starts: (R + 1,) of each border.
        beside, branching: see :func:`without_junctions`.
        gap: px, length of spurs: short paths that leave a junction and end freely.
        offsets: (H, W, 2) px, added to the centres of pixels.

    Returns:
        Points (P', 2) px, starts (R + 1,), which paths are closed (R,), and pixels of spurs (S, 2), row and column.
    """
    count = len(starts) - 1
    most = len(borders) + count  # a path whose border turns back once has that pixel at both ends
    points, ends = np.empty((most, 2)), np.zeros(count + 1, np.int64)
    closed, spur, used = np.zeros(count, np.bool_), np.zeros(most, np.bool_), np.empty(most, np.int64)
    size, found = 0, 0
    for path in range(count):
        start, m = starts[path], starts[path + 1] - starts[path]
        first, length = 0, m
        if m >= 3:
            # The path is the longest part between two turns.
            turn, first_turn, longest = -1, -1, 0
            for i in range(m):
                before, after = start + (i - 1) % m, start + (i + 1) % m
                if borders[before, 0] == borders[after, 0] and borders[before, 1] == borders[after, 1]:
                    if turn < 0:
                        first_turn = i
                    elif i - turn > longest:
                        first, longest = turn, i - turn
                    turn = i
            closed[path] = turn < 0
            if turn >= 0:
                if first_turn + m - turn > longest:
                    first, longest = turn, first_turn + m - turn
                length = longest + 1
        for i in range(length):
            used[size + i] = start + (first + i) % m
        if branching and not closed[path] and length <= gap:
            one, other = used[size], used[size + length - 1]
            if beside[borders[one, 1], borders[one, 0]] != beside[borders[other, 1], borders[other, 0]]:
                for i in range(size, size + length):
                    spur[i] = True
                    found += 1
        size += length
        ends[path + 1] = size
    spurs, found = np.empty((found, 2), np.int64), 0
    for i in range(size):
        column, row = borders[used[i], 0], borders[used[i], 1]
        points[i, 0] = column - 0.5 + offsets[row - 1, column - 1, 0]
        points[i, 1] = row - 0.5 + offsets[row - 1, column - 1, 1]
        if spur[i]:
            spurs[found, 0], spurs[found, 1] = row - 1, column - 1
            found += 1
    return points[:size], ends, closed, spurs


def joined(
    points: np.ndarray, starts: np.ndarray, closed: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Join open paths end to end; the straightest and nearest pairs first, a path's own two ends before others.

    Args:
        points: (P, 2) px, of the paths.
        starts: (R + 1,).
        closed: (R,) bool.
        gap: px, the widest between ends that are joined.

    Returns:
        Points (P, 2), starts (L + 1,), which lines are closed (L,) and their lengths (L,), px, the closing piece
        counted: closed paths first.
    """
    ends = np.stack([points[starts[:-1]], points[starts[1:] - 1]], 1).reshape(-1, 2)
    first, second, cost = _pairs(points, starts, closed, ends, np.argsort(ends[:, 0]), gap)
    order = np.lexsort((second, first, cost))
    return _joined(points, starts, closed, first[order], second[order], gap)


@compiled
def _pairs(
    points: np.ndarray, starts: np.ndarray, closed: np.ndarray, ends: np.ndarray, order: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of ends of open paths that may be joined, and the cost of each: (Q,) each.

    End 2 i is the start of path i, 2 i + 1 its end: ``ends`` (2 R, 2). ``order`` (2 R,) sorts them by x.
    """
    outward = np.zeros(ends.shape)
    for end in range(len(ends)):
        path = end // 2
        inner = min(TANGENT, starts[path + 1] - starts[path] - 1)
        inner = starts[path] + inner if end % 2 == 0 else starts[path + 1] - 1 - inner
        right, down = ends[end, 0] - points[inner, 0], ends[end, 1] - points[inner, 1]
        size = np.sqrt(right * right + down * down)
        if size >= 2:  # a dot has no direction
            outward[end, 0], outward[end, 1] = right / size, down / size
    first, second, cost = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    for turn in range(2):  # they are counted first
        found = 0
        for i in range(len(order)):
            if closed[order[i] // 2]:
                continue
            for j in range(i + 1, len(order)):
                a, b = min(order[i], order[j]), max(order[i], order[j])
                if ends[order[j], 0] - ends[order[i], 0] > gap:
                    break
                dx, dy = ends[b, 0] - ends[a, 0], ends[b, 1] - ends[a, 1]
                apart = np.sqrt(dx * dx + dy * dy)
                same = a // 2 == b // 2
                short = starts[a // 2 + 1] - starts[a // 2] <= 4 * gap
                if apart > gap or closed[order[j] // 2] or (same and short):
                    continue
                straight = -(outward[a, 0] * outward[b, 0] + outward[a, 1] * outward[b, 1])  # 1: straight on, -1: back
                ahead = (outward[a, 0] - outward[b, 0]) * dx + (outward[a, 1] - outward[b, 1]) * dy
                ahead /= 2 * max(apart, 1e-9)
                # Across a wide gap both ends must point at each other; at a junction any turn but a reversal is
                # allowed.
                wide = min(apart / 4.0, 1.0)
                if same or (straight > -0.5 and ahead > wide - 0.6):
                    if turn:
                        first[found], second[found] = a, b
                        cost[found] = apart / max(gap, 1e-9) + (1 - straight) / 2 + wide * (1 - ahead) - 1.0 * same
                    found += 1
        if turn == 0:
            first, second, cost = np.empty(found, np.int64), np.empty(found, np.int64), np.empty(found)
    return first, second, cost


@compiled
def _joined(
    points: np.ndarray, starts: np.ndarray, closed: np.ndarray, first: np.ndarray, second: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """See :func:`joined`; pairs of ends (Q,) in the order in which they are joined."""
    paths = len(closed)
    lines, ends = np.empty_like(points), np.zeros(paths + 1, np.int64)
    rounds, seen = np.zeros(paths, np.bool_), closed.copy()
    size, count = 0, 0
    for path in range(paths):
        if closed[path]:
            size = _append(lines, size, points, starts[path], starts[path + 1], False)
            rounds[count] = True
            count += 1
            ends[count] = size
    partner = _partners(starts, first, second, gap)
    for turn in range(2):  # open chains first, the rest are rings
        for start in range(0, len(partner), 1 + turn):
            if seen[start // 2] or (turn == 0 and partner[start] >= 0):
                continue
            end = start
            while True:
                path = end // 2
                seen[path] = True
                size = _append(lines, size, points, starts[path], starts[path + 1], end % 2 == 1)
                end = partner[end ^ 1]
                if end < 0 or seen[end // 2]:
                    break
            rounds[count] = end == start and partner[start] >= 0
            count += 1
            ends[count] = size
    lengths = np.empty(count)
    for line in range(count):
        part = lines[ends[line] : ends[line + 1]]
        rounds[line] = rounds[line] or _is_nearly_closed(part)
        lengths[line] = _length(part)
        if rounds[line]:
            lengths[line] += np.sqrt((part[0, 0] - part[-1, 0]) ** 2 + (part[0, 1] - part[-1, 1]) ** 2)
    return lines[:size], ends[: count + 1], rounds[:count], lengths


@compiled
def _append(lines: np.ndarray, size: int, points: np.ndarray, start: int, end: int, backwards: bool) -> int:
    """Append a path to lines that hold ``size`` points; returns how many they hold then."""
    for i in range(end - start):
        at = end - 1 - i if backwards else start + i
        lines[size + i, 0], lines[size + i, 1] = points[at, 0], points[at, 1]
    return size + end - start


@compiled
def _length(line: np.ndarray) -> float:
    length = 0.0
    for i in range(1, len(line)):
        length += np.sqrt((line[i, 0] - line[i - 1, 0]) ** 2 + (line[i, 1] - line[i - 1, 1]) ** 2)
    return length


@compiled
def _is_nearly_closed(line: np.ndarray) -> bool:
    """Whether the ends of a line nearly meet, for its length, and it encloses an area."""
    count = len(line)
    if count <= 8:
        return False
    across, down = line[-1, 0] - line[0, 0], line[-1, 1] - line[0, 1]
    if np.sqrt(across**2 + down**2) >= NEARLY_CLOSED * count:
        return False
    twice = 0.0
    for i in range(count):
        twice += line[i - 1, 0] * line[i, 1] - line[i, 0] * line[i - 1, 1]
    left, right, top, bottom = line[0, 0], line[0, 0], line[0, 1], line[0, 1]
    for i in range(count):
        left, right = min(left, line[i, 0]), max(right, line[i, 0])
        top, bottom = min(top, line[i, 1]), max(bottom, line[i, 1])
    return 0.5 * abs(twice) > 0.2 * (right - left) * (bottom - top)


@compiled
def _partners(starts: np.ndarray, first: np.ndarray, second: np.ndarray, gap: float) -> np.ndarray:
    """The end that each end is joined to, -1 for none: (2 R,)."""
    paths = len(starts) - 1
    partner, group = np.full(2 * paths, -1), np.arange(paths)
    for i in range(len(first)):
        a, b = first[i], second[i]
        if partner[a] >= 0 or partner[b] >= 0:
            continue
        one, other = group[a // 2], group[b // 2]
        if one == other and a // 2 != b // 2:
            length = 0
            for path in range(paths):
                if group[path] == one:
                    length += starts[path + 1] - starts[path]
            if length <= 4 * gap:
                continue
        for path in range(paths):
            if group[path] == other:
                group[path] = one
        partner[a], partner[b] = b, a
    return partner
