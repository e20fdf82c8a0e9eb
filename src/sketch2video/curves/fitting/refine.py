"""Gradient descent from a fitted sequence: an optional, slow step that reduces the discrepancy from the drawing.

The rendered discrepancy is lowered through the differentiable renderer by Adam (Kingma and Ba 2015), all frames of a
clip at once. Corrections are regularised towards those of the same stroke in neighbouring frames, which keeps motion
smooth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from sketch2video.curves.equation.measure import BLUR, rendered_discrepancy
from sketch2video.curves.equation.render import render_ink
from sketch2video.curves.equation.sequence import CurveSequence

if TYPE_CHECKING:
    import torch

STEADINESS = 3.0
"""Weight of the mean squared difference, in frame widths times 100, of neighbouring frames' corrections."""

CHECKED_EVERY = 10
"""Steps between two evaluations of the rendered discrepancy."""

CLOSED = 1e-4
"""Frame widths; a stroke whose ends are nearer than this is closed and stays so."""

THICKNESS = 1.5
"""Width in px of the pen of the differentiable renderer: blurred, its line is as dark as that of the real drawing."""

MOST_POINTS = 256
"""Pen positions a stroke; for a stroke longer than so many pens the drawing is slightly too light in parts."""


def refine_curves(
    sequence: CurveSequence, ink: np.ndarray, *, steps: int = 50, learning_rate: float = 2e-3
) -> CurveSequence:
    """Refine the coefficients of fitted strokes by gradient descent on the rendered discrepancy.

    The rendered discrepancy (:func:`~sketch2video.curves.equation.measure.rendered_discrepancy`) of the result is never
    above that of ``sequence``. Coefficients that are zero stay zero, closed strokes closed, visibility as it is.

    Args:
        sequence: result of :func:`~sketch2video.curves.fitting.track.fit_curves`.
        ink: (T, H, W) uint8, 255 ink on 0.
        steps: of gradient descent; 0 returns ``sequence``.
        learning_rate: largest motion of a stroke's position in a step, frame widths; that of harmonic k is 1 / (k + 1)
            of it.
    """
    if not steps or not sequence.visible.any():
        return sequence
    import torch

    _, height, width = ink.shape
    used = sequence.visible.any(0)
    start = torch.from_numpy(sequence.coefficients[:, used])
    visibility = torch.from_numpy(sequence.visibility[:, used])
    free, closed = start != 0, _closed(start)
    size = learning_rate / (1 + torch.arange(start.shape[-1]))
    move = torch.zeros_like(start, requires_grad=True)
    target = torch.from_numpy(np.stack([_blurred(picture) for picture in ink.astype(np.float32) / 255]))
    points = int(np.clip(_length(sequence) * width / THICKNESS, 64, MOST_POINTS))
    optimizer = torch.optim.Adam([move], lr=1.0)
    best, least = sequence, rendered_discrepancy(sequence.render(height, width), ink)
    for step in range(1, steps + 1):
        correction = _allowed(move * size, free, closed)
        drawn = render_ink(start + correction, visibility, height, width, points=points, thickness=THICKNESS)
        loss = (_softened(drawn) - target).square().mean() / target.square().mean().clamp_min(1e-6)
        loss = loss + STEADINESS * _unsteadiness(100 * correction, visibility)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % CHECKED_EVERY == 0 or step == steps:
            moved = sequence.coefficients.copy()
            moved[:, used] = (start + _allowed(move.detach() * size, free, closed)).numpy()
            found = CurveSequence(moved, sequence.visibility)
            discrepancy = rendered_discrepancy(found.render(height, width), ink)
            if discrepancy < least:
                best, least = found, discrepancy
    return best


def _allowed(correction: torch.Tensor, free: torch.Tensor, closed: torch.Tensor) -> torch.Tensor:
    """The nearest correction (T, S, 2, K) that changes only ``free`` coefficients and keeps ``closed`` strokes closed.

    The ends of a series differ by twice the sum of its odd coefficients.
    """
    import torch

    correction = correction * free
    odd = free * (torch.arange(free.shape[-1]) % 2)
    excess = (correction * odd).sum(-1, keepdim=True) / odd.sum(-1, keepdim=True).clamp_min(1)
    return correction - excess * odd * closed[..., None, None]


def _unsteadiness(correction: torch.Tensor, visibility: torch.Tensor) -> torch.Tensor:
    """Mean over strokes that two neighbouring frames show of how much their corrections differ, squared."""
    both = visibility[1:] * visibility[:-1]
    change = (correction[1:] - correction[:-1]).square().sum((-2, -1))
    return (change * both).sum() / both.sum().clamp_min(1)


def _softened(drawing: torch.Tensor) -> torch.Tensor:
    """A drawing (T, H, W) blurred as :func:`_blurred` does."""
    import torch

    kernel = torch.from_numpy(cv2.getGaussianKernel(7, BLUR, cv2.CV_32F)[:, 0])
    padded = torch.nn.functional.pad(drawing[:, None], (3, 3, 3, 3), mode="replicate")
    across = torch.nn.functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return torch.nn.functional.conv2d(across, kernel.view(1, 1, -1, 1))[:, 0]


def _blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (7, 7), BLUR, borderType=cv2.BORDER_REPLICATE)


def _closed(coefficients: torch.Tensor) -> torch.Tensor:
    """Which strokes (T, S, 2, K) end where they start: (T, S) bool."""
    return 2 * coefficients[..., 1::2].sum(-1).abs().amax(-1) < CLOSED


def _length(sequence: CurveSequence) -> float:
    """Length of the longest stroke, frame widths."""
    steps = np.diff(sequence.points(MOST_POINTS), axis=2)
    return float(np.hypot(steps[..., 0], steps[..., 1]).sum(-1).max())
