"""Photometric augmentation: other colours, light, sharpness, noise and compression; no pixel moves.

It makes a network that is trained on embedded scenes work on photographs. Every picture of a batch is changed
differently.

kornia 0.9.0 draws from torch's global generator alone, while here all follows from a generator; it loads 435 modules in
1.5 s, takes 31 MB with kornia-rs, and a like chain of changes takes twice as long (16 pictures of 128 x 128, one core).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.networks.processes import draw

BLOCK = 8
"""Pixels: side of JPEG's blocks."""


def photometric(pictures: Tensor, generator: torch.Generator, kept: float = 0.0) -> Tensor:
    """Change the appearance of pictures, not their content.

    Args:
        pictures: (N, 3, H, W) in [0, 1].
        generator: of all randomness; on the pictures' device.
        kept: share of the pictures that stay as they are.

    Returns:
        The same shape, in [0, 1].
    """
    with torch.autocast(pictures.device.type, enabled=False):  # bfloat16 has fewer shades than a picture
        return _changed(pictures, generator, kept)


def _changed(pictures: Tensor, generator: torch.Generator, kept: float) -> Tensor:
    def uniform(low: float, high: float) -> Tensor:
        """A number for every picture, (N, 1, 1, 1)."""
        share = draw(torch.rand, [len(pictures), 1, 1, 1], generator)
        return low + (high - low) * share

    def normal(*shape: int) -> Tensor:
        return draw(torch.randn, shape, generator)

    def some(share: float, changed: Tensor, kept: Tensor) -> Tensor:
        return torch.where(uniform(0, 1) < share, changed, kept)

    x = pictures.clamp(0, 1) ** uniform(-0.7, 0.7).exp()
    x = some(0.7, torch.einsum("nij,njhw->nihw", torch.eye(3, device=x.device) + 0.4 * normal(len(x), 3, 3), x), x)
    grey = x.mean(1, keepdim=True)
    x = some(0.6, grey + uniform(0, 1) * (x - grey), x)
    middle = x.mean((1, 2, 3), keepdim=True)
    x = (uniform(0.2, 0.8) + uniform(0.4, 1.4) * (x - middle)).clamp(0, 1)
    x = some(0.3, 1 - x, x)
    x = some(0.5, blurred(x, uniform(0.3, 1.5)), x)
    x = some(0.6, x + uniform(0, 0.08) * normal(*x.shape), x)
    x = some(0.4, compressed(x, uniform(0.01, 0.06)), x)
    return some(kept, pictures, x.clamp(0, 1))


def blurred(pictures: Tensor, sigma: Tensor, radius: int = 4) -> Tensor:
    """Gaussian blur of pictures (N, 3, H, W) by ``sigma`` (N, 1, 1, 1) pixels each."""
    offsets = torch.arange(-radius, radius + 1, device=pictures.device)
    weights = torch.exp(-0.5 * (offsets / sigma.view(-1, 1)).square())
    kernels = (weights / weights.sum(1, keepdim=True)).repeat_interleave(pictures.shape[1], 0)
    flat = functional.pad(pictures, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
    along = functional.conv2d(flat, kernels[:, None, None], groups=len(kernels))
    return functional.conv2d(along, kernels[:, None, :, None], groups=len(kernels)).view_as(pictures)


def compressed(pictures: Tensor, step: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) as JPEG leaves them: cosine coefficients of 8 x 8 blocks, rounded to steps.

    Args:
        pictures: in [0, 1].
        step: (N, 1, 1, 1), of the lowest frequency; that of the highest is eight times as large.
    """
    height, width = pictures.shape[-2:]
    padded = functional.pad(pictures, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
    positions = torch.arange(BLOCK, device=pictures.device)
    basis = torch.cos(math.pi / BLOCK * (positions[None] + 0.5) * positions[:, None]) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    blocks = padded.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)  # (N, 3, H / 8, W / 8, 8, 8)
    steps = step[..., None, None] * (1 + (positions[:, None] + positions[None]) / 2)
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / steps).round() * steps) @ basis
    return blocks.transpose(3, 4).reshape(padded.shape)[..., :height, :width]
