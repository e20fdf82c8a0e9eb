"""Reduction of drawn curves to the budget of numbers a frame."""

from __future__ import annotations

import torch
from torch import Tensor

from sketch2video.curve_vae.strokes import VISIBLE

NEGLIGIBLE = 5e-4
"""Frame widths, root mean square; harmonics that together move a line less than this are removed from samples."""


def within_budget(coefficients: Tensor, visibility: Tensor, budget: int) -> Tensor:
    """Zero negligible harmonics, then those of least energy, until a frame takes at most ``budget`` numbers.

    Strokes lose their highest harmonics first: the harmonics with the largest *tails*, the energy in and above them,
    are kept, and a tail never grows with k. The choice is the same for a whole clip, which avoids flicker. Strokes that
    are not visible become zero.

    Args:
        coefficients: (N, T, S, 2, K), frame widths.
        visibility: (N, T, S); all S of them count against the budget.
        budget: numbers a frame.
    """
    count, _, strokes, _, harmonics = coefficients.shape
    seen = visibility > VISIBLE
    coefficients = coefficients * seen[..., None, None]
    energy = coefficients.square().sum((1, 3)) / (2 * seen.sum(1).clamp_min(1))[..., None]  # Parseval: mean square
    tails = energy.flip(-1).cumsum(-1).flip(-1)  # (N, S, K)
    needed = tails > NEGLIGIBLE**2
    tails[..., 0].masked_fill_(seen.any(1), torch.inf)  # every stroke keeps its position before any keeps detail
    pairs = min((budget - strokes) // 2, strokes * harmonics)
    kept = torch.zeros(count, strokes * harmonics, dtype=torch.bool, device=coefficients.device)
    kept.scatter_(1, tails.flatten(1).topk(pairs, dim=1).indices, True)
    return coefficients * (kept.view_as(needed) & needed)[:, None, :, None]
