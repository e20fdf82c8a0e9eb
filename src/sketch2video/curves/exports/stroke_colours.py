"""The colour of each stroke: the median of the colours that its ink has in the pictures."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from sketch2video.curves.equation.sequence import CurveSequence

POINTS = 192
"""Pen positions per stroke among which the nearest to an ink pixel is found."""

REACH = 2
"""Distance in px, along each axis, in which the colour of a line is looked for: beside it lies the background."""


def stroke_colours(curves: CurveSequence, ink: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """One colour a stroke, for all frames.

    Each ink pixel belongs to the nearest visible stroke. Its colour is the one in its neighbourhood that differs most
    from the background, which is the median colour of the frame: that of a thin line, or of an object at its edge.

    Args:
        curves: T frames of S strokes that were fitted to the ink.
        ink: (T, H, W) uint8, ink above 127.
        pictures: (T, H, W, 3) uint8 RGB, of which the ink is.

    Returns:
        (S, 3) uint8 RGB; of a stroke without ink the median of all ink.
    """
    strokes = curves.visibility.shape[1]
    owners: list[np.ndarray] = []
    colours: list[np.ndarray] = []
    points = curves.points(POINTS) * ink.shape[2]
    for drawn, picture, at, shown in zip(ink, pictures, points, curves.visible, strict=True):
        rows, columns = np.nonzero(drawn > 127)
        if len(rows) and shown.any():
            nearest = cKDTree(at[shown].reshape(-1, 2)).query(np.stack([columns, rows], 1) + 0.5)[1]
            owners.append(np.flatnonzero(shown)[nearest // POINTS])
            colours.append(_colours_at(picture, rows, columns))
    if not owners:
        return np.zeros((strokes, 3), np.uint8)
    owner, colour = np.concatenate(owners), np.concatenate(colours)
    chosen = (colour[owner == stroke] if (owner == stroke).any() else colour for stroke in range(strokes))
    return np.stack([np.median(pixels, axis=0).round().astype(np.uint8) for pixels in chosen])


def _colours_at(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The colours (N, 3) beside pixels that differ most from the median colour of the picture."""
    ground = np.median(picture.reshape(-1, 3), axis=0)
    near = np.arange(2 * REACH + 1)
    window = rows[:, None, None] + near[:, None], columns[:, None, None] + near
    around = cv2.copyMakeBorder(picture, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)[window]
    around = around.reshape(len(rows), -1, 3)
    furthest = np.abs(around - ground).max(-1).argmax(-1)
    return np.asarray(around[np.arange(len(rows)), furthest])
