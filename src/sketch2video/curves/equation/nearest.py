"""Nearest points in the plane, by a grid of square cells.

A drawing has about a thousand points, and most have a neighbour within a pixel: they are then found in a few cells,
which takes a tenth of the time of building and searching a k-d tree. Points that are not finite are near to none.
"""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled


def nearest_points(points: np.ndarray, queries: np.ndarray, reach: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of ``points`` (P, 2) to each of ``queries`` (N, 2).

    Returns:
        distance: (N,) float64, infinite where no point is nearer than ``reach``.
        index: (N,) int64 of the point, -1 where there is none.
    """
    return _nearest(_flat(points), _flat(queries), float(reach))


def put_distances_of_groups(
    points: np.ndarray, queries: np.ndarray, reach: float, out: np.ndarray, starts: np.ndarray
) -> None:
    """Write the distances from each of ``queries`` (N, 2) to the nearest point of each of M groups.

    Args:
        points: (M, n, 2), of the groups.
        queries: (N, 2).
        reach: larger distances are not written.
        out: float64, distances to group i are written into the N numbers from ``starts[i]``.
        starts: (M,).
    """
    _put_of_groups(_flat(points), points.shape[1], _flat(queries), float(reach), out, starts)


def are_near(points: np.ndarray, queries: np.ndarray, reach: float) -> np.ndarray:
    """Which of ``queries`` (N, 2) have one of ``points`` (..., 2) nearer than ``reach``: (N,) bool."""
    return _are_near(_flat(points), _flat(queries), float(reach))


def _flat(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points.reshape(-1, 2), np.float64)


@compiled
def _span(points: np.ndarray, queries: np.ndarray, axis: int) -> tuple[float, float]:
    """The interval along an axis that both sets of points cover; a point if there is none."""
    low, high = _bounds(points, axis)
    query_low, query_high = _bounds(queries, axis)
    low = max(low, query_low)
    return low, max(low, min(high, query_high))


@compiled
def _bounds(points: np.ndarray, axis: int) -> tuple[float, float]:
    """The interval of the finite positions along an axis; infinite if there are none."""
    low, high = np.inf, -np.inf
    for i in range(len(points)):
        if -np.inf < points[i, axis] < low:
            low = points[i, axis]
        if high < points[i, axis] < np.inf:
            high = points[i, axis]
    return low, high


@compiled
def _cell(position: float, low: float, size: float, count: int) -> int:
    """The cell of a position. A projection onto the grid brings no two points farther apart, so that points outside of
    it may be treated as points at its border."""
    at = (position - low) / size
    if at >= count - 1:
        return count - 1
    return int(at) if at > 0 else 0


@compiled
def _sorted_into_cells(
    points: np.ndarray, left: float, top: float, size: float, columns: int, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where each cell starts in the order of the points by their cells (columns * rows + 1,), and that order (P,)."""
    start = np.zeros(columns * rows + 2, np.int64)
    cells = np.empty(len(points), np.int64)
    for i in range(len(points)):
        cells[i] = _cell(points[i, 1], top, size, rows) * columns + _cell(points[i, 0], left, size, columns)
        start[cells[i] + 2] += 1
    for cell in range(2, len(start)):
        start[cell] += start[cell - 1]
    order = np.empty(len(points), np.int64)
    for i in range(len(points)):
        order[start[cells[i] + 1]] = i
        start[cells[i] + 1] += 1
    return start[:-1], order


@compiled
def _nearest(points: np.ndarray, queries: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    distance, index = np.full(len(queries), np.inf), np.full(len(queries), -1)
    if len(points) == 0 or len(queries) == 0:
        return distance, index
    left, right = _span(points, queries, 0)
    top, bottom = _span(points, queries, 1)
    if not np.isfinite(right - left + bottom - top):
        return distance, index
    # Twice as many cells as points.
    cells = 2.0 * len(points)
    size = max(np.sqrt((right - left) * (bottom - top) / cells), max(right - left, bottom - top) / cells, 1e-9)
    columns, rows = int((right - left) / size) + 1, int((bottom - top) / size) + 1
    start, order = _sorted_into_cells(points, left, top, size, columns, rows)
    xs, ys = points[order, 0], points[order, 1]
    for q in range(len(queries)):
        x, y = queries[q]
        column, row = _cell(x, left, size, columns), _cell(y, top, size, rows)
        inside_x = min(max(x, left), right) - left - column * size
        inside_y = min(max(y, top), bottom) - top - row * size
        edge = max(min(min(inside_x, size - inside_x), min(inside_y, size - inside_y)), 0.0)
        last = max(max(column, columns - 1 - column), max(row, rows - 1 - row))
        best, found = reach * reach, -1
        for ring in range(1, max(last, 1) + 1):  # the first one with its centre
            for r in range(max(row - ring, 0), min(row + ring, rows - 1) + 1):
                whole = ring == 1 or abs(r - row) == ring
                first, end = max(column - ring, 0), min(column + ring, columns - 1)
                for part in range(1 if whole else 2):
                    if whole:
                        low, high = start[r * columns + first], start[r * columns + end + 1]
                    else:
                        c = column - ring if part == 0 else column + ring
                        if c < 0 or c >= columns:
                            continue
                        low, high = start[r * columns + c], start[r * columns + c + 1]
                    for i in range(low, high):
                        apart = (xs[i] - x) ** 2 + (ys[i] - y) ** 2
                        if apart < best:
                            best, found = apart, i
            if (edge + ring * size) ** 2 >= best:  # all other cells are farther away
                break
        if found >= 0:
            distance[q], index[q] = np.sqrt(best), order[found]
    return distance, index


@compiled
def _are_near(points: np.ndarray, queries: np.ndarray, reach: float) -> np.ndarray:
    near = np.zeros(len(queries), np.bool_)
    if len(points) == 0 or len(queries) == 0:
        return near
    left, right = _span(points, queries, 0)
    top, bottom = _span(points, queries, 1)
    if not np.isfinite(right - left + bottom - top):
        return near
    size = _size_for(reach, right - left, bottom - top, len(points))
    columns, rows = int((right - left) / size) + 1, int((bottom - top) / size) + 1
    start, order = _sorted_into_cells(points, left, top, size, columns, rows)
    for q in range(len(queries)):
        x, y = queries[q]
        column, row = _cell(x, left, size, columns), _cell(y, top, size, rows)
        for r in range(max(row - 1, 0), min(row + 1, rows - 1) + 1):
            first, last = max(column - 1, 0), min(column + 1, columns - 1)
            for i in order[start[r * columns + first] : start[r * columns + last + 1]]:
                if (points[i, 0] - x) ** 2 + (points[i, 1] - y) ** 2 < reach * reach:
                    near[q] = True
                    break
            if near[q]:
                break
    return near


@compiled
def _put_of_groups(
    points: np.ndarray, n: int, queries: np.ndarray, reach: float, out: np.ndarray, starts: np.ndarray
) -> None:
    if len(points) == 0 or len(queries) == 0:
        return
    left, right = _span(points, queries, 0)
    top, bottom = _span(points, queries, 1)
    if not np.isfinite(right - left + bottom - top):
        return
    size = _size_for(reach, right - left, bottom - top, len(queries))
    columns, rows = int((right - left) / size) + 1, int((bottom - top) / size) + 1
    start, order = _sorted_into_cells(queries, left, top, size, columns, rows)
    xs, ys = queries[order, 0], queries[order, 1]
    squared = np.empty(len(queries))
    for group in range(len(starts)):
        squared[:] = np.inf
        for p in range(group * n, (group + 1) * n):
            x, y = points[p]
            column, row = _cell(x, left, size, columns), _cell(y, top, size, rows)
            first, last = max(column - 1, 0), min(column + 1, columns - 1)
            for r in range(max(row - 1, 0), min(row + 1, rows - 1) + 1):
                for i in range(start[r * columns + first], start[r * columns + last + 1]):
                    squared[i] = min(squared[i], (xs[i] - x) ** 2 + (ys[i] - y) ** 2)
        for i in range(len(queries)):
            if squared[i] <= reach * reach:
                out[starts[group] + order[i]] = np.sqrt(squared[i])


@compiled
def _size_for(reach: float, width: float, height: float, count: int) -> float:
    """Size of cells, at most about as many as points, of which a cell and those around it hold all within reach."""
    return max(reach, np.sqrt(width * height / count), max(width, height) / count, 1e-9)
