"""The mean background of several frames of a clip, aligned with each frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sketch2video.steadiness.camera import seen_from

_UNLIKE = 32.0
"""Difference from a mean background, of 255, above which it is occluded, beyond drift and blur."""


def aligned_background(
    frames: np.ndarray, foreground: np.ndarray, path: np.ndarray, drawn: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Align the backgrounds of some frames along the camera's path, and average them.

    Args:
        frames: uint8 (T, H, W, 3).
        foreground: bool (T, H, W), True on the foreground.
        path: (T, 3, 3) homographies; see :func:`~sketch2video.steadiness.camera.camera_path`.
        drawn: indices of the frames that are averaged.

    Returns:
        mean: float32 (T, H, W, 3) in [0, 255], aligned with each frame; 0 where no sampled frame shows background.
        seen: bool (T, H, W), True where any sampled frame shows background.
    """
    backgrounds = [np.where(foreground[i], 0, 1).astype(np.float32) for i in drawn]
    means, counts = [], []
    for here in path:
        total, count = np.zeros(frames.shape[1:], np.float32), np.zeros(frames.shape[1:3], np.float32)
        for i, background in zip(drawn, backgrounds, strict=True):
            into = path[i] @ np.linalg.inv(here)
            visible = seen_from(background, into) > 0.999  # without interpolation from the foreground or outside
            total += seen_from(frames[i].astype(np.float32), into) * visible[..., None]
            count += visible
        means.append(total / np.maximum(count, 1)[..., None])
        counts.append(count > 0)
    return np.stack(means), np.stack(counts)


def explained(frames: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Where frames agree with their mean background: bool (T, H, W).

    The mean would erase objects that the segmenter misses.

    Args:
        frames: uint8 (T, H, W, 3).
        mean: float32 (T, H, W, 3) in [0, 255]; see :func:`aligned_background`.
    """
    gaps = [cv2.GaussianBlur(picture, (0, 0), 1.0) for picture in frames.astype(np.float32) - mean]
    return np.stack([np.abs(gap).max(-1) < _UNLIKE for gap in gaps])
