"""The user's pictures at the model's size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Size = int | tuple[int, int]
"""Of pictures, px: the side of square ones, or height and width."""


def height_and_width(size: Size) -> tuple[int, int]:
    """Height and width of a size."""
    return (size, size) if isinstance(size, int) else size


def fit_to_size(pictures: Tensor, size: Size, lines: bool = False) -> Tensor:
    """Pictures (N, T, C, H, W) in [0, 1], resized; with ``lines`` they shrink by maximum pooling, which keeps lines."""
    count, present, wanted = pictures.shape[:2], tuple(pictures.shape[-2:]), height_and_width(size)
    frames = pictures.flatten(0, 1)
    if lines and all(have > want for have, want in zip(present, wanted, strict=True)):
        frames = functional.adaptive_max_pool2d(frames, wanted)
    elif present != wanted:
        frames = functional.interpolate(frames, wanted, mode="bilinear", antialias=True)
    return frames.unflatten(0, count)


def pictures_of(videos: np.ndarray, size: Size, device: torch.device, lines: bool = False) -> Tensor:
    """Videos uint8 (N, T, H, W, C) at the model's size: (N, T, C, height, width) in [0, 1]."""
    return fit_to_size(torch.from_numpy(videos).to(device).movedim(-1, -3).float() / 255, size, lines)
