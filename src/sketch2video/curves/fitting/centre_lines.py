"""Centre lines of ink: pixels, and their offsets to the centre of the line to a fraction of a pixel.

A line drawn with grey levels says where it is more precisely than its pixels do. Centres are those of Steger 1998, "An
Unbiased Detector of Curvilinear Structures" (section 2): the point of a pixel's second-order Taylor polynomial where
the ink is largest across the line, t = -g.n / n'Hn, with the gradient g and the Hessian H of the blurred ink, and n the
eigenvector of the most negative eigenvalue. Blur also averages the staircase of lines without grey levels.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.morphology import skeletonize

from sketch2video.compiled import compiled

BLUR = 0.8
"""Standard deviation in px: above the width of a line of 1.5 px divided by the square root of 3 (Steger, eq. 6)."""

WITHIN = 0.49
"""Largest offset along each axis, px: the centre stays within its pixel."""

LEAST_CURVATURE = 0.02
"""Curvature across a line, in full ranges of ink per square px, below which it has no crest; a line has about 0.25."""

_SQUARE = np.ones((3, 3), np.uint8)
_WIDE = np.ones((5, 5), np.uint8)


def centre_lines(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels on the centre lines of a drawing, and their offsets to them.

    Solid areas are outlined instead of skeletonised: of areas that survive an erosion, only the border is kept, without
    offsets.

    Args:
        ink: (H, W) uint8, ink above 127, or bool.

    Returns:
        skeleton: (H, W) bool, lines one pixel wide.
        offsets: (H, W, 2) float64 px, right and down, from the pixels' centres; 0 away from the lines.
    """
    grey = ink.astype(np.float32) / (1 if ink.dtype == np.bool_ else 255)
    mask = (grey > 127.5 / 255).astype(np.uint8)
    solid = cv2.erode(mask, _WIDE, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    if solid.any():
        solid = cv2.dilate(solid, _WIDE)
        mask = mask - cv2.erode(mask, _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=1) * solid
    skeleton = skeletonize(mask > 0)
    blurred = cv2.GaussianBlur(grey, (0, 0), BLUR, borderType=cv2.BORDER_REPLICATE)
    return skeleton, _crests(blurred, skeleton, solid)


@compiled
def _crests(blurred: np.ndarray, skeleton: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Offsets (H, W, 2) of a skeleton (H, W) to the crest of blurred ink (H, W), where it is not solid (H, W)."""
    height, width = blurred.shape
    offsets = np.zeros((height, width, 2))
    rows, columns = np.nonzero(skeleton)
    around = np.empty((3, 3))
    for i in range(len(rows)):
        if solid[rows[i], columns[i]]:
            continue
        for down in range(3):
            row = min(max(rows[i] + down - 1, 0), height - 1)
            for right in range(3):
                around[down, right] = blurred[row, min(max(columns[i] + right - 1, 0), width - 1)]
        dx, dy = (around[1, 2] - around[1, 0]) / 2, (around[2, 1] - around[0, 1]) / 2
        dxx = around[1, 2] - 2 * around[1, 1] + around[1, 0]
        dyy = around[2, 1] - 2 * around[1, 1] + around[0, 1]
        dxy = (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0]) / 4
        across = 0.5 * np.arctan2(2 * dxy, dxx - dyy) + np.pi / 2  # the eigenvector of the smaller eigenvalue
        nx, ny = np.cos(across), np.sin(across)
        curvature = dxx * nx**2 + 2 * dxy * nx * ny + dyy * ny**2
        if curvature >= -LEAST_CURVATURE:
            continue
        length = (dx * nx + dy * ny) / -curvature
        if abs(length) <= 1:  # beyond the neighbours: the crest of another line
            offsets[rows[i], columns[i], 0] = min(max(length * nx, -WITHIN), WITHIN)
            offsets[rows[i], columns[i], 1] = min(max(length * ny, -WITHIN), WITHIN)
    return offsets
