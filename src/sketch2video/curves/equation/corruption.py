"""Conditioning augmentation for the sketch: curves are corrupted in training as if they were generated, and drawn.

In training the video model is conditioned on curves that were fitted to real frames, in sampling on generated curves:
distorted, with rounded corners, slightly displaced, and with missing strokes. Corrupting the condition (Ho et al. 2022,
"Cascaded Diffusion Models", section 4) makes the video model robust to these errors. The coefficients are corrupted,
for which these errors are simple, and the corrupted curves are drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.sequence import VISIBLE
from sketch2video.networks.processes import draw

WOBBLE = 0.12
"""Standard deviation of a harmonic's error, as a share of the stroke's size over k, at full strength."""
SHIFT = 0.02
"""Standard deviation of the displacement of a whole drawing at full strength, frame widths."""
SCALING = 0.08
"""Standard deviation of the logarithm of a change of size at full strength."""
SHARPEST, BLUNTEST = 40.0, 6.0
"""The harmonic at which corners are rounded off: at strength 0 and at full strength."""
LOST = 0.1
"""Probability that a stroke is missing for some frames at full strength."""
TIME_TERMS = 4
"""Number of cosines in time of an error, which varies smoothly over the clip."""


def draw_ink(coefficients: Tensor, visibility: Tensor, height: int, width: int) -> Tensor:
    """The drawing of curves with any leading axes, as the condition of a network.

    Args:
        coefficients: (..., S, 2, K), frame widths.
        visibility: (..., S) in [0, 1].
        height, width: of the drawing, px.

    Returns:
        (..., 1, height, width) float32 in [0, 1], on the device of ``coefficients``.
    """
    # Frames are drawn independently of each other, so those of many clips are drawn as one sequence, and strokes that
    # none of them shows are skipped: most of the time is spent on evaluating the curves.
    shown = visibility.flatten(0, -2).cpu()
    used = (shown > VISIBLE).any(0)
    frames = CurveSequence(coefficients.flatten(0, -4).cpu()[:, used].numpy(), shown[:, used].numpy())
    ink = torch.from_numpy(frames.render(height, width)).to(coefficients.device)
    return (ink.float() / 255).view(*visibility.shape[:-1], 1, height, width)


def corrupt_curves(
    coefficients: Tensor, visibility: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Corrupt the curves of a share of the clips, each with its own strength in (0, 1).

    Args:
        coefficients: (N, T, S, 2, K) float32, frame widths.
        visibility: (N, T, S) in [0, 1].
        share: probability that a clip is corrupted, in [0, 1].
        generator: the only source of randomness, on the tensors' device.

    Returns:
        New coefficients and visibility of the same shapes; the other clips are unchanged.
    """
    count, frames, strokes, _, harmonics = coefficients.shape
    device = coefficients.device

    def uniform(*shape: int) -> Tensor:
        return draw(torch.rand, shape, generator)

    def drifting(*shape: int) -> Tensor:
        """Smooth noise of standard deviation about 1 at every time: (N, T, *shape)."""
        terms = draw(torch.randn, [count, TIME_TERMS, *shape], generator)
        times = torch.linspace(0, 1, frames, device=device) if frames > 1 else torch.zeros(1, device=device)
        basis = torch.cos(math.pi * times[:, None] * torch.arange(TIME_TERMS, device=device))
        return torch.einsum("nj...,tj->nt...", terms, basis) * (2 / (1 + TIME_TERMS)) ** 0.5

    strength = torch.where(uniform(count) < share, uniform(count), 0.0).view(-1, 1, 1, 1, 1)
    k = torch.arange(harmonics, device=device, dtype=coefficients.dtype)
    position, shape = coefficients[..., :1], coefficients[..., 1:]
    size = (shape.square().sum((-2, -1), keepdim=True) / 2).sqrt()

    bluntness = SHARPEST * (BLUNTEST / SHARPEST) ** strength
    rounded = torch.where(strength > 0, shape * torch.exp(-((k[1:] / bluntness) ** 2)), shape)
    wobble = WOBBLE * strength * size * drifting(strokes, 2, harmonics - 1) / k[1:]
    scaled = torch.exp(SCALING * strength * drifting(1, 1, 1)) * (rounded + wobble * (shape != 0))
    moved = position + SHIFT * strength * drifting(1, 2, 1)

    start = uniform(count, 1, strokes) * frames
    length = uniform(count, 1, strokes) * frames / 4
    time = torch.arange(frames, device=device).view(1, -1, 1)
    lost = (uniform(count, 1, strokes) < LOST * strength[..., 0, 0]) & (time >= start) & (time < start + length)
    return torch.cat([moved, scaled], dim=-1), visibility.masked_fill(lost, 0.0)
