"""Combined tuning (the project's fourth paper, eq. 13 to 16 and 20): a trained denoiser learns one video.

The video is made consistent beforehand by :mod:`~sketch2video.steadiness.average_fusion`. What is predicted, and by
which network, is the caller's: any base is tuned alike.

This is not :func:`~sketch2video.training.loop.train`, which would average the weights and write them with their moments
to a checkpoint before the first step and at the end (Stable Diffusion's UNet, 860 M weights: 3.4 GB more memory and
files of 14 GB for a tuning of minutes), choose the precision, and return a loss curve of about 100 means. Here a call
returns every step's loss and leaves the weights that the last step gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from tqdm import tqdm

from sketch2video.errors import UserError
from sketch2video.steadiness.masked_losses import LossWeights, MeanOver, combined_loss
from sketch2video.training.schedule import seed_step

NetworkError = Callable[[int, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""The error of a prediction in step k, with its graph, and the masks M_fg and M_bg, broadcastable to it. All that is
random of it (time, noise, which frames) comes from the generator, which is seeded for this step."""

LORA_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]
"""Of every attention of diffusers' UNet, to itself and to text."""


def tune(
    network_error: NetworkError,
    parameters: Iterable[nn.Parameter],
    weights: LossWeights,
    *,
    steps: int = 250,
    learning_rate: float = 2e-6,
    mean_over: MeanOver = "all",
    weight_decay: float = 0.01,
    gradient_clip: float = 1.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> list[dict[str, float]]:
    """Lower the loss (20) by AdamW; steps and rate are the paper's unless others are given.

    Args:
        network_error: the error of the network, on one sample a step.
        parameters: what is tuned, such as :func:`tuned_parameters` and those of a
            :class:`~sketch2video.steadiness.average_fusion.FusionWeights`; those that need no gradient are left out.
        weights: the lambdas.
        steps: at least 1.
        learning_rate: the same in all steps.
        mean_over: see :func:`~sketch2video.steadiness.masked_losses.masked_loss`.
        weight_decay: of AdamW.
        gradient_clip: the most that the gradient's norm may be.
        seed: of all that is random; the same seed gives the same weights on the same machine.
        device: of the steps' generator.

    Returns:
        The loss curve, a point a step: ``step`` from 1, ``loss``, and its terms ``whole``, ``foreground`` and
        ``background`` before they are weighted.

    Raises:
        UserError: the loss or its gradient is not a number any more.
        ValueError: nothing needs a gradient, or there is no step.
    """
    tuned = [parameter for parameter in parameters if parameter.requires_grad]
    if not tuned or steps < 1:
        raise ValueError(f"{len(tuned)} parameters that need a gradient, {steps} steps; both are at least 1")
    optimizer = torch.optim.AdamW(tuned, lr=learning_rate, weight_decay=weight_decay)
    generator = torch.Generator(device)
    curve: list[dict[str, float]] = []
    for step in (bar := tqdm(range(steps), desc="combined tuning", unit="step", mininterval=1.0)):
        seed_step(seed, step, generator)
        error, foreground, background = network_error(step, generator)
        loss, terms = combined_loss(error, foreground, background, weights, mean_over)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(tuned, gradient_clip))
        values = {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
        if not (math.isfinite(values["loss"]) and math.isfinite(norm)):
            raise UserError(
                f"combined tuning: the loss is not a finite number at step {step + 1} of {steps};"
                f" lower the learning rate ({learning_rate:g}) or the gradient's limit ({gradient_clip:g})"
            )
        optimizer.step()
        optimizer.zero_grad()
        curve.append({"step": step + 1, **values})
        bar.set_postfix(loss=f"{values['loss']:.4g}", refresh=False)
    return curve


def tuned_parameters(unet: UNet2DConditionModel, lora_rank: int | None) -> list[nn.Parameter]:
    """What of a UNet is tuned; the rest of it is frozen.

    Args:
        unet: of diffusers; with a rank it is given new layers, which :func:`merge_lora` takes away again.
        lora_rank: of the matrices that are added to those of its attention (Hu et al. 2022, "LoRA"); they begin at
            nothing, and their random halves come from torch's global generator. None: all weights.

    Raises:
        UserError: a rank is given, and `peft` is not installed.
    """
    if lora_rank is None:
        return list(unet.requires_grad_(True).parameters())
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise UserError("LoRA needs the package peft; run `pip install -e '.[lora]'`, or tune all weights") from error
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=lora_rank, lora_alpha=lora_rank, init_lora_weights="gaussian", target_modules=LORA_LAYERS)
    )
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


def merge_lora(unet: UNet2DConditionModel) -> None:
    """Add what LoRA has learned to a UNet's own weights, which then are saved and loaded as before; all are frozen."""
    unet.fuse_lora()
    unet.unload_lora()
    unet.requires_grad_(False)
