"""Detection of line drawings, and the lines of any picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from skimage.morphology import skeletonize

from sketch2video.sketches.classical import extract_sketches

THICKEST = 0.03
"""Half the width of the thickest line that is still a line, in shorter sides of the picture; at least 2 px."""

ONE_COLOUR = 0.25
"""Largest range of the paper's channels, relative to its brightness, in which it has one colour."""

DARKEST = 80
"""Brightness of the darkest paper with dark lines."""
LINES = 0.998
"""Quantile of the contrast to the paper that a line has: a few lines cover a hundredth of a picture."""
FAINTEST, CLEAR = 0.1, 0.6
"""Contrast of the faintest lines, and that above which lines are clear: as shares of the paper's brightness."""


def lines_of(
    frames: np.ndarray,
    drawn_size: int,
    extracted_size: int,
    extract: Callable[[np.ndarray], np.ndarray] = extract_sketches,
) -> np.ndarray:
    """The lines of a clip: its ink if it is a line drawing, else what the extractor draws.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        drawn_size: longer side in px of the ink of line drawings.
        extracted_size: longer side in px at which lines are extracted from photographs.
        extract: from frames to ink, for photographs.

    Returns:
        uint8 (T, h, w), 255 ink on 0, of one of the two sizes.
    """
    ink = [ink_of_drawing(resize_lines(frame, drawn_size)) for frame in frames]
    drawn = [i for i in ink if i is not None]
    if len(drawn) == len(frames) and any(i.any() for i in drawn):
        return np.stack(drawn)
    return extract(np.stack([resize(frame, extracted_size) for frame in frames]))


def ink_of_drawing(picture: np.ndarray) -> np.ndarray | None:
    """The ink of a line drawing, dark on light or light on dark; None if the picture is none.

    A line drawing has a background of one brightness, under possibly uneven light, with thin lines of clear contrast,
    or with no lines.

    Args:
        picture: uint8 (H, W, 3) RGB.

    Returns:
        uint8 (H, W), 255 ink on 0, lines one pixel wide.
    """
    side = min(picture.shape[:2])
    # Closing with a window wider than any line keeps the paper and its shading; lines are darker than these.
    width = max(side // 8, 5) | 1
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if _is_light_on_dark(grey, window):
        picture, grey = 255 - picture, 255 - grey
    layers = np.dstack([picture, grey])
    papers = cv2.GaussianBlur(cv2.morphologyEx(layers, cv2.MORPH_CLOSE, window), (0, 0), side / 32)
    darknesses = 1 - np.minimum(layers / np.maximum(papers, 1.0), 1.0)
    paper, darkness = papers[..., 3], darknesses[..., 3]
    tints = papers[..., :3] / np.maximum(paper, 1.0)[..., None]
    if np.ptp(tints, axis=(0, 1)).max() < ONE_COLOUR:
        # A yellow line is almost as bright as its paper, but much darker in the blue channel.
        darkness = darknesses.max(-1)
    scale = _faintness(darkness, paper, window)
    darkness = scale * darkness
    ink = (darkness > 0.25).astype(np.uint8) * 255
    if np.ptp(paper.astype(np.float32)) > 128 or np.median(paper) < DARKEST or (ink > 0).mean() > 0.3:
        return None
    # Closing takes the brightest of the noise for the paper, which counts where lines are not much stronger.
    noise = float(np.median(darknesses[..., 3])) if scale > 1 else 0.0
    faint = (scale * (darknesses[..., 3] - noise) > 0.08) & (cv2.dilate(ink, np.ones((5, 5), np.uint8)) == 0)
    if faint.mean() > 0.02:
        return None  # the background has a texture
    if ink.any():
        half_widths = cv2.distanceTransform(ink, cv2.DIST_L2, 5)[ink > 0]
        if np.quantile(half_widths, 0.95) > max(THICKEST * side, 2.0) or np.median(darkness[ink > 0]) < 0.38:
            return None  # areas or shades, not lines
    # Centre lines: the fit would take a thick line for an area and follow both of its borders.
    return skeletonize(ink > 0).astype(np.uint8) * 255


def _is_light_on_dark(grey: np.ndarray, window: np.ndarray) -> bool:
    """Whether the lines of a picture (H, W) are lighter than its paper, which may be of a medium brightness."""
    median = float(np.median(grey))
    if not DARKEST < median < 255 - DARKEST:
        return median < 128
    dark, light = (cv2.morphologyEx(grey, hat, window) for hat in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT))
    light_energy, dark_energy = (float(np.square(hat, dtype=np.float64).mean()) for hat in (light, dark))
    # Photographs have both.
    return light_energy > 4 * dark_energy if median >= 128 else 4 * light_energy >= dark_energy


def _faintness(darkness: np.ndarray, paper: np.ndarray, window: np.ndarray) -> float:
    """By how much the darkness of faint lines is to be multiplied to be that of clear ones; 1 for others.

    Where the paper itself has steps, they are edges of areas, and its darkness is not that of lines.
    """
    strength = float(np.quantile(darkness, LINES))
    if not FAINTEST <= strength < CLEAR:
        return 1.0
    step = (cv2.dilate(paper, window) - cv2.erode(paper, window)) / np.maximum(paper, 1.0)
    return CLEAR / strength if step.max() < strength / 2 else 1.0


def resize_lines(picture: np.ndarray, size: int) -> np.ndarray:
    """To ``size`` px on the longer side; thin lines are widened first, so that shrinking does not wash them out.

    Args:
        picture: uint8 (H, W, 3).
        size: px.
    """
    shrink = round(max(picture.shape[:2]) / size)
    if shrink > 1:
        widen = cv2.erode if np.median(picture) >= 128 else cv2.dilate
        picture = widen(picture, np.ones((shrink, shrink), np.uint8))
    return resize(picture, size)


def resize(picture: np.ndarray, size: int) -> np.ndarray:
    """To ``size`` px on the longer side, by area.

    Args:
        picture: uint8 (H, W, 3).
        size: px.
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    target = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(picture, target, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
