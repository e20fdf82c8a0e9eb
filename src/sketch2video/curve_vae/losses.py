"""How far decoded strokes are from the true ones, by cause."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.curve_vae.strokes import Parts, rms_distance, take_apart
from sketch2video.networks.processes import total


def stroke_errors(hypothesis: Parts, actual: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Root mean square errors of strokes, by cause.

    Each cause has a gradient of its own: in the distance of points a wrong place would drown a corner that is missing.
    Bends are compared by their slopes, harmonic k by k times its coefficient (Parseval; the H1 seminorm over pi),
    since a rounded corner is a fraction of a pixel off and yet makes a cross into a disc. A slope's error is at least
    that of the points, so the distance between points that a pen draws at the same time is at most the sum of the
    first three.

    Args:
        hypothesis: M strokes, leading axes (M, T), float32.
        actual: (M, T, 2, K) the true coefficients, frame widths.
        visible: (M, T) bool; only these frames count, and only steps between two of them.

    Returns:
        Means, four scalars, zero where nothing is visible: of places and of sizes, in frame widths; of slopes, with
        the true place and size; and of the steps from frame to frame, of places and slopes together.
    """
    true = take_apart(actual)
    size = true.log_size.exp()
    place = ((hypothesis.place - true.place).square().sum(-1) + 1e-10).sqrt()
    sizes = size * (hypothesis.log_size - true.log_size).abs()
    harmonic = torch.arange(actual.shape[-1], device=actual.device).clamp_min(1)
    bent = (hypothesis.shape - true.shape) * size[..., None, None] * harmonic[1:]
    errors = (hypothesis.coefficients() - actual) * harmonic
    both = visible[:, 1:] & visible[:, :-1]
    return (
        _mean(place, visible),
        _mean(sizes, visible),
        _mean(rms_distance(functional.pad(bent, (1, 0))), visible),
        _mean(rms_distance(errors[:, 1:] - errors[:, :-1]), both),
    )


def mean_distance(hypothesis: Tensor, actual: Tensor, visible: Tensor, points: int = 64) -> Tensor:
    """Mean distance between points of two sets of strokes at the same pen positions: a scalar, frame widths.

    Args:
        hypothesis, actual: (M, T, 2, K), frame widths.
        visible: (M, T) bool, the frames that count.
        points: pen positions from 0 to 1, ends included.
    """
    at = torch.linspace(0, 1, points, device=actual.device)
    basis = torch.cos(torch.pi * at[:, None] * torch.arange(actual.shape[-1], device=actual.device))
    apart = ((hypothesis - actual)[visible] @ basis.T).square().sum(1).sqrt()
    return apart.sum() / max(apart.numel(), 1)


def _mean(values: Tensor, which: Tensor) -> Tensor:
    return total((values * which).sum()) / total(which.sum()).clamp_min(1)
