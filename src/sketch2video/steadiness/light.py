"""Removal of changes that vary slowly over the frame: light, or drift of a generated background."""

from __future__ import annotations

import cv2
import numpy as np

_REACH = 0.25
"""Standard deviation of the low-pass filter for light, frame widths."""
_MOST = 24.0
"""Maximum local change of light relative to that of the whole frame, of 255."""
VIEWS = 16
"""Maximum number of frames of a median over a clip."""


def spread(count: int) -> np.ndarray:
    """Indices of at most 16 of ``count`` frames, evenly spaced, ascending: int64."""
    return np.unique(np.linspace(0, count - 1, min(count, VIEWS)).round().astype(int))


def evenly_lit(frames: np.ndarray) -> np.ndarray:
    """Subtract from every frame its difference in light from the clip's median: of the whole frame, then locally.

    Moving objects change by at most 24 of 255, and small ones far less. With a moving camera the median is not the
    background, and the result is only useful to detect that motion.

    Args:
        frames: uint8 or float32 (T, H, W) or (T, H, W, 3), in [0, 255].

    Returns:
        float32 of the same shape; values may be slightly outside of [0, 255].
    """
    median = np.median(frames[spread(len(frames))], axis=0).astype(np.float32)
    reach = _REACH * frames.shape[2]
    lit = np.empty(frames.shape, np.float32)
    for frame, result in zip(frames, lit, strict=True):
        whole = np.median(frame - median, axis=(0, 1))
        rest = np.clip(frame - median - whole, -_MOST, _MOST)
        result[:] = frame - whole - cv2.GaussianBlur(rest, (0, 0), reach, borderType=cv2.BORDER_REFLECT)
    return lit
