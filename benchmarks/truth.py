"""Strokes beside the true outlines and the true motion of embedded scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

FINE = 8
"""Points for each vertex of an outline from which distances are measured."""

AGREE = 0.35
"""Starts agree if they are this near to their median, in units of the outline's size: a tenth of a turn of a circle."""


def motion_residual(points: np.ndarray, visible: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """How much the motion of strokes differs from that of what they draw, px.

    The true motion at a stroke's point is that of the nearest vertex of any outline.

    Args:
        points: (T, S, n, 2), px.
        visible: (T, S) bool; strokes count where two neighbouring frames show them.
        outlines: (T, O, P, 2), px, vertex for vertex through time.

    Returns:
        (M,), the mean over its points for every stroke of every pair of frames that counts.
    """
    residuals = []
    for t in range(len(points) - 1):
        vertices, steps = outlines[t].reshape(-1, 2), (outlines[t + 1] - outlines[t]).reshape(-1, 2)
        both = visible[t] & visible[t + 1]
        nearest = cKDTree(vertices).query(points[t, both])[1]
        apart = points[t + 1, both] - points[t, both] - steps[nearest]
        residuals.append(np.hypot(apart[..., 0], apart[..., 1]).mean(-1))
    return np.concatenate(residuals) if residuals else np.zeros(0)


def outline_distances(points: np.ndarray, visible: np.ndarray, outlines: np.ndarray) -> tuple[float, float]:
    """Root mean square distances between strokes and the true outlines, px, mean over the frames that show a stroke.

    Args:
        points: (T, S, n, 2), px.
        visible: (T, S) bool.
        outlines: (T, O, P, 2), px, closed implicitly.

    Returns:
        From the strokes' points to the outlines, and from the outlines, sampled :data:`FINE` times as densely as their
        vertices, to the strokes' points; NaN if no frame shows a stroke.
    """
    share = np.linspace(0, 1, FINE, endpoint=False)[:, None]
    errors = []
    for curves, shown, rings in zip(points, visible, outlines, strict=True):
        if shown.any():
            steps = np.roll(rings, -1, axis=1) - rings
            dense = (rings[:, :, None] + share * steps[:, :, None]).reshape(-1, 2)
            drawn = curves[shown].reshape(-1, 2)
            apart = (cKDTree(b).query(a)[0] for a, b in ((drawn, dense), (dense, drawn)))
            errors.append([np.sqrt(np.mean(np.square(distances))) for distances in apart])
    there, back = np.mean(errors, axis=0) if errors else (np.nan, np.nan)
    return float(there), float(back)


def strokes_an_outline(visible: np.ndarray, outlines: np.ndarray) -> float:
    """Strokes for each true outline, mean over the frames of a clip; see :func:`motion_residual`."""
    return float(visible.sum(1).mean() / outlines.shape[1])


def start_and_direction(points: np.ndarray, visible: np.ndarray, outline: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Where on its outline the longest stroke of each frame starts, and which way round it goes.

    Args:
        points: (T, S, n, 2), px.
        visible: (T, S) bool.
        outline: (T, P, 2), px, of the only object.

    Returns:
        The position of the true vertex nearest to the start, from the outline's centre and in units of its size (the
        root mean square distance of its vertices), median over the frames: (2,). And 1 for clockwise, -1 for
        anticlockwise in most frames. None if no frame shows a stroke.
    """
    starts, turns = [], []
    for curves, shown, ring in zip(points, visible, outline, strict=True):
        if not shown.any():
            continue
        lengths = np.linalg.norm(np.diff(curves[shown], axis=1), axis=-1).sum(-1)
        stroke = curves[shown][np.argmax(lengths)]
        centred = ring - ring.mean(0)
        size = np.sqrt((centred**2).sum(1).mean())
        starts.append(centred[cKDTree(ring).query(stroke[0])[1]] / size)
        turns.append(np.sign(signed_area(stroke)))
    return (np.median(starts, axis=0), int(np.sign(np.sum(turns)))) if starts else None


def signed_area(polygon: np.ndarray) -> float:
    """Area of a closed polygon (n, 2), positive if it is clockwise to the eye (y down)."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def agreement(starts: Sequence[tuple[np.ndarray, int] | None]) -> float:
    """Share of the clips of one shape whose start is at their median start and whose direction is that of most."""
    known = [start for start in starts if start is not None]
    if not known:
        return 0.0
    middle = np.median([start for start, _ in known], axis=0)
    direction = 1 if sum(turn for _, turn in known) >= 0 else -1
    agree = [np.hypot(*(start - middle)) <= AGREE and turn == direction for start, turn in known]
    return sum(agree) / len(starts)
