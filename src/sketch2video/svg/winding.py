"""Winding numbers, by which the rules ``nonzero`` and ``evenodd`` say what is inside of an outline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CROSSINGS = 2**20
"""Largest number of crossings of edges and rows that are held at a time."""


def winding_numbers(polygons: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """How often polygons run around the centre of each pixel.

    An edge crosses a row where one of its ends is above the line through the pixels' centres and the other is not. The
    winding number is the sum of the signs of the crossings that are left of the centre (SVG 2, section 13.4.2).

    Args:
        polygons: (n, 2) float64 each, px; the last point is joined to the first. The corner of the picture is (0, 0).
        height, width: H, W, px.

    Returns:
        int32 (H, W): positive where the polygons run clockwise, y being down.
    """
    # The last column holds the crossings that are right of all centres.
    crossed = np.zeros(height * (width + 1), np.int32)
    starts = np.concatenate([np.empty((0, 2)), *polygons])
    ends = np.roll(starts, -1, axis=0)
    counts = np.array([len(polygon) for polygon in polygons], np.intp)
    after = np.cumsum(counts)
    ends[after - 1] = starts[after - counts]
    # The first row whose centre is at an end or below it.
    start_rows, end_rows = (np.clip(np.ceil(at[:, 1] - 0.5), 0, height).astype(np.intp) for at in (starts, ends))
    crossing = np.flatnonzero(start_rows != end_rows)
    for chosen in np.split(crossing, range(0, len(crossing), max(_CROSSINGS // height, 1))[1:]):
        (x, y), (dx, dy) = starts[chosen].T, (ends[chosen] - starts[chosen]).T
        rises = start_rows[chosen] - end_rows[chosen]
        number = np.abs(rises)
        edge = np.repeat(np.arange(len(chosen)), number)
        first = np.minimum(start_rows[chosen], end_rows[chosen]) - (np.cumsum(number) - number)
        row = first[edge] + np.arange(len(edge))
        at = x[edge] + (row + 0.5 - y[edge]) * (dx / dy)[edge]
        column = np.clip(np.ceil(at - 0.5), 0, width).astype(np.intp)
        np.add.at(crossed, row * (width + 1) + column, np.sign(rises).astype(np.int32)[edge])
    return np.cumsum(crossed.reshape(height, width + 1)[:, :width], axis=1, dtype=np.int32)
