"""The strokes of several drawings of one clip: which of them are the same stroke, and which points correspond.

Drawings of a few frames are pictures of their own: a stroke may move far from one to the next, and a single picture
does not say where the pen begins. Strokes are assigned by shape, size and position (Kuhn and Munkres' assignment); an
outline then starts where its shape matches that of the drawing before, and an open line runs in the same direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from sketch2video.curve_vae.strokes import MIN_SIZE
from sketch2video.curves.fitting.order import alignment, topmost_start
from sketch2video.curves.fitting.series import close, grid_size, project, samples

GROWTH = 0.25
"""Weight of the difference of the logarithms of two strokes' sizes, relative to that of their shapes."""
FARNESS, NEAR = 0.2, 1 / 16
"""Largest cost of the distance between their middles, and the distance, frame widths, at which it is half of that."""
UNLIKE = 0.6
"""Strokes with a higher cost are different ones, as long as the clip may have more strokes."""
CLOSED = 1e-4
"""Largest distance, frame widths, between the ends of a closed stroke."""

Stroke = dict[int, np.ndarray]
"""A stroke of a clip: its coefficients (2, K) by the index of each drawing that shows it."""


def linked(drawings: Sequence[np.ndarray], most: int) -> list[Stroke]:
    """The strokes of a clip, from drawings of some of its frames.

    Each drawing's strokes continue the clip's strokes so far, or begin new ones, at the least total cost. Where the
    clip cannot have more strokes, strokes are continued however much they change.

    Args:
        drawings: strokes of each drawing, in the order of time, (n, 2, K) frame widths, K alike.
        most: most strokes of the clip.

    Returns:
        In the order of their first drawings. Equal pen positions of a stroke correspond, and its start is canonical.

    Raises:
        ValueError: a drawing has more strokes than the clip may have.
    """
    strokes: list[Stroke] = []
    for drawing, drawn in enumerate(drawings):
        if len(drawn) > most:
            raise ValueError(f"a drawing has {len(drawn)} strokes, more than the {most} of a clip")
        before = [stroke[max(stroke)] for stroke in strokes]
        aligned = [[aligned_with(one, other) for one in before] for other in drawn]
        cost = np.full((len(drawn), most), UNLIKE)
        for row, others in enumerate(aligned):
            cost[row, : len(before)] = [unlikeness(*pair) for pair in zip(before, others, strict=True)]
        rows, columns = linear_sum_assignment(cost)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if column < len(before):
                strokes[column][drawing] = aligned[row][column]
            else:
                strokes.append({drawing: drawn[row]})
    return [_canonical(stroke) for stroke in strokes]


def unlikeness(one: np.ndarray, other: np.ndarray) -> float:
    """Cost of taking two strokes (2, K), whose points correspond, for the same one.

    By Parseval, half the sum of the squared harmonics of the difference of two shapes, each of size 1, is the mean
    square distance of their points: between 0 and 4. The cost of the distance is bounded: strokes that move little are
    distinguished by where they are, others by their shapes.
    """
    sizes = [max(float(np.sqrt((stroke[:, 1:] ** 2).sum() / 2)), MIN_SIZE) for stroke in (one, other)]
    shapes = [stroke[:, 1:] / size for stroke, size in zip((one, other), sizes, strict=True)]
    bent = np.sqrt(((shapes[0] - shapes[1]) ** 2).sum() / 2)
    grown = abs(np.log(sizes[1] / sizes[0]))
    far = np.hypot(*(other - one)[:, 0])
    return float(bent + GROWTH * grown + FARNESS * far / (far + NEAR))


def aligned_with(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The stroke ``other`` (2, K), its pen positions as near as possible to the corresponding ones of ``one``.

    An outline is started at another point, an open stroke is drawn from its other end, whatever their positions.
    """
    if is_closed(other):
        return _restarted(other, alignment(samples(one), samples(other)) / grid_size(other.shape[-1]))
    backwards = other * np.where(np.arange(other.shape[-1]) % 2, -1, 1).astype(other.dtype)
    return min((other, backwards), key=lambda stroke: unlikeness(one, stroke))


def is_closed(stroke: np.ndarray) -> bool:
    """Whether a stroke (2, K) ends where it starts: the odd coefficients of both axes sum to zero."""
    return float(np.hypot(*2 * stroke[:, 1::2].sum(-1))) < CLOSED


def _canonical(stroke: Stroke) -> Stroke:
    """A stroke that starts where the median of its outlines is topmost, as that of a tracked clip does."""
    drawn = np.stack(list(stroke.values()))
    if not all(map(is_closed, drawn)):
        return stroke
    start = topmost_start(samples(drawn))
    count = grid_size(drawn.shape[-1])
    if start in (0, count - 1):
        return stroke
    return {drawing: _restarted(each, start / count) for drawing, each in stroke.items()}


def _restarted(outline: np.ndarray, by: float) -> np.ndarray:
    """A closed stroke (2, K) that starts later by a share ``by`` of the pen's way, with as many harmonics as before."""
    harmonics = outline.shape[-1]
    u = ((np.arange(4 * harmonics) + 0.5) / (4 * harmonics) + by) % 1
    points = np.cos(np.pi * u[:, None] * np.arange(harmonics)) @ outline.T.astype(np.float64)
    used = np.arange(harmonics) <= np.flatnonzero(outline.any(0)).max(initial=0)
    return close(project(points, harmonics) * used).astype(outline.dtype)
