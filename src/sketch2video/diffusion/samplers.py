"""Samplers by name: diffusers' schedulers, configured for the objective of the network.

``euler`` and ``heun`` follow a flow in steps of first and second order; ``ddim`` (Song et al. 2021) and ``ddpm`` (Ho et
al. 2020, which adds noise in every step) reverse a diffusion process; ``dpm++`` (DPM-Solver++ 2M, Lu et al. 2022) and
``unipc`` (Zhao et al. 2023) are of second order and sample both. One step is one evaluation of the network, except for
Heun's, which takes two per step but the last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from torch import Tensor

from sketch2video.diffusion.objectives import shifted_betas
from sketch2video.errors import UserError
from sketch2video.networks.flow_matching import sampling_times
from sketch2video.networks.temporal_spectrum import IDENTITY, TimeFilter
from sketch2video.params import SAMPLERS, Objective

SCHEDULERS: dict[str, Callable[..., SchedulerMixin]] = {
    "euler": FlowMatchEulerDiscreteScheduler,
    "heun": FlowMatchHeunDiscreteScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "ddim": DDIMScheduler,
    "ddpm": DDPMScheduler,
}
FLOWS = (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler)
"""Schedulers for flows only."""


def make_scheduler(name: str, objective: Objective, shift: float) -> SchedulerMixin:
    """A scheduler that samples what a network with this objective predicts.

    Args:
        name: of the sampler.
        objective: of the network's training.
        shift: of the times or noise levels of that training.

    Raises:
        UserError: the objective does not allow this sampler.
    """
    allowed = SAMPLERS[objective]
    if name not in allowed:
        raise UserError(
            f"the sampler {name} cannot sample a network that was trained with objective {objective};"
            f" choose {', '.join(allowed[:-1])} or {allowed[-1]}"
        )
    if name in ("euler", "heun"):
        return SCHEDULERS[name](shift=shift)
    settings = solver_settings(objective, shift)
    if name in ("ddim", "ddpm"):
        settings["clip_sample"] = False  # latents are not confined to [-1, 1]
    return SCHEDULERS[name](**settings)


def default_scheduler(objective: Objective, shift: float) -> SchedulerMixin:
    """The first of the samplers that an objective allows; see :func:`make_scheduler`."""
    return make_scheduler(SAMPLERS[objective][0], objective, shift)


def solver_settings(objective: Objective, shift: float) -> dict[str, Any]:
    """Settings of diffusers' schedulers, other than those of ``FLOWS``, for an objective.

    Diffusion starts from the last level ("trailing"), which is all but noise (Lin et al. 2024, "Common diffusion noise
    schedules and sample steps are flawed").
    """
    if objective == "flow":
        return {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
    return {"prediction_type": objective, "trained_betas": shifted_betas(shift), "timestep_spacing": "trailing"}


def check_scheduler(scheduler: SchedulerMixin, objective: Objective, shift: float) -> None:
    """Raise a ValueError if a scheduler is configured for another prediction type than the network's."""
    config = scheduler.config
    flow = isinstance(scheduler, FLOWS) or (
        bool(config.get("use_flow_sigmas")) and config.get("prediction_type") == "flow_prediction"
    )
    predicted = "flow" if flow else config.get("prediction_type")
    if predicted == objective:
        return
    name = type(scheduler).__name__
    fix = f'choose one with set_sampler, such as set_sampler("{SAMPLERS[objective][0]}")'
    if objective == "flow" and "use_flow_sigmas" in config:
        settings = ", ".join(f"{key}={value!r}" for key, value in solver_settings(objective, shift).items())
        fix = f"write {name}.from_config(pipe.scheduler.config, {settings}), or {fix}"
    raise ValueError(f"{name} samples {predicted}, but the network was trained with objective {objective}; {fix}")


def begin(scheduler: SchedulerMixin, steps: int, device: torch.device) -> Tensor:
    """Set the timesteps of a scheduler for so many steps.

    Returns:
        Its timesteps, which the network receives divided by 1000; more than ``steps`` where some of them take two
        passes.
    """
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        scheduler.set_timesteps(sigmas=sampling_times(steps), device=device)
    else:
        scheduler.set_timesteps(steps, device=device)
    if scheduler.config.get("use_flow_sigmas"):
        # Its own timesteps are these, truncated to integers, which are not the exact times and may repeat.
        scheduler.timesteps = scheduler.sigmas[:-1].to(device) * scheduler.config.num_train_timesteps
    elif isinstance(scheduler, DDIMScheduler) and scheduler.config.timestep_spacing == "trailing":
        # Its steps are a whole number of levels long. If its timesteps were not, the last step could end in noise.
        stride = scheduler.config.num_train_timesteps // steps
        scheduler.timesteps = torch.arange(steps, 0, -1, device=device) * stride - 1
    elif (scheduler.timesteps < 0).any():
        # For some numbers of steps, such as 61, rounding adds a timestep of -1, which would index the last level.
        scheduler.timesteps = scheduler.timesteps[:-1]
        if hasattr(scheduler, "sigmas"):
            scheduler.sigmas = torch.cat([scheduler.sigmas[:-2], scheduler.sigmas[-1:]])
    return scheduler.timesteps


def first_index(scheduler: SchedulerMixin, timesteps: Tensor, timestep: float) -> int:
    """Index of the first timestep, at most ``timestep``, at which sampling can begin; their number if there is none.

    Args:
        scheduler: that :func:`begin` got ready.
        timesteps: what it returned.
        timestep: of the mixture of data and noise that sampling begins with, or above.
    """
    index = int((timesteps > timestep).sum())
    # The second evaluation of a Heun step is at the timestep of the next step's first one, and comes before it.
    passes = 2 if isinstance(scheduler, FlowMatchHeunDiscreteScheduler) else 1
    return min(index + index % passes, len(timesteps))


def initial_noise(scheduler: SchedulerMixin, noise: Tensor) -> Tensor:
    """Normal noise with the scale from which a scheduler starts after :func:`begin`."""
    return noise * getattr(scheduler, "init_noise_sigma", 1.0)


def network_input(scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor) -> Tensor:
    """Latents scaled for the network."""
    return scheduler.scale_model_input(latents, timestep) if hasattr(scheduler, "scale_model_input") else latents


def step(
    scheduler: SchedulerMixin,
    prediction: Tensor,
    timestep: Tensor,
    latents: Tensor,
    generator: torch.Generator | list[torch.Generator] | None,
) -> Tensor:
    """Latents after one step; the generator is for the noise that some samplers add."""
    known = inspect.signature(scheduler.step).parameters
    more = {"generator": generator} if "generator" in known else {}
    return scheduler.step(prediction, timestep, latents, return_dict=False, **more)[0]


def sample(
    scheduler: SchedulerMixin,
    predict: Callable[[Tensor, Tensor], Tensor],
    latents: Tensor,
    steps: int,
    generator: torch.Generator | list[torch.Generator] | None,
    progress: Callable[[Tensor], Iterable[Tensor]] = iter,
    begun: int = 0,
    on_step_end: Callable[..., dict[str, Tensor]] | None = None,
    time_filter: TimeFilter = IDENTITY,
) -> Tensor:
    """Latents without noise, from noise or from a mixture of data and noise.

    Args:
        scheduler: the sampler.
        predict: the prediction of the network for noisy latents (N, T, ...) at a time in [0, 1], a scalar.
        latents: standard normal noise; where sampling has ``begun``, the mixture from which the first remaining
            step starts.
        steps: from noise on; see :func:`begin`.
        generator: for the noise that some samplers add.
        progress: wraps the timesteps, such as ``tqdm``; it may end before the last.
        begun: number of timesteps to skip at the start; see :func:`first_index`.
        on_step_end: called with a timestep and ``latents`` after it; returns the latents for the next step. None: no
            callback.
        time_filter: W of the noise's spectrum along time. The scheduler's latents are those times W, for which all
            noise is white, that of the start, by its scales, and that of the steps.
    """
    timesteps = begin(scheduler, steps, latents.device)
    if not begun:
        latents = time_filter.start(initial_noise(scheduler, latents))
    else:
        latents = time_filter.whiten(latents)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begun)
    for timestep in progress(timesteps[begun:]):
        time = timestep / scheduler.config.num_train_timesteps
        mixed = time_filter.colour(network_input(scheduler, latents, timestep))
        prediction = time_filter.whiten(predict(mixed, time))
        latents = step(scheduler, prediction, timestep, latents, generator)
        if on_step_end is not None:
            latents = time_filter.whiten(on_step_end(timestep, latents=time_filter.colour(latents))["latents"])
    return time_filter.colour(latents)
