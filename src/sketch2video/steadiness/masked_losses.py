"""The loss of the whole video, of its foreground and of its background (the project's fourth paper, eq. 13 to 16, 20).

Combined tuning (13) fine-tunes a denoiser on videos with fused backgrounds, see
:mod:`~sketch2video.steadiness.average_fusion`, and minimises the error ``e - e_theta(x_t, t, h)`` (14): here the error
of any prediction, also of a velocity. Foreground (15) and background (16) can have larger weights than the whole (20).
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
        whole: lambda_1, weight of the loss without a mask.
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
        error: error of the prediction, (N, T, C, h, w) or any other shape.
        mask: in [0, 1] or bool, broadcastable to ``error``.
        mean_over: denominator of the mean. ``all``: all elements, as (6) and (14) are usually implemented; then a small
            foreground has a small loss, and the losses of complementary binary masks add up to that of the whole.
            ``masked``: the sum of the squared mask, so that a constant error of 1 has a loss of 1 for any mask, and
            a pixel of a small foreground has a larger weight.

    Returns:
        A float32 scalar; 0 for an empty mask.

    Raises:
        ValueError: the mask cannot be broadcast to the error.
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

    With ``all`` and complementary binary masks this equals (lambda_1 + lambda_2) L_fg + (lambda_1 + lambda_3) L_bg: two
    of the three weights are independent.

    Args:
        error: see :func:`masked_loss`.
        foreground, background: the masks M_fg and M_bg; see :func:`masked_loss`.
        weights: the lambdas.
        mean_over: see :func:`masked_loss`.

    Returns:
        The loss, and its terms by name without their weights, for the loss curve: ``whole`` (L_1), ``foreground``,
        ``background``.

    Raises:
        ValueError: a mask cannot be broadcast to the error.
    """
    terms = {
        "whole": error.float().square().mean(),
        "foreground": masked_loss(error, foreground, mean_over),
        "background": masked_loss(error, background, mean_over),
    }
    loss = weights.whole * terms["whole"] + weights.foreground * terms["foreground"]
    return loss + weights.background * terms["background"], terms


def latent_mask(mask: Tensor, factor: int, cover: Cover) -> Tensor:
    """Downsample a mask of pixels to the grid of a latent.

    Args:
        mask: (T, H, W) bool.
        factor: downsampling factor.
        cover: value of a latent position. ``share``: the share of its pixels in the mask, so that complementary masks
            remain complementary, though the squares of (15) and (16) lose up to half of an error along outlines.
            ``any``: 1 if any pixel is in the mask, else 0; of two complementary masks only one should be computed so,
            and the other as its complement.

    Returns:
        (T, 1, H / factor, W / factor) float32 in [0, 1].

    Raises:
        ValueError: a side is not a multiple of the factor.
    """
    if factor < 1 or any(side % factor for side in mask.shape[-2:]):
        raise ValueError(f"masks of {tuple(mask.shape[-2:])} do not divide into blocks of {factor} x {factor} pixels")
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
