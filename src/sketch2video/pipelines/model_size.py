"""The user's pictures at the model's size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def fit_to_size(pictures: Tensor, size: int, lines: bool = False) -> Tensor:
    """Pictures (N, T, C, H, H) in [0, 1], resized; with ``lines`` they shrink by maximum pooling, which keeps lines."""
    count = pictures.shape[:2]
    frames = pictures.flatten(0, 1)
    if pictures.shape[-1] > size and lines:
        frames = functional.adaptive_max_pool2d(frames, size)
    elif pictures.shape[-1] != size:
        frames = functional.interpolate(frames, size, mode="bilinear", antialias=True)
    return frames.unflatten(0, count)


def pictures_of(videos: np.ndarray, size: int, device: torch.device, lines: bool = False) -> Tensor:
    """Videos uint8 (N, T, H, H, C) at the model's size: (N, T, C, size, size) in [0, 1]."""
    return fit_to_size(torch.from_numpy(videos).to(device).movedim(-1, -3).float() / 255, size, lines)
