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
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if np.median(grey) < 128:
        picture, grey = 255 - picture, 255 - grey
    # Closing with a window wider than any line keeps the paper and its shading; lines are darker than these.
    width = max(side // 8, 5) | 1
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    layers = np.dstack([picture, grey])
    papers = cv2.GaussianBlur(cv2.morphologyEx(layers, cv2.MORPH_CLOSE, window), (0, 0), side / 32)
    darknesses = 1 - np.minimum(layers / np.maximum(papers, 1.0), 1.0)
    paper, darkness = papers[..., 3], darknesses[..., 3]
    tints = papers[..., :3] / np.maximum(paper, 1.0)[..., None]
    if np.ptp(tints, axis=(0, 1)).max() < ONE_COLOUR:
        # A yellow line is almost as bright as its paper, but much darker in the blue channel.
        darkness = darknesses.max(-1)
    ink = (darkness > 0.25).astype(np.uint8) * 255
    if np.ptp(paper.astype(np.float32)) > 128 or np.median(paper) < 128 or (ink > 0).mean() > 0.3:
        return None
    faint = (darknesses[..., 3] > 0.08) & (cv2.dilate(ink, np.ones((5, 5), np.uint8)) == 0)
    if faint.mean() > 0.02:
        return None  # the background has a texture
    if ink.any():
        half_widths = cv2.distanceTransform(ink, cv2.DIST_L2, 5)[ink > 0]
        if np.quantile(half_widths, 0.95) > max(THICKEST * side, 2.0) or np.median(darkness[ink > 0]) < 0.38:
            return None  # areas or shades, not lines
    # Centre lines: the fit would take a thick line for an area and follow both of its borders.
    return skeletonize(ink > 0).astype(np.uint8) * 255


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
