"""Learning rate, parameter groups and random seeds of a training step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sketch2video.params import TrainingParams


def parameter_groups(
    parameters: Sequence[nn.Parameter],
    constant_rates: Sequence[tuple[list[nn.Parameter], float]],
    matrices: Sequence[nn.Parameter],
    rate_factors: Sequence[tuple[list[nn.Parameter], float]] = (),
) -> list[dict[str, Any]]:
    """The optimizer's groups: those that follow the schedule, by AdamW and by Muon, and those with a constant rate.

    A group's rate is the schedule's times its ``factor``, 1 if it has none.

    Args:
        parameters: all that are trained.
        constant_rates: see :meth:`~sketch2video.training.loop.Task.constant_rates`.
        matrices: see :meth:`~sketch2video.training.loop.Task.matrices`.
        rate_factors: see :meth:`~sketch2video.training.loop.Task.rate_factors`.
    """
    by_muon = {id(parameter) for parameter in matrices}
    others = {id(parameter) for group, _ in (*constant_rates, *rate_factors) for parameter in group}
    scheduled = [parameter for parameter in parameters if id(parameter) not in others | by_muon]
    hidden = [parameter for parameter in parameters if id(parameter) in by_muon]
    return [
        {"params": scheduled, "scheduled": True},
        *([{"params": hidden, "scheduled": True, "matrices": True}] if hidden else []),
        *({"params": group, "lr": rate, "scheduled": False} for group, rate in constant_rates),
        *({"params": group, "scheduled": True, "factor": factor} for group, factor in rate_factors),
    ]


def learning_rate(step: int, settings: TrainingParams) -> float:
    """The rate of step ``step`` (from 0): linear warm-up, then half a cosine to zero after the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def seed_step(seed: int, step: int, generator: torch.Generator, process: int = 0) -> None:
    """Make a step's random numbers a function of (seed, step).

    Args:
        seed: of the training.
        step: from 0.
        generator: seeded alike in all processes.
        process: torch's global generator, which a network's dropout uses, differs between processes.
    """
    torch.manual_seed(_seed(seed, step, process))
    generator.manual_seed(_seed(seed, step, 0))


def _seed(*words: int) -> int:
    """A seed of 64 bits; trailing zeros have no effect."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])
