"""The sketch as a condition in training: curves, corrupted as a generator would have drawn them, and drawn.

In training the painter sees curves that were fitted to real frames, when sampling it sees curves that the curve VAE
made up: wobbly, rounded at the corners, a little displaced, with a stroke missing now and then. Corrupting the
condition (Ho et al. 2022, "Cascaded Diffusion Models", section 4) keeps the painter from trusting every pixel of it. It
is done on the coefficients, where these faults are simple, and the corrupted curves are drawn.
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
"""The harmonic at which corners are rounded off: at no and at full strength."""
LOST = 0.1
"""Probability that a stroke is missing for some frames at full strength."""
TIME_TERMS = 4
"""Cosines in time that an error is made of: it drifts through the clip and does not flicker."""


def draw_ink(coefficients: Tensor, visibility: Tensor, height: int, width: int) -> Tensor:
    """The drawing of curves with any leading axes, as a network sees it.

    Args:
        coefficients: (..., S, 2, K), frame widths.
        visibility: (..., S) in [0, 1].
        height, width: of the drawing, px.

    Returns:
        (..., 1, height, width) float32 in [0, 1], on the device of ``coefficients``.
    """
    # Frames are drawn independently of each other, so those of many clips are drawn as one sequence, and strokes that
    # none of them shows are left out: most of the time goes into evaluating the curves.
    shown = visibility.flatten(0, -2).cpu()
    used = (shown > VISIBLE).any(0)
    frames = CurveSequence(coefficients.flatten(0, -4).cpu()[:, used].numpy(), shown[:, used].numpy())
    ink = torch.from_numpy(frames.render(height, width)).to(coefficients.device)
    return (ink.float() / 255).view(*visibility.shape[:-1], 1, height, width)


def corrupt_curves(
    coefficients: Tensor, visibility: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Damage the curves of a share of the clips, each with a strength of its own in (0, 1).

    Args:
        coefficients: (N, T, S, 2, K) float32, frame widths.
        visibility: (N, T, S) in [0, 1].
        share: probability that a clip is damaged, in [0, 1].
        generator: the only source of randomness, on the tensors' device.

    Returns:
        New coefficients and visibility of the same shapes; clips that are spared come back as they were.
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
    place, shape = coefficients[..., :1], coefficients[..., 1:]
    size = (shape.square().sum((-2, -1), keepdim=True) / 2).sqrt()

    bluntness = SHARPEST * (BLUNTEST / SHARPEST) ** strength
    rounded = torch.where(strength > 0, shape * torch.exp(-((k[1:] / bluntness) ** 2)), shape)
    wobble = WOBBLE * strength * size * drifting(strokes, 2, harmonics - 1) / k[1:]
    scaled = torch.exp(SCALING * strength * drifting(1, 1, 1)) * (rounded + wobble * (shape != 0))
    moved = place + SHIFT * strength * drifting(1, 2, 1)

    start = uniform(count, 1, strokes) * frames
    length = uniform(count, 1, strokes) * frames / 4
    time = torch.arange(frames, device=device).view(1, -1, 1)
    lost = (uniform(count, 1, strokes) < LOST * strength[..., 0, 0]) & (time >= start) & (time < start + length)
    return torch.cat([moved, scaled], dim=-1), visibility.masked_fill(lost, 0.0)
