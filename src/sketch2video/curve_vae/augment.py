"""Training clips moved, enlarged and turned: more clips than there are, without teaching that drawings wander.

The prior sees by how much (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
appendix F.2, non-leaking augmentation), and draws with a change of zero. What a caption says of directions stays true
as long as clips are turned a little only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sketch2video.curve_vae.strokes import StrokeSet

CHANGES = 4
"""Numbers that describe a change: move x and y (frame widths), logarithm of the scale, angle (radians)."""
MOVE = 0.5
"""Standard deviation of moves, frame widths, beside that of the two others."""


def augmented(strokes: StrokeSet, spread: float, generator: torch.Generator) -> tuple[StrokeSet, Tensor]:
    """The strokes of clips after random changes, and the changes (N, CHANGES); see :func:`random_changes`."""
    changes = random_changes(len(strokes.life), spread, generator)
    return strokes._replace(coefficients=changed(strokes.coefficients, changes)), changes


def random_changes(count: int, spread: float, generator: torch.Generator) -> Tensor:
    """Changes of clips, normally distributed about none: (N, CHANGES).

    Args:
        count: N.
        spread: standard deviation of log scale and angle.
        generator: source of the changes.
    """
    drawn = spread * torch.randn(count, CHANGES, generator=generator, device=generator.device)
    return drawn * drawn.new_tensor([MOVE, MOVE, 1, 1])


def changed(coefficients: Tensor, changes: Tensor) -> Tensor:
    """Strokes after a change of their clip about the middle of the frame.

    Args:
        coefficients: (N, S, T, 2, K) frame widths.
        changes: (N, CHANGES).

    Returns:
        The shape of ``coefficients``.
    """
    scale, angle = changes[:, 2].exp(), changes[:, 3]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 1, 1, 2, 2)
    middle = coefficients.new_full((2,), 0.5)
    result = turn @ coefficients
    result[..., 0] += middle - turn @ middle + changes[:, None, None, :2]
    return result
