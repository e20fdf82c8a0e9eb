"""Probability of ink → lines about one pixel wide.

The lines are the ridges of the probability (non-maximum suppression across them, as HED's edges are thinned: Xie & Tu
2015, section 4), as far as hysteresis keeps them (Canny 1986). Suppression breaks lines at corners and leaves spurs
there; a stroke is an unbroken line, so gaps are closed and spurs removed. Lines are drawn in grey levels where the
crests are to a fraction of a pixel (:mod:`~sketch2video.sketches.fine_lines`).
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import skeletonize

from sketch2video.sketches.fine_lines import draw_along_crests, long_lines

CREST_BLUR = 0.7
"""Pixels: more merges lines that run side by side, less finds ridges in noise."""
GAP = 4.0
"""Pixels between the ends of lines that are one line."""
SPUR = 3
"""Pixels of the longest branch that is removed."""

_AROUND = np.ones((3, 3), np.uint8)


def thinned(probability: np.ndarray, threshold: float, min_length: float) -> np.ndarray:
    """Draw the lines of a clip.

    Args:
        probability: float32 (T, H, W) in [0, 1].
        threshold: probability that starts a line; lines continue down to half of it.
        min_length: shortest line that is kept, in frame widths.

    Returns:
        uint8 (T, H, W), 255 ink on 0, in grey levels.
    """
    return np.stack([_lines(each, threshold, min_length) for each in probability])


def _lines(probability: np.ndarray, threshold: float, min_length: float) -> np.ndarray:
    smooth = cv2.GaussianBlur(probability, (0, 0), CREST_BLUR)
    across = _across(smooth)
    crests = np.where(_is_crest(smooth, *across), probability, 0)
    # Where a ridge is flat, both of its pixels are on it.
    thin = skeletonize(apply_hysteresis_threshold(crests, threshold / 2, threshold)).astype(np.uint8)
    whole = without_spurs(skeletonize(with_gaps_closed(thin) > 0).astype(np.uint8))
    return draw_along_crests(long_lines(whole, min_length * probability.shape[1]), smooth, across)


def _across(smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, right and down (H, W) each, along which the surface curves down most: across a line."""
    dxx, dyy, dxy = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((2, 0), (0, 2), (1, 1)))
    along = 0.5 * np.arctan2(2 * dxy, dxx - dyy)
    return -np.sin(along), np.cos(along)


def _is_crest(smooth: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Where (H, W) no neighbour across the line is more likely."""
    y, x = np.mgrid[: len(smooth), : smooth.shape[1]].astype(np.float32)
    beside = (
        cv2.remap(smooth, x + side * dx, y + side * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for side in (-1, 1)
    )
    return np.logical_and.reduce([smooth >= other for other in beside])


def with_gaps_closed(thin: np.ndarray) -> np.ndarray:
    """Join the ends of lines, uint8 (H, W) in {0, 1}, within ``GAP`` of each other, the nearest first."""
    joined, ends = thin.copy(), np.argwhere(_ends(thin))
    distances = np.linalg.norm(ends[:, None] - ends[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    while (distances <= GAP).any():
        pair = np.unravel_index(distances.argmin(), distances.shape)
        (y0, x0), (y1, x1) = (map(int, ends[one]) for one in pair)
        cv2.line(joined, (x0, y0), (x1, y1), 1)
        for one in pair:
            distances[one], distances[:, one] = np.inf, np.inf
    return joined


def without_spurs(thin: np.ndarray) -> np.ndarray:
    """Remove branches of up to ``SPUR`` pixels from lines, uint8 (H, W) in {0, 1}; ends of lines stay."""
    core = thin.copy()
    for _ in range(SPUR):
        core[_ends(core)] = 0
    grown = _ends(core).astype(np.uint8)
    for _ in range(SPUR):
        grown |= cv2.dilate(grown, _AROUND) & thin & (1 - core)
    return core | grown


def _ends(thin: np.ndarray) -> np.ndarray:
    """Where (H, W) a pixel of a line has one neighbour."""
    return (thin > 0) & (cv2.filter2D(thin, -1, _AROUND, borderType=cv2.BORDER_CONSTANT) == 2)
