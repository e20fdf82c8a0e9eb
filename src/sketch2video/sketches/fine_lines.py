"""Lines to a fraction of a pixel: positions of crests between pixels, and their drawing in grey levels."""

from __future__ import annotations

import cv2
import numpy as np

from sketch2video.compiled import compiled

HALF_WIDTH = 1.02
"""Distance in px from the centre of a line at which its ink ends. Ink falls linearly with the distance, so a pixel is
above half where the line passes within half a pixel; a line between two pixels is above half in both."""

FARTHEST = 0.7
"""Largest offset of a line from its pixel, px: about half the diagonal of a pixel."""

LEAST_INK = 0.51
"""Least ink of a pixel of a line, so that lines stay connected."""

_HALF_LENGTH = 0.75


def draw_along_crests(pixels: np.ndarray, strength: np.ndarray, across: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Draw lines through pixels, at the crests of a strength near them.

    Args:
        pixels: bool (H, W), the pixels of the lines.
        strength: float32 (H, W), largest at the centre of a line.
        across: float32 (H, W) each, the components right and down of a vector across the line, of any length and sign.

    Returns:
        uint8 (H, W), 255 ink on 0: lines about one pixel wide, in grey levels.
    """
    rows, columns = np.nonzero(pixels)
    right, down = (part[rows, columns] for part in across)
    length = np.maximum(np.hypot(right, down), 1e-9)
    right, down = right / length, down / length
    offsets = crest_offsets(strength, rows, columns, right, down)
    height, width = pixels.shape
    return (_drawn(height, width, rows, columns, right, down, offsets) * 255).round().astype(np.uint8)


def long_lines(pixels: np.ndarray, least: float) -> np.ndarray:
    """Connected lines of at least ``least`` pixels: from uint8 (H, W), non-zero on lines, to bool (H, W)."""
    count, labels = cv2.connectedComponents(pixels, connectivity=8)
    kept = np.bincount(labels.ravel(), minlength=count) >= least
    kept[0] = False
    return np.asarray(kept[labels])


def crest_offsets(
    strength: np.ndarray, rows: np.ndarray, columns: np.ndarray, right: np.ndarray, down: np.ndarray
) -> np.ndarray:
    """Offsets of pixels to the crest of a strength: the vertex of a parabola through three values across the line.

    Devernay 1995, "A Non-Maxima Suppression Method for Edge Detection with Sub-Pixel Accuracy", section 4.

    Args:
        strength: float32 (H, W).
        rows, columns: of N pixels.
        right, down: (N,) unit vectors across the line.

    Returns:
        (N,) px along these vectors, at most :data:`FARTHEST`; 0 where the strength has no crest.
    """
    if not len(rows):
        return np.zeros(0)
    before, here, after = (
        cv2.remap(
            strength,
            (columns + side * right).astype(np.float32)[:, None],
            (rows + side * down).astype(np.float32)[:, None],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )[:, 0].astype(np.float64)
        for side in (-1, 0, 1)
    )
    bend = 2 * here - before - after
    crest = bend > 1e-6 * np.abs(here)
    return np.clip(np.where(crest, 0.5 * (after - before) / np.where(crest, bend, 1), 0), -FARTHEST, FARTHEST)


@compiled
def _drawn(
    height: int,
    width: int,
    rows: np.ndarray,
    columns: np.ndarray,
    right: np.ndarray,
    down: np.ndarray,
    offsets: np.ndarray,
) -> np.ndarray:
    """Ink around pixels (N,), by the distance to the line through each; float64 (height, width) in [0, 1]."""
    out = np.zeros((height, width))
    for i in range(len(rows)):
        for below in range(-1, 2):
            for beside in range(-1, 2):
                row, column = rows[i] + below, columns[i] + beside
                if not (0 <= row < height and 0 <= column < width):
                    continue
                distance = abs(right[i] * beside + down[i] * below - offsets[i])
                along = abs(right[i] * below - down[i] * beside)
                ink = min(max(HALF_WIDTH - distance, 0.0), 1.0) if along <= _HALF_LENGTH else 0.0
                if below == 0 and beside == 0:
                    ink = max(ink, LEAST_INK)
                out[row, column] = max(out[row, column], ink)
    return out
