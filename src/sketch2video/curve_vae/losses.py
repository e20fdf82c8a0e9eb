"""Reconstruction errors of decoded strokes, by component."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.curve_vae.strokes import Parts, decompose, rms_distance
from sketch2video.networks.processes import total


def stroke_errors(hypothesis: Parts, actual: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Root mean square errors of strokes, by component.

    Each component has its own gradient: in the distance of points, an error of the position would dominate that of a
    missing corner. Shapes are compared by their slopes, harmonic k by k times its coefficient (Parseval; the H1
    seminorm over pi), since a rounded corner is a small distance and yet turns a cross into a disc. The error of slopes
    is at least that of points, so the distance between points at the same pen position is at most the sum of the first
    three.

    Args:
        hypothesis: M strokes, leading axes (M, T), float32.
        actual: (M, T, 2, K) the true coefficients, frame widths.
        visible: (M, T) bool; the frames that are compared, and the steps between two of them.

    Returns:
        Means, four scalars, zero where nothing is visible: of positions and of sizes, in frame widths; of slopes, with
        the true position and size; and of the steps from frame to frame, of positions and slopes together.
    """
    true = decompose(actual)
    size = true.log_size.exp()
    position = ((hypothesis.position - true.position).square().sum(-1) + 1e-10).sqrt()
    sizes = size * (hypothesis.log_size - true.log_size).abs()
    harmonic = torch.arange(actual.shape[-1], device=actual.device).clamp_min(1)
    bent = (hypothesis.shape - true.shape) * size[..., None, None] * harmonic[1:]
    errors = (hypothesis.coefficients() - actual) * harmonic
    both = visible[:, 1:] & visible[:, :-1]
    return (
        _mean(position, visible),
        _mean(sizes, visible),
        _mean(rms_distance(functional.pad(bent, (1, 0))), visible),
        _mean(rms_distance(errors[:, 1:] - errors[:, :-1]), both),
    )


def mean_distance(hypothesis: Tensor, actual: Tensor, visible: Tensor, points: int = 64) -> Tensor:
    """Mean distance between points of two sets of strokes at the same pen positions: a scalar, frame widths.

    Args:
        hypothesis, actual: (M, T, 2, K), frame widths.
        visible: (M, T) bool, the frames that are compared.
        points: pen positions from 0 to 1, ends included.
    """
    at = torch.linspace(0, 1, points, device=actual.device)
    basis = torch.cos(torch.pi * at[:, None] * torch.arange(actual.shape[-1], device=actual.device))
    apart = ((hypothesis - actual)[visible] @ basis.T).square().sum(1).sqrt()
    return apart.sum() / max(apart.numel(), 1)


def _mean(values: Tensor, which: Tensor) -> Tensor:
    return total((values * which).sum()) / total(which.sum()).clamp_min(1)
