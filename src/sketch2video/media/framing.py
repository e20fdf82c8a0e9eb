"""The largest middle part of a frame with a given aspect ratio."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np

from sketch2video.media.colour import rgb_of
from sketch2video.media.orientation import orientation_of


def shown_part(frame: av.VideoFrame, pixel_aspect: Fraction, width: int, height: int) -> np.ndarray:
    """The middle part of a frame as a player shows it, resized without distortion: uint8 (height, width, 3) RGB."""
    orientation = orientation_of(frame)
    size = (height, width) if orientation.transposed else (width, height)
    return orientation.upright(middle_part(rgb_of(frame), *size, pixel_aspect))


def middle_part(picture: np.ndarray, width: int, height: int, pixel_aspect: Fraction = Fraction(1)) -> np.ndarray:
    """The largest middle part of a picture with the aspect ratio of a size, in that size.

    Args:
        picture: uint8 (H, W, 3).
        width, height: px, with square pixels.
        pixel_aspect: width of the picture's pixels in heights of a pixel.

    Returns:
        uint8 (height, width, 3).
    """
    rows, columns = picture.shape[:2]
    high = min(Fraction(rows), columns * pixel_aspect * height / width)  # in heights of a pixel
    across, down = max(round(high * width / height / pixel_aspect), 1), max(round(high), 1)
    left, top = (columns - across) // 2, (rows - down) // 2
    part = picture[top : top + down, left : left + across]
    shrinks = across >= width and down >= height
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))
