"""Resizing of frames to a network's input, by the names in protocols.

Each function takes a uint8 picture (H, W, 3) and returns float32 (S, S, 3) in [0, 255]. The choice affects scores, so
the name is part of every protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

Resize = Callable[[np.ndarray, int], np.ndarray]


def tensorflow(picture: np.ndarray, size: int) -> np.ndarray:
    """To S×S as ``tf.image.resize_bilinear`` in FVD's reference code.

    Output index i samples the input at i · in / out, as in TensorFlow 1, which does not use pixel centres; without
    antialiasing.
    """
    x = picture.astype(np.float32)
    for axis in (0, 1):
        length = x.shape[axis]
        position = np.arange(size, dtype=np.float32) * np.float32(length / size)
        low = np.minimum(position.astype(np.int64), length - 1)
        high = np.minimum(low + 1, length - 1)
        share = (position - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        below, above = x.take(low, axis), x.take(high, axis)
        x = below + (above - below) * share
    return x


def straight(picture: np.ndarray, size: int) -> np.ndarray:
    """To S×S, bilinear with pixel centres, without antialiasing (CD-FVD; TATS)."""
    return _bilinear(picture, size, size)


def corners(picture: np.ndarray, size: int) -> np.ndarray:
    """To S×S, bilinear with aligned corners (Chainer's ``resize_images``; TGANv2)."""
    return _bilinear(picture, size, size, align_corners=True)


def bicubic(picture: np.ndarray, size: int) -> np.ndarray:
    """To S×S by OpenCV's ``INTER_CUBIC`` (TGAN)."""
    return cv2.resize(picture.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)


def short_side_crop(picture: np.ndarray, size: int) -> np.ndarray:
    """The shorter side to S, bilinear with pixel centres, then a centre crop (VideoGPT; StyleGAN-V's users)."""
    height, width = picture.shape[:2]
    scale = size / min(height, width)
    wide = (size, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), size)
    x = _bilinear(picture, *wide)
    top, left = (wide[0] - size) // 2, (wide[1] - size) // 2
    return x[top : top + size, left : left + size]


def clip(picture: np.ndarray, size: int) -> np.ndarray:
    """The shorter side to S by Pillow's bicubic with antialiasing, then a centre crop (CLIP)."""
    height, width = picture.shape[:2]
    short = min(height, width)
    wide = (size * width // short, size * height // short)
    x = np.asarray(Image.fromarray(picture).resize(wide, Image.Resampling.BICUBIC), np.float32)
    top, left = (wide[1] - size) // 2, (wide[0] - size) // 2
    return x[top : top + size, left : left + size]


RESIZES: dict[str, Resize] = {
    "tensorflow": tensorflow,
    "short_side_crop": short_side_crop,
    "straight": straight,
    "corners": corners,
    "bicubic": bicubic,
    "clip": clip,
}


def _bilinear(picture: np.ndarray, height: int, width: int, align_corners: bool = False) -> np.ndarray:
    x = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    x = F.interpolate(x, (height, width), mode="bilinear", align_corners=align_corners)
    return x[0].permute(1, 2, 0).numpy()
