"""Line extraction from photographs without learning.

Based on Canny's detector (Canny 1986: non-maximum suppression and hysteresis along the gradient), with an
edge-preserving bilateral filter (Tomasi and Manduchi 1998) instead of the Gaussian, so that texture is removed and
outlines stay sharp, and a gradient over colours: at each pixel that of the CIELAB channel that changes most, so that a
red disc on a background of the same lightness has an outline. Lines that are too short are dropped, as people leave out
speckle. Lines are drawn in grey levels at the edges' positions to a fraction of a pixel
(:mod:`~sketch2video.sketches.fine_lines`).
"""

from __future__ import annotations

import cv2
import numpy as np

from sketch2video.compiled import compiled
from sketch2video.sketches.fine_lines import draw_along_crests, long_lines

WIDEST = 4.0
"""Most of the filter's radius in px: its cost grows with the square, and a large frame's outlines are sharp enough."""
BLUR = 0.8
"""Standard deviation in px of the filter before derivatives are taken."""


def extract_sketches(
    frames: np.ndarray, *, smoothing: float = 1.0, contrast: float = 0.12, min_length: float = 0.08
) -> np.ndarray:
    """Draw the lines of a clip.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        smoothing: radius of the edge-preserving filter, in hundredths of the frame's diagonal; 0: none.
        contrast: change of lightness or colour across an edge that starts a line, as a share of the full range; lines
            continue down to half of it.
        min_length: shortest line that is kept, in frame widths.

    Returns:
        uint8 (T, H, W), 255 ink on 0, lines about one pixel wide, in grey levels.

    Raises:
        TypeError: ``frames`` is not uint8.
        ValueError: ``frames`` is not (T, H, W, 3).
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8:
        raise TypeError(f"frames must be uint8, not {frames.dtype}")
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames must have the shape (frames, height, width, 3), not {frames.shape}")
    return (
        np.stack([_sketch(frame, smoothing, contrast, min_length) for frame in frames])
        if len(frames)
        else (np.zeros(frames.shape[:3], np.uint8))
    )


def _sketch(frame: np.ndarray, smoothing: float, contrast: float, min_length: float) -> np.ndarray:
    height, width = frame.shape[:2]
    colours = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    if smoothing > 0:
        sigma = float(np.clip(smoothing * np.hypot(height, width) / 100, 0.8, WIDEST))
        colours = cv2.bilateralFilter(colours, 2 * int(np.ceil(2 * sigma)) + 1, 100 * contrast, sigma)
    scale = 32767 / 200
    gradient = (d * scale for d in _strongest_gradient(colours))
    across, down = (np.clip(d, -32767, 32767).astype(np.int16) for d in gradient)
    edges = cv2.Canny(across, down, 50 * contrast * scale, 100 * contrast * scale, L2gradient=True)
    lines = long_lines(edges, min_length * width)
    # The filter and the curve from RGB to CIELAB shift edges by up to half a pixel: positions are those in the frame.
    dx, dy = _strongest_gradient(frame.astype(np.float32))
    return draw_along_crests(lines, np.hypot(dx, dy), (dx, dy))


def _strongest_gradient(channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (H, W), right and down, of the channel of (H, W, C) that changes most at each pixel."""
    smooth = cv2.GaussianBlur(channels, (0, 0), BLUR)
    # Scharr's kernels weigh 16 to a side: for a step of height h at this blur the largest response is close to 16 h.
    dx, dy = cv2.Scharr(smooth, cv2.CV_32F, 1, 0) / 16, cv2.Scharr(smooth, cv2.CV_32F, 0, 1) / 16
    return _strongest(dx, dy)


@compiled
def _strongest(dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of vectors (H, W, C), given by their components, the longest of each pixel: (H, W) each."""
    height, width, channels = dx.shape
    across, down = np.empty((height, width), dx.dtype), np.empty((height, width), dx.dtype)
    for row in range(height):
        for column in range(width):
            right, below = dx[row, column, 0], dy[row, column, 0]
            for channel in range(1, channels):
                other_right, other_below = dx[row, column, channel], dy[row, column, channel]
                if other_right * other_right + other_below * other_below > right * right + below * below:
                    right, below = other_right, other_below
            across[row, column], down[row, column] = right, below
    return across, down
