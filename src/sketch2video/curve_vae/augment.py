"""Augmentation: training clips are translated, scaled, rotated, mirrored and reversed in time.

The prior is conditioned on the augmentation (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based
Generative Models", appendix F.2, non-leaking augmentation), and samples with none: samples are not displaced, and the
directions in captions stay correct.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sketch2video.curve_vae.strokes import StrokeSet
from sketch2video.networks.processes import draw

CHANGES = 6
"""Numbers that describe a change: translation x and y (frame widths), logarithm of the scale, angle (radians), and 1 if
mirrored from left to right, 1 if reversed in time, in the order of their application."""
MOVE = 0.5
"""Standard deviation of the translation, frame widths, relative to that of log scale and angle."""
FLIPPED = 0.125
"""Share of the clips that are mirrored, and of those that are reversed. With a half of each, a caption alone would not
determine the direction of a motion, and the exclusive or of both may not be learned."""


def augmented(strokes: StrokeSet, spread: float, generator: torch.Generator) -> tuple[StrokeSet, Tensor]:
    """Clips after random changes, and the changes (N, CHANGES); see :func:`random_changes`."""
    changes = random_changes(len(strokes.life), spread, generator)
    return (changed(strokes, changes) if spread else strokes), changes


def random_changes(count: int, spread: float, generator: torch.Generator) -> Tensor:
    """Changes of clips: normal translations, log scales and angles; some are mirrored, some reversed in time.

    Args:
        count: N.
        spread: standard deviation of log scale and angle; 0: no change at all.
        generator: source of the changes.

    Returns:
        (N, CHANGES)
    """
    drawn = draw(torch.randn, [count, CHANGES], generator)
    if not spread:
        return torch.zeros_like(drawn)
    flips = torch.special.ndtr(drawn[:, 4:]) < FLIPPED
    return torch.cat([spread * drawn[:, :4] * drawn.new_tensor([MOVE, MOVE, 1, 1]), flips.float()], dim=1)


def changed(strokes: StrokeSet, changes: Tensor) -> StrokeSet:
    """Clips after a change about the middle of the frame and of time.

    A mirrored stroke is drawn from its other end, so that closed ones stay clockwise.

    Args:
        strokes: of N clips.
        changes: (N, CHANGES).
    """
    scale, angle = changes[:, 2].exp(), changes[:, 3]
    mirrored, backwards = changes[:, 4] > 0.5, changes[:, 5] > 0.5
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    sign = torch.where(mirrored, -1.0, 1.0)
    turn = torch.stack([sign * cosine, -sine, sign * sine, cosine], dim=1).view(-1, 1, 1, 2, 2)
    middle = changes.new_full((2,), 0.5)
    result = turn @ strokes.coefficients
    result[..., 0] += middle - turn @ middle + changes[:, None, None, :2]
    # cos(k pi (1 - u)) = (-1)^k cos(k pi u)
    result[..., 1::2] *= sign.view(-1, 1, 1, 1, 1)
    result = torch.where(backwards.view(-1, 1, 1, 1, 1), result.flip(2), result)
    life = torch.where(backwards.view(-1, 1, 1), 1 - strokes.life.flip(-1), strokes.life)
    return StrokeSet(result, life * strokes.present[..., None], strokes.present)
