"""Conversion of decoded frames to pictures as in a player: upright, with square pixels, RGB."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import cv2
import numpy as np

from sketch2video.media.colour import rgb_of
from sketch2video.media.orientation import orientation_of
from sketch2video.media.pictures import middle_square

Convert = Callable[[av.VideoFrame, Fraction], np.ndarray]
"""Converts a decoded frame to a picture, given the pixel aspect ratio (width / height)."""


def shown(frame: av.VideoFrame, pixel_aspect: Fraction) -> np.ndarray:
    """A frame as a player would show it: uint8 (H, W, 3)."""
    picture = rgb_of(frame)
    if pixel_aspect != 1:
        width = max(round(picture.shape[1] * pixel_aspect), 1)
        picture = cv2.resize(picture, (width, picture.shape[0]), interpolation=cv2.INTER_AREA)
    return orientation_of(frame).upright(picture)


def shown_square(frame: av.VideoFrame, pixel_aspect: Fraction, size: int) -> np.ndarray:
    """The middle square of a frame as it is shown: uint8 (S, S, 3)."""
    return orientation_of(frame).upright(middle_square(rgb_of(frame), size, pixel_aspect))


def shown_whole(frame: av.VideoFrame, pixel_aspect: Fraction, size: int) -> np.ndarray:
    """A frame as it is shown, no side longer than ``size``: uint8 (H, W, 3)."""
    width, height = float(frame.width * pixel_aspect), float(frame.height)
    scale = min(size / max(width, height), 1.0)
    target = max(round(width * scale), 1), max(round(height * scale), 1)
    return orientation_of(frame).upright(cv2.resize(rgb_of(frame), target, interpolation=cv2.INTER_AREA))


def is_turned(frame: av.VideoFrame) -> bool:
    """Whether a player rotates a frame by 90 or 270 degrees, so that its width becomes its height."""
    return orientation_of(frame).transposed
