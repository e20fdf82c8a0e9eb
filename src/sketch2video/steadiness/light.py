"""Frames of a clip without what changes slowly over the frame: light, or a generated ground that drifts."""

from __future__ import annotations

import cv2
import numpy as np

_REACH = 0.25
"""Frame widths over which light changes: a standard deviation."""
_MOST = 24.0
"""What a pixel may differ from the clip's median more than the frame does, of 255, by a change of light alone."""
VIEWS = 16
"""Frames that a median over a clip is of, at most."""


def spread(count: int) -> np.ndarray:
    """At most 16 of so many frames, evenly over them, ascending: int64."""
    return np.unique(np.linspace(0, count - 1, min(count, VIEWS)).round().astype(int))


def evenly_lit(frames: np.ndarray) -> np.ndarray:
    """Take out of every frame by how much it is lighter than the clip's median: as a whole, and then place by place.

    Things that move stay as they are but for at most 24 of 255, and far less where they are small. Under a camera that
    moves, the median is no picture of the ground, and nothing of use comes out but a sharper look at whether it does.

    Args:
        frames: uint8 or float32 (T, H, W) or (T, H, W, 3), in [0, 255].

    Returns:
        float32 of the same shape; it may leave [0, 255] a little.
    """
    median = np.median(frames[spread(len(frames))], axis=0).astype(np.float32)
    reach = _REACH * frames.shape[2]
    lit = np.empty(frames.shape, np.float32)
    for frame, result in zip(frames, lit, strict=True):
        whole = np.median(frame - median, axis=(0, 1))
        rest = np.clip(frame - median - whole, -_MOST, _MOST)
        result[:] = frame - whole - cv2.GaussianBlur(rest, (0, 0), reach, borderType=cv2.BORDER_REFLECT)
    return lit
