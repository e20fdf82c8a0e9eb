"""The noise schedule of Stable Diffusion 1.x, and its samplers."""

from __future__ import annotations

from diffusers import DDIMScheduler, DDPMScheduler, SchedulerMixin

from sketch2video.diffusion.objectives import LEVELS
from sketch2video.errors import UserError

SCHEDULE = {
    "num_train_timesteps": LEVELS,
    "beta_start": 8.5e-4,
    "beta_end": 1.2e-2,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
"""The noise schedule with which Stable Diffusion 1.x was trained, which the paper uses."""


def make_scheduler(name: str = "ddim") -> SchedulerMixin:
    """A sampler of this noise schedule, which begins at the last level.

    Args:
        name: ``ddim``, equations (7) and (8) without noise, in any number of steps; ``ddpm``, equations (4) and (5),
            which the paper uses with 1000 steps.

    Raises:
        UserError: there is no such sampler.
    """
    kinds = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}
    if name not in kinds:
        raise UserError(f"there is no sampler {name} for Stable Diffusion here; choose ddim or ddpm")
    return kinds[name](**SCHEDULE, clip_sample=False, timestep_spacing="trailing")
