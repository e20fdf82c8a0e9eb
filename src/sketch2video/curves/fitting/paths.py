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
    rest[1:-1, 1:-1] = skeleton
    beside = np.zeros((height + 2, width + 2), np.bool_)
    rows, columns = np.nonzero(skeleton)
    junctions = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        arms = 0
        before = rest[rows[i] + 1, columns[i]]  # the last of the neighbours
        for down, right in _AROUND:
            here = rest[rows[i] + 1 + down, columns[i] + 1 + right]
            arms += here > before
            before = here
        junctions[i] = arms > 2
    for i in np.nonzero(junctions)[0]:
        row, column = rows[i] + 1, columns[i] + 1
        rest[row - 1 : row + 2, column - 1 : column + 2] = 0
        beside[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    return rest, beside, bool(junctions.any())


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
    points, ends = np.empty((len(borders), 2)), np.zeros(count + 1, np.int64)
    closed, spur = np.zeros(count, np.bool_), np.zeros(len(borders), np.bool_)
    used = np.empty(len(borders), np.int64)
    size = 0
    for path in range(count):
        border = borders[starts[path] : starts[path + 1]]
        m = len(border)
        first, length = 0, m
        if m >= 3:
            # The path is the longest part between two turns.
            turn, first_turn, longest = -1, -1, 0
            for i in range(m):
                before, after = border[i - 1], border[i + 1 - m]
                if before[0] == after[0] and before[1] == after[1]:
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
            used[size + i] = starts[path] + (first + i) % m
        if branching and not closed[path] and length <= gap:
            one, other = borders[used[size]], borders[used[size + length - 1]]
            if beside[one[1], one[0]] != beside[other[1], other[0]]:
                spur[size : size + length] = True
        size += length
        ends[path + 1] = size
    spurs = np.empty((np.count_nonzero(spur[:size]), 2), np.int64)
    found = 0
    for i in range(size):
        column, row = borders[used[i]]
        points[i, 0] = column - 0.5 + offsets[row - 1, column - 1, 0]
        points[i, 1] = row - 0.5 + offsets[row - 1, column - 1, 1]
        if spur[i]:
            spurs[found] = row - 1, column - 1
            found += 1
    return points[:size], ends, closed, spurs


@compiled
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
    rings, open_paths = np.nonzero(closed)[0], np.nonzero(~closed)[0]
    lines, ends = np.empty_like(points), np.zeros(len(starts), np.int64)
    rounds = np.zeros(len(closed), np.bool_)
    size, count = 0, 0
    for ring in rings:
        size = _append(lines, size, points[starts[ring] : starts[ring + 1]], False)
        rounds[count] = True
        count += 1
        ends[count] = size
    partner = _partners(points, starts[:-1][open_paths], starts[1:][open_paths], gap)
    seen = np.zeros(len(open_paths), np.bool_)
    for turn in range(2):  # open chains first, the rest are rings
        for start in range(0, len(partner), 1 + turn):
            if seen[start // 2] or (turn == 0 and partner[start] >= 0):
                continue
            end = start
            while True:
                path = open_paths[end // 2]
                seen[end // 2] = True
                size = _append(lines, size, points[starts[path] : starts[path + 1]], end % 2 == 1)
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
def _append(lines: np.ndarray, size: int, path: np.ndarray, backwards: bool) -> int:
    lines[size : size + len(path)] = path[::-1] if backwards else path
    return size + len(path)


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
    width = line[:, 0].max() - line[:, 0].min()
    height = line[:, 1].max() - line[:, 1].min()
    return 0.5 * abs(twice) > 0.2 * width * height


@compiled
def _partners(points: np.ndarray, first: np.ndarray, last: np.ndarray, gap: float) -> np.ndarray:
    """The end that each end of R open paths is joined to, -1 for none: (2 R,).

    End 2 i is the start of path i, 2 i + 1 its end; ``first`` and ``last`` (R,) bound the points of each path.
    """
    count = 2 * len(first)
    ends, outward = np.empty((count, 2)), np.zeros((count, 2))
    lengths = last - first
    for path in range(len(first)):
        inner = min(TANGENT, lengths[path] - 1)
        ends[2 * path], ends[2 * path + 1] = points[first[path]], points[last[path] - 1]
        outward[2 * path] = points[first[path]] - points[first[path] + inner]
        outward[2 * path + 1] = points[last[path] - 1] - points[last[path] - 1 - inner]
    for end in range(count):
        size = np.sqrt(outward[end, 0] ** 2 + outward[end, 1] ** 2)
        outward[end] *= 1 / size if size >= 2 else 0.0  # a dot has no direction
    near = _near_pairs(ends, gap)
    costs, found = np.empty(len(near)), 0
    for a, b in near:
        dx, dy = ends[b, 0] - ends[a, 0], ends[b, 1] - ends[a, 1]
        apart = np.sqrt(dx**2 + dy**2)
        same = a // 2 == b // 2
        if same and lengths[a // 2] <= 4 * gap:
            continue
        straight = -(outward[a, 0] * outward[b, 0] + outward[a, 1] * outward[b, 1])  # 1: straight on, -1: back
        across = max(apart, 1e-9)
        ahead = ((outward[a, 0] - outward[b, 0]) * dx + (outward[a, 1] - outward[b, 1]) * dy) / across / 2
        # Across a wide gap both ends must point at each other; at a junction any turn but a reversal is allowed.
        wide = min(apart / 4.0, 1.0)
        if same or (straight > -0.5 and ahead > wide - 0.6):
            near[found] = a, b
            costs[found] = apart / max(gap, 1e-9) + (1 - straight) / 2 + wide * (1 - ahead) - 1.0 * same
            found += 1
    partner, group = np.full(count, -1), np.arange(len(first))
    for i in np.argsort(costs[:found], kind="mergesort"):
        a, b = near[i]
        if partner[a] >= 0 or partner[b] >= 0:
            continue
        one, other = group[a // 2], group[b // 2]
        if one == other and a // 2 != b // 2 and lengths[group == one].sum() <= 4 * gap:
            continue
        group[group == other] = one
        partner[a], partner[b] = b, a
    return partner


@compiled
def _near_pairs(ends: np.ndarray, gap: float) -> np.ndarray:
    """Pairs a < b of ends (E, 2) at most ``gap`` apart, sorted: (P, 2)."""
    order = np.argsort(ends[:, 0])
    near = np.empty((0, 2), np.int64)
    for turn in range(2):  # they are counted first
        found = 0
        for i in range(len(order)):
            for j in range(i + 1, len(order)):
                dx, dy = ends[order[j], 0] - ends[order[i], 0], ends[order[j], 1] - ends[order[i], 1]
                if dx > gap:
                    break
                if np.sqrt(dx**2 + dy**2) <= gap:
                    if turn:
                        near[found, 0] = min(order[i], order[j])
                        near[found, 1] = max(order[i], order[j])
                    found += 1
        if turn == 0:
            near = np.empty((found, 2), np.int64)
    return near[np.argsort(near[:, 0] * len(ends) + near[:, 1])]
