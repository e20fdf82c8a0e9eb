"""Average fusion: one background for all frames of a video (the project's fourth paper, eq. 10 to 12, mended).

Part way through sampling, at step k, the background of every frame is replaced by the mean of several frames'
backgrounds, and sampling goes on from there (12). Equation (11) as printed is not what it means:

- A mean over n frames is one over those that show background at a pixel: behind a foreground there is none to add.
- At step k frames are noisy, and in the mean of n of them independent noise is 1 / sqrt(n) as strong as the sampler
  expects there (0.45 for n = 5); it takes the rest for content. So clean backgrounds are averaged, and noise is added
  to the level of k.
- The mean is put where a frame itself shows background, not added underneath its foreground.

Under a camera that moves, frames are aligned first: the mean is then another in every frame.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sketch2video.diffusion.objectives import LearningObjective


class FusionWeights(nn.Module):
    """w_1 and w_2 of equation (11), 1 at the start: nothing is weighted.

    What reaches them are the masked losses (eq. 15 and 16,
    :mod:`~sketch2video.steadiness.masked_losses`) of a prediction for the fused video, or of the video sampled on
    from it (12): the background's for the most part w_1, the foreground's w_2. Noise is scaled together with the
    content, so that weights away from 1 are away from the noise level of k, too. At the paper's 250 steps of 2e-6
    Adam moves them by at most about 0.0005.
    Args:
        background: w_1 at the start.
        foreground: w_2 at the start.
    """

    def __init__(self, background: float = 1.0, foreground: float = 1.0) -> None:
        super().__init__()
        self.background = nn.Parameter(torch.tensor(background))
        self.foreground = nn.Parameter(torch.tensor(foreground))

    def forward(self, background: Tensor, foreground: Tensor, shows_background: Tensor) -> Tensor:
        """w_1 times the one where ``shows_background`` (bool) is true, w_2 times the other elsewhere."""
        return torch.where(shows_background, self.background * background, self.foreground * foreground)


def sampled_frames(frames: int, count: int, generator: torch.Generator) -> Tensor:
    """Which frames are averaged: the i of equation (11).

    Args:
        frames: of the video.
        count: how many are drawn, n; where the video has fewer, all of them.
        generator: the only source of randomness.

    Returns:
        (n,) int64, ascending, none twice, on the generator's device.

    Raises:
        ValueError: a number is below 1.
    """
    if frames < 1 or count < 1:
        raise ValueError(f"{count} of {frames} frames cannot be drawn; both are at least 1")
    return torch.randperm(frames, generator=generator, device=generator.device)[:count].sort().values


def fused_background(frames: Tensor, background_masks: Tensor) -> tuple[Tensor, Tensor]:
    """The mean background: at each pixel that of the frames that show background there.

    Args:
        frames: (n, C, H, W), without noise.
        background_masks: (n, 1, H, W) bool, or shares in [0, 1], by which frames then weigh.

    Returns:
        mean: (C, H, W) of the dtype of ``frames``; sums are float32; 0 where no frame shows background.
        seen: (1, H, W) bool, where one does.
    """
    shares = background_masks.float()
    count = shares.sum(0)
    seen = count > 0
    mean = (shares * frames.float()).sum(0) / count.where(seen, 1)
    return mean.to(frames.dtype), seen


def average_fusion(
    latents: Tensor,
    clean: Tensor,
    background_masks: Tensor,
    objective: LearningObjective,
    time: float,
    weights: FusionWeights,
    count: int,
    shared_noise: bool,
    generator: torch.Generator,
    aligned: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
) -> Tensor:
    """F_2 of equation (10): r'_k, the video at step k with one background in all frames.

    The level of noise at step k is the objective's: sqrt(1 - alpha_bar_k) of a diffusion process, with the cumulative
    product alpha_bar, and t of a flow.

    Args:
        latents: r_k, (T, C, H, W): the video at step k, noisy.
        clean: r, (T, C, H, W): the video without noise, which is sampled to the end or estimated at step k.
        background_masks: m_bg, (T, 1, H, W) bool; what is not background is foreground.
        objective: how data and noise are mixed at a time.
        time: of step k, one at which the objective samples: in [0, 1], below 1 for a diffusion process.
        weights: w_1 and w_2.
        count: frames that are averaged, n; see :func:`sampled_frames`.
        shared_noise: whether the background's noise is the same in all frames. Then backgrounds are equal to the last
            bit, which is what a sampler of single frames needs to keep them so; a network that has learned from noise
            drawn for each frame apart may take noise that stands still for texture. False: drawn for each frame.
        generator: the only source of randomness: which frames, then noise.
        aligned: for a camera that moves: from the numbers of the frames that are drawn to their mean background as it
            lies in every frame, (T, C, H, W), and where it is seen, bool (T, 1, H, W). None: the camera stands still.

    Returns:
        (T, C, H, W) of the dtype of ``latents``. The foreground is theirs, and so is the background where no frame that
        was drawn shows any: to the last bit where w_1 = w_2 = 1.

    Raises:
        ValueError: the shapes do not belong together, masks are not bool, or ``count`` is below 1.
    """
    frames = len(latents)
    if clean.shape != latents.shape or background_masks.shape != (frames, 1, *latents.shape[2:]):
        raise ValueError(
            f"latents {tuple(latents.shape)}, clean frames {tuple(clean.shape)} and masks"
            f" {tuple(background_masks.shape)} do not belong together"
        )
    if background_masks.dtype != torch.bool:
        raise ValueError(f"masks are {background_masks.dtype}; compare them with a number: mixed noise is too weak")
    drawn = sampled_frames(frames, count, generator).to(latents.device)
    mean, seen = aligned(drawn) if aligned else fused_background(clean[drawn].float(), background_masks[drawn])
    shape = 1 if shared_noise else frames, *latents.shape[1:]
    noise = torch.randn(shape, generator=generator, device=generator.device).to(latents.device)
    level = torch.full((frames,), time, device=latents.device)
    noisy = objective.noisy(mean.expand_as(latents), noise.expand_as(latents), level)
    background = torch.where(seen, noisy, latents.float())
    return weights(background, latents.float(), background_masks).to(latents.dtype)
