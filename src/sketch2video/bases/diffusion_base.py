"""Bases that reverse a diffusion process; noise levels and prediction are those of their own scheduler."""

from __future__ import annotations

import torch
from torch import Tensor

from sketch2video.bases.base import Base, refuse
from sketch2video.diffusion.objectives import LEVELS, Diffusion, LearningObjective
from sketch2video.networks.flow_matching import shifted
from sketch2video.params import Objective


class Levels(Diffusion):
    """A diffusion process whose signal at each level is given.

    The mean square error of its velocity is CogVideoX's own loss, that of the data divided by the variance of the
    noise; that of its noise is the loss of Ho et al. 2020, with which Stable Diffusion was trained.

    Args:
        prediction: ``v_prediction`` or ``epsilon``.
        kept: cumulative products of alpha, one a level; the last one may be 0.
        shift: of the times towards noise.
    """

    def __init__(self, prediction: Objective, kept: Tensor, shift: float) -> None:
        super().__init__(prediction, (1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])).tolist())
        self.shift = shift

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform over the levels, shifted; see :class:`~sketch2video.diffusion.objectives.LearningObjective`."""
        times = shifted(super().times(count, generator), self.shift)
        return (times * LEVELS).round().clamp(max=LEVELS - 1) / LEVELS


class DiffusionBase(Base):
    """A base whose timesteps are the levels of a diffusion process."""

    def objective(self, time_shift: float | None) -> LearningObjective:
        """See :class:`Base`; levels of training are uniform unless they are shifted.

        Raises:
            UserError: the network predicts neither velocity nor noise.
        """
        scheduler = self.load_scheduler()
        prediction = scheduler.config["prediction_type"]
        if prediction not in ("v_prediction", "epsilon"):
            raise refuse(self.source, f"predicts {prediction}, not v_prediction or epsilon")
        return Levels(prediction, scheduler.alphas_cumprod.float(), time_shift or 1.0)

    def timestep(self, time: Tensor) -> Tensor:
        """See :class:`Base`; the level, int64."""
        return (time * LEVELS).round().long()
