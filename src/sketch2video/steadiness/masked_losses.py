"""The loss of the whole video, of its foreground and of its background (the project's fourth paper, eq. 13 to 16, 20).

Combined tuning (13) goes on training a denoiser, on videos made consistent by
:mod:`~sketch2video.steadiness.average_fusion`, so that the error ``e - e_theta(x_t, t, h)`` is small (14): here any
error of a prediction, a velocity's as well. Foreground (15) and background (16) can weigh more than the whole (20).
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from sketch2video.networks.processes import total
from sketch2video.params import MeanOver

Cover = Literal["share", "any"]


@dataclass(frozen=True)
class LossWeights:
    """The lambdas of equation (20).

    Attributes:
        whole: of the loss without a mask, lambda_1.
        foreground: lambda_2.
        background: lambda_3.
    """

    whole: float
    foreground: float
    background: float

    def __post_init__(self) -> None:
        weights = astuple(self)
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise ValueError(f"losses cannot weigh {weights}; weights are at least 0, and one of them is above it")


def masked_loss(error: Tensor, mask: Tensor, mean_over: MeanOver = "all") -> Tensor:
    """Equations (15) and (16): ``|M * e|^2``, * the Hadamard product, whose sum of squares is divided by a count.

    Args:
        error: (N, T, C, h, w) or of any shape; what the prediction is off.
        mask: in [0, 1] or bool, broadcastable to ``error``.
        mean_over: what is counted. ``all``: elements, in and out of the mask, as (6) and (14) are usually implemented;
            then a small foreground has a small loss, and binary masks that complement each other have losses that add
            up to that of the whole. ``masked``: those in the mask, by the square of their share in it, so that a
            constant error of 1 costs 1 however much the mask holds, and a pixel in a small foreground weighs more.

    Returns:
        A float32 scalar; 0 where the mask holds nothing.

    Raises:
        ValueError: the mask has a shape that does not go with the error's.
    """
    mask = _beside(mask, error)
    squares = (mask * error.float()).square()
    if mean_over == "all":
        return squares.mean()
    count = total(mask.square().sum())
    return total(squares.sum()) / count.where(count > 0, 1)


def combined_loss(
    error: Tensor, foreground: Tensor, background: Tensor, weights: LossWeights, mean_over: MeanOver = "all"
) -> tuple[Tensor, dict[str, Tensor]]:
    """Equation (20): lambda_1 L_1 + lambda_2 L_fg + lambda_3 L_bg.

    With ``all``, and binary masks that complement each other, this is (lambda_1 + lambda_2) L_fg +
    (lambda_1 + lambda_3) L_bg: the three weights say no more than two would.

    Args:
        error: see :func:`masked_loss`.
        foreground, background: the masks M_fg and M_bg, likewise.
        weights: the lambdas.
        mean_over: see :func:`masked_loss`.

    Returns:
        The loss, and its terms by name before they are weighted, for the loss curve: ``whole`` (L_1), ``foreground``,
        ``background``.

    Raises:
        ValueError: a mask has a shape that does not go with the error's.
    """
    terms = {
        "whole": error.float().square().mean(),
        "foreground": masked_loss(error, foreground, mean_over),
        "background": masked_loss(error, background, mean_over),
    }
    loss = weights.whole * terms["whole"] + weights.foreground * terms["foreground"]
    return loss + weights.background * terms["background"], terms


def latent_mask(mask: Tensor, factor: int, cover: Cover) -> Tensor:
    """A mask of pixels on the grid of a latent that is ``factor`` times smaller.

    Args:
        mask: (T, H, W) bool.
        factor: pixels of a latent place's side.
        cover: what a place is given. ``share``: the share of its pixels that are in the mask, so that masks that
            complement each other still do, though the squares of (15) and (16) leave up to half of an error out along
            outlines. ``any``: 1 where any pixel is in it, else 0; of two masks only one should be made so, and the
            other be what it leaves.

    Returns:
        (T, 1, H / factor, W / factor) float32 in [0, 1].

    Raises:
        ValueError: a side is not a multiple of the factor.
    """
    if factor < 1 or any(side % factor for side in mask.shape[-2:]):
        raise ValueError(f"masks of {tuple(mask.shape[-2:])} do not divide into places of {factor} x {factor} pixels")
    pool = functional.avg_pool2d if cover == "share" else functional.max_pool2d
    return pool(mask[:, None].float(), factor)


def _beside(mask: Tensor, error: Tensor) -> Tensor:
    """A mask as float32 of the shape of ``error``."""
    try:
        return mask.float().expand_as(error)
    except RuntimeError as failure:
        raise ValueError(
            f"a mask of {tuple(mask.shape)} does not go with an error of {tuple(error.shape)}"
        ) from failure
