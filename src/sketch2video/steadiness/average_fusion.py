"""Average fusion: one background for all frames of a video (the project's fourth paper, eq. 10 to 12, corrected).

At a sampling step k, the background of every frame is replaced by the mean background of several frames, and sampling
continues from there (12). Equation (11) as printed is corrected in three points:

- The mean over n frames is taken at each pixel over those frames that show background there.
- At step k frames are noisy, and the mean of n of them has noise of 1 / sqrt(n) of the expected standard deviation
  (0.45 for n = 5); the sampler would take the difference for content. So clean backgrounds are averaged, and noise of
  level k is added.
- The mean replaces a frame only where the frame itself shows background; it is not added to the foreground.

With a moving camera, frames are aligned first, and each frame has its own mean.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sketch2video.diffusion.objectives import LearningObjective


class FusionWeights(nn.Module):
    """w_1 and w_2 of equation (11), initially 1, which changes nothing.

    Their gradients are those of the masked losses (eq. 15 and 16, :mod:`~sketch2video.steadiness.masked_losses`) of a
    prediction for the fused video, or of the video sampled from it (12): the background's loss mainly affects w_1, the
    foreground's w_2. Noise is scaled together with the content, so that weights other than 1 also change the noise
    level. With the paper's 250 steps of 2e-6 Adam changes them by at most about 0.0005.

    Args:
        background: initial value of w_1.
        foreground: initial value of w_2.
    """

    def __init__(self, background: float = 1.0, foreground: float = 1.0) -> None:
        super().__init__()
        self.background = nn.Parameter(torch.tensor(background))
        self.foreground = nn.Parameter(torch.tensor(foreground))

    def forward(self, background: Tensor, foreground: Tensor, shows_background: Tensor) -> Tensor:
        """w_1 times the background where ``shows_background`` (bool) is True, w_2 times the foreground elsewhere."""
        return torch.where(shows_background, self.background * background, self.foreground * foreground)


def sampled_frames(frames: int, count: int, generator: torch.Generator) -> Tensor:
    """Sample the indices of the frames that are averaged: the i of equation (11).

    Args:
        frames: number of frames of the video.
        count: n, number of sampled frames; all frames if the video has fewer.
        generator: random generator.

    Returns:
        (n,) int64, ascending, distinct, on the generator's device.

    Raises:
        ValueError: a number is below 1.
    """
    if frames < 1 or count < 1:
        raise ValueError(f"{count} of {frames} frames cannot be drawn; both are at least 1")
    return torch.randperm(frames, generator=generator, device=generator.device)[:count].sort().values


def fused_background(frames: Tensor, background_masks: Tensor) -> tuple[Tensor, Tensor]:
    """The mean background: at each pixel over the frames that show background there.

    Args:
        frames: (n, C, H, W), without noise.
        background_masks: (n, 1, H, W) bool, or weights in [0, 1].

    Returns:
        mean: (C, H, W) of the dtype of ``frames``, summed in float32; 0 where no frame shows background.
        seen: (1, H, W) bool, True where any frame shows background.
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

    The noise level of step k is that of the objective: sqrt(1 - alpha_bar_k) for a diffusion process with the
    cumulative product alpha_bar, and t for flow matching.

    Args:
        latents: r_k, (T, C, H, W): the noisy video at step k.
        clean: r, (T, C, H, W): the video without noise, sampled to the end or estimated at step k.
        background_masks: m_bg, (T, 1, H, W) bool, the complement of the foreground.
        objective: the objective, which mixes data and noise at a time.
        time: time of step k, at which the objective samples: in [0, 1], below 1 for a diffusion process.
        weights: w_1 and w_2.
        count: n, number of frames that are averaged; see :func:`sampled_frames`.
        shared_noise: whether the background's noise is the same in all frames. Backgrounds are then exactly equal, as
            a sampler of single frames requires; a network that was trained with independent noise for each frame may
            take static noise for texture. False: independent noise for each frame.
        generator: random generator, used for the frames first, then for the noise.
        aligned: for a moving camera: from the indices of the sampled frames to their mean background aligned with each
            frame, (T, C, H, W), and where it is visible, bool (T, 1, H, W). None: the camera is static.

    Returns:
        (T, C, H, W) of the dtype of ``latents``. The foreground is unchanged, and so is the background where no sampled
        frame shows any: exactly if w_1 = w_2 = 1.

    Raises:
        ValueError: the shapes are inconsistent, masks are not bool, or ``count`` is below 1.
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
    level = torch.full((1,), time, device=latents.device)
    noisy = objective.noisy(mean.expand_as(latents)[None], noise.expand_as(latents)[None], level)[0]
    background = torch.where(seen, noisy, latents.float())
    return weights(background, latents.float(), background_masks).to(latents.dtype)
