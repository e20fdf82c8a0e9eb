"""Combined tuning (the project's fourth paper, eq. 13 to 16 and 20): fine-tuning of a denoiser on one video.

The background of the video is fused beforehand by :mod:`~sketch2video.steadiness.average_fusion`. The caller provides
the network and the error of its prediction.

:func:`~sketch2video.training.loop.train` is not used: it averages the weights, writes checkpoints with the optimizer's
state before the first step and at the end (Stable Diffusion's UNet, 860 M weights: 3.4 GB more memory and files of
14 GB for a tuning of minutes), chooses the precision, and returns a loss curve of about 100 means. Here a call returns
the loss of every step, and the weights are those of the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sketch2video.errors import UserError
from sketch2video.steadiness.masked_losses import LossWeights, MeanOver, combined_loss
from sketch2video.training.schedule import seed_step

NetworkError = Callable[[int, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""From the step index and its seeded random generator (for time, noise and frames) to the error of a prediction, which
is differentiable, and the masks M_fg and M_bg, broadcastable to it."""


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
    """Minimise the loss (20) by AdamW; the defaults of steps and learning rate are the paper's.

    Args:
        network_error: the error of the network, for one sample in each step.
        parameters: the parameters to be tuned, such as those of a network and of a
            :class:`~sketch2video.steadiness.average_fusion.FusionWeights`; frozen ones are ignored.
        weights: the lambdas.
        steps: number of steps, at least 1.
        learning_rate: constant learning rate.
        mean_over: see :func:`~sketch2video.steadiness.masked_losses.masked_loss`.
        weight_decay: weight decay of AdamW.
        gradient_clip: maximum norm of the gradient.
        seed: random seed; the same seed gives the same weights on the same machine.
        device: device of the random generator.

    Returns:
        The loss curve, one entry for each step: ``step`` from 1, ``loss``, and its terms ``whole``, ``foreground`` and
        ``background`` without their weights.

    Raises:
        UserError: the loss or its gradient is not finite.
        ValueError: no parameter requires a gradient, or there is no step.
    """
    tuned = [parameter for parameter in parameters if parameter.requires_grad]
    if not tuned or steps < 1:
        raise ValueError(f"{len(tuned)} parameters that need a gradient, {steps} steps; both are at least 1")
    optimizer = torch.optim.AdamW(tuned, lr=learning_rate, weight_decay=weight_decay)
    generator = torch.Generator(device)
    curve: list[dict[str, float]] = []
    for step in (bar := tqdm(range(steps), desc="combined tuning", unit="step")):
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
