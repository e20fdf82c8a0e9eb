"""Losses of held-out clips with changed conditions, such as no control pictures, at fixed times and noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sketch2video.diffusion.objectives import LearningObjective
from sketch2video.diffusion.video_transformer import frame_mask

Conditions = dict[str, Any]
"""Arguments of the network besides noisy latents and times."""

Changes = Callable[[Tensor], Conditions]
"""From normalised latents (N, T, C, h, w) to the conditions that replace those of the clips."""


def unchanged(data: Tensor) -> Conditions:
    """No changes."""
    return {}


def without_text(data: Tensor) -> Conditions:
    """No captions."""
    return {"text": None}


def without_control(data: Tensor) -> Conditions:
    """No control pictures; the positions at which the noise is that of still ones stay."""
    return {"control": None}


def every_second_known(data: Tensor) -> Conditions:
    """Every second frame is known, the first one among them; the loss is that of the others."""
    known = (torch.arange(data.shape[1], device=data.device) % 2 == 0).expand(len(data), -1)
    return {"known": data, "known_mask": known}


@torch.no_grad()
def held_out_losses(
    network: Callable[..., Tensor],
    clips: Iterable[tuple[LearningObjective, Tensor, Conditions]],
    times: Sequence[float],
    variants: Mapping[str, Changes],
) -> dict[str, np.ndarray]:
    """Losses of N clips for each variant of their conditions, means over times: (N,) float64.

    All variants have the same noise.

    Args:
        network: from noisy latents, times in [0, 1] and conditions by name to the prediction.
        clips: at least one batch: the objective of the training, normalised latents (N, T, C, h, w), and conditions.
        times: at least one, in [0, 1].
        variants: changes of the conditions by name.
    """
    generator = torch.Generator().manual_seed(0)
    found: dict[str, list[Tensor]] = {name: [] for name in variants}
    for objective, data, conditions in clips:
        levels: dict[str, list[Tensor]] = {name: [] for name in variants}
        for level in times:
            noise = torch.randn(data.shape, generator=generator).to(data.device)
            time = torch.full((len(data),), level, device=data.device)
            latents = objective.noisy(data, noise, time)
            for name, changes in variants.items():
                changed = {**conditions, **changes(data)}
                known = changed.get("known_mask")
                prediction = network(latents, time, **changed)
                error = residual_of(objective, prediction, data, noise, time, known).square()
                unknown = error if known is None else error[:, ~known[0]]
                levels[name].append(unknown.mean((1, 2, 3, 4)))
        for name, losses in levels.items():
            found[name].append(torch.stack(losses).double().mean(0).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def residual_of(
    objective: LearningObjective, prediction: Tensor, data: Tensor, noise: Tensor, time: Tensor, known: Tensor | None
) -> Tensor:
    """The error of a prediction, which is undefined where frames are known (N, T) and counts as right there."""
    if known is not None:
        prediction = torch.where(frame_mask(known), objective.target(data, noise, time), prediction.float())
    return objective.residual(prediction, data, noise, time)
