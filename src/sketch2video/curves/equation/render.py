"""Rendering of curves: an anti-aliased renderer for display, and a differentiable one for losses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

_SUBPIXEL_BITS = 4
_DARKNESS = 3.0
"""Optical depth at the centre of a line: 1 - exp(-3) = 95% ink."""


def draw_strokes(points: np.ndarray, visible: np.ndarray, height: int, width: int, thickness: int = 1) -> np.ndarray:
    """Anti-aliased drawing of polylines.

    Args:
        points: (T, S, n, 2), frame widths.
        visible: bool (T, S).
        height, width: of the drawing, px.
        thickness: of the lines, px.

    Returns:
        uint8 (T, height, width), 255 ink on 0.
    """
    # OpenCV's integer coordinates name pixel centres; ours name the pixel grid.
    vertices = np.clip((points * width - 0.5) * 2**_SUBPIXEL_BITS, -(2**24), 2**24).round().astype(np.int32)
    out = np.zeros((len(points), height, width), np.uint8)
    for picture, strokes, shown in zip(out, vertices, visible, strict=True):
        cv2.polylines(picture, list(strokes[shown]), False, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return out


def render_ink(
    coefficients: torch.Tensor,
    visibility: torch.Tensor,
    height: int,
    width: int,
    *,
    points: int = 128,
    thickness: float = 2.0,
) -> torch.Tensor:
    """Differentiable renderer: a loss on the drawing has gradients for all coefficients and visibilities.

    The pen is a Gaussian drawn along the stroke; a pixel's depth of ink is the integral over all strokes, weighted by
    their visibility, and its darkness follows Beer and Lambert's law, so that crossing strokes never exceed 1. The
    Gaussian is separable: a frame is one product of an (H, S n) and an (S n, W) matrix, with no (H, W, S n) array.

    Args:
        coefficients: (..., S, 2, K), frame widths.
        visibility: (..., S) in [0, 1].
        height: H, px.
        width: W, px.
        points: n, pen positions a stroke; neighbours should be no further apart than the line is thick.
        thickness: width in px of the line where it is half dark.

    Returns:
        (..., H, W) in [0, 1], dtype and device of ``coefficients``.
    """
    import torch

    harmonics = coefficients.shape[-1]
    u = (torch.arange(points, device=coefficients.device, dtype=coefficients.dtype) + 0.5) / points
    angle = math.pi * u[:, None] * torch.arange(harmonics, device=u.device, dtype=u.dtype)
    speed = -math.pi * torch.arange(harmonics, device=u.device, dtype=u.dtype) * torch.sin(angle)
    at = coefficients @ torch.cos(angle).T * width  # (..., S, 2, n) px
    velocity = coefficients @ speed.T * width
    arc = (velocity.square().sum(-2) + 1e-8).sqrt() / points  # (..., S, n) px of line a point stands for

    sigma = thickness / 2 / math.sqrt(2 * math.log(_DARKNESS / math.log(2)))
    depth = visibility[..., None] * arc * (_DARKNESS / (math.sqrt(2 * math.pi) * sigma))
    columns = torch.arange(width, device=u.device, dtype=u.dtype) + 0.5
    rows = torch.arange(height, device=u.device, dtype=u.dtype) + 0.5
    x, y, depth = at[..., 0, :].flatten(-2), at[..., 1, :].flatten(-2), depth.flatten(-2)
    across = torch.exp(-((x[..., None] - columns) ** 2) / (2 * sigma**2))
    down = torch.exp(-((y[..., None] - rows) ** 2) / (2 * sigma**2)) * depth[..., None]
    return 1 - torch.exp(-(down.transpose(-1, -2) @ across))
