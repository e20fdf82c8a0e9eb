"""Objectives of the video LDM: the velocity of a flow, or the velocity or the noise of a diffusion process.

All predictions are equivalent for a given mixture of data and noise; they differ in the mixture, in the distribution of
times and in the weights of errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from sketch2video.networks.flow_matching import logit_normal_times, sampling_times, shifted
from sketch2video.networks.processes import draw
from sketch2video.networks.temporal_spectrum import TemporalSpectrum, TimeFilter
from sketch2video.params import Objective

LEVELS = 1000
"""Noise levels of a diffusion process (Ho et al. 2020); the network's time is the level / 1000."""

SCHEDULE = "squaredcos_cap_v2"
"""diffusers' name of the cosine schedule (Nichol & Dhariwal 2021)."""

LEAST_SIGNAL = 0.02
"""Amplitude of the signal at the last level. Data are computed from predicted noise by dividing by it, and the cosine
schedule's 0.00001 would multiply errors by 100,000; latent diffusion (Rombach et al. 2022) keeps 0.068."""


class Mixture(NamedTuple):
    """Data x0 and noise e at a time, and the target y of the prediction::

        x_t = data * x0 + noise * e        y = target_data * x0 + target_noise * e

    All are (N,) float32.
    """

    data: Tensor
    noise: Tensor
    target_data: Tensor
    target_noise: Tensor


class LearningObjective(ABC):
    """Noisy clips and the targets of the network. ``data`` and ``noise`` are (N, ...), ``time`` is (N,)."""

    @abstractmethod
    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Times for training: (count,) float32 in [0, 1], on the generator's device."""

    @abstractmethod
    def mixture(self, time: Tensor) -> Mixture:
        """Factors of data and noise at times (N,)."""

    def noisy(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Data and noise as they are mixed at a time."""
        a, b, _, _ = self._factors(time, data)
        return a * data + b * noise

    def target(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The target of the prediction."""
        _, _, c, d = self._factors(time, data)
        return c * data + d * noise

    def residual(self, prediction: Tensor, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The error of a prediction, as the loss measures it."""
        return prediction.float() - self.target(data, noise, time)

    def estimates(self, prediction: Tensor, mixed: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """The data and the noise that a prediction at ``mixed`` implies."""
        a, b, c, d = self._factors(time, mixed)
        return (d * mixed - b * prediction) / (a * d - b * c), (a * prediction - c * mixed) / (a * d - b * c)

    @abstractmethod
    def sampling_times(self, steps: int) -> list[float]:
        """The times at which the network is evaluated in so many steps, from noise on, without the end."""

    def _factors(self, time: Tensor, clips: Tensor) -> Mixture:
        """The mixture, (N, 1, ...) each, to be multiplied with clips (N, ...)."""
        return Mixture(*(factor.view(-1, *[1] * (clips.ndim - 1)) for factor in self.mixture(time)))


class FlowMatching(LearningObjective):
    """The velocity on straight lines between data and noise; see :mod:`~sketch2video.networks.flow_matching`.

    Args:
        shift: of the times towards noise.
    """

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Logit-normal, shifted."""
        return logit_normal_times(count, generator, self.shift)

    def mixture(self, time: Tensor) -> Mixture:
        """x_t = (1 - t) x0 + t e, y = e - x0"""
        return Mixture(1 - time, time, -torch.ones_like(time), torch.ones_like(time))

    def sampling_times(self, steps: int) -> list[float]:
        """Evenly from 1, then shifted."""
        return [float(time) for time in shifted(torch.tensor(sampling_times(steps)), self.shift)]


class Diffusion(LearningObjective):
    """The velocity or the noise of a diffusion process that keeps the variance (Ho et al. 2020)::

        x_t = a_t x0 + s_t e        a_t^2 + s_t^2 = 1        v = a_t e - s_t x0   (Salimans & Ho 2022)

    Args:
        prediction: ``v_prediction`` or ``epsilon``.
        betas: of the levels, ``LEVELS`` of them; see :func:`shifted_betas`.
    """

    def __init__(self, prediction: Objective, betas: list[float]) -> None:
        self.prediction = prediction
        self.process = DDPMScheduler(LEVELS, trained_betas=betas, prediction_type=prediction)

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform over the levels."""
        return draw(partial(torch.randint, LEVELS), [count], generator) / LEVELS

    def mixture(self, time: Tensor) -> Mixture:
        """x_t = a_t x0 + s_t e, y = v or e"""
        kept = self.process.alphas_cumprod.to(time.device)[(time * LEVELS).round().long()]
        a, s = kept.sqrt(), (1 - kept).sqrt()
        if self.prediction == "v_prediction":
            return Mixture(a, s, -s, a)
        return Mixture(a, s, torch.zeros_like(a), torch.ones_like(a))

    def sampling_times(self, steps: int) -> list[float]:
        """Evenly from the last level."""
        return [(round(LEVELS * time) - 1) / LEVELS for time in sampling_times(steps)]


class Coloured(LearningObjective):
    """An objective for clips (N, T, ...) whose noise has a spectrum along time.

    See :mod:`~sketch2video.networks.temporal_spectrum`. Noise that its methods take and give is white.

    Args:
        objective: the objective for white noise.
        spectrum: the spectrum.
        window: frames of an action; see :meth:`TemporalSpectrum.filter`.
        still: (N, 1, h, w) bool, the still positions of the clips; see :meth:`TemporalSpectrum.filter`.
    """

    def __init__(
        self,
        objective: LearningObjective,
        spectrum: TemporalSpectrum,
        window: int | None = None,
        still: Tensor | None = None,
    ) -> None:
        self.objective, self.spectrum, self.window, self.still = objective, spectrum, window, still

    def with_still(self, still: Tensor | None) -> Coloured:
        """The same objective for clips with these still positions."""
        return Coloured(self.objective, self.spectrum, self.window, still)

    def filter(self, clips: Tensor) -> TimeFilter:
        """W for clips (N, T, ...)."""
        return self.spectrum.filter(clips.shape[1], self.window, self.still)

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """See :class:`LearningObjective`."""
        return self.objective.times(count, generator)

    def mixture(self, time: Tensor) -> Mixture:
        """See :class:`LearningObjective`; of data and coloured noise."""
        return self.objective.mixture(time)

    def noisy(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """See :class:`LearningObjective`."""
        return self.objective.noisy(data, self.filter(data).colour(noise), time)

    def target(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """See :class:`LearningObjective`."""
        return self.objective.target(data, self.filter(data).colour(noise), time)

    def residual(self, prediction: Tensor, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """See :class:`LearningObjective`; whitened."""
        return self.filter(data).whiten(super().residual(prediction, data, noise, time))

    def estimates(self, prediction: Tensor, mixed: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`LearningObjective`."""
        data, noise = self.objective.estimates(prediction, mixed, time)
        return data, self.filter(noise).whiten(noise)

    def sampling_times(self, steps: int) -> list[float]:
        """See :class:`LearningObjective`."""
        return self.objective.sampling_times(steps)


@lru_cache(maxsize=8)
def find_objective(name: Objective, shift: float) -> LearningObjective:
    """The objective of this name, its times or noise levels moved towards noise by ``shift``; 1 leaves them."""
    return FlowMatching(shift) if name == "flow" else Diffusion(name, shifted_betas(shift))


def shifted_betas(shift: float) -> list[float]:
    """The betas of a diffusion process whose ratio of noise to signal is ``shift`` times that of the cosine schedule.

    The frames of a clip are redundant; the mean of T of them has the signal-to-noise ratio of one frame with
    1 / sqrt(T) of the noise. So, as pictures of a higher resolution (Hoogeboom et al. 2023, "Simple
    diffusion": log SNR + 2 log(64 / resolution)), they need sqrt(T) times the noise, which is 4 for 16 frames:
    log SNR - 2 log(shift). A flow's times that are shifted by as much
    (:func:`~sketch2video.networks.flow_matching.shifted`) have their ratio t / (1 - t) multiplied by the same number.
    Near the last level it is less, since ``LEAST_SIGNAL`` is kept.

    Returns:
        ``LEVELS`` numbers, for ``trained_betas`` of diffusers' schedulers.
    """
    usual = DDPMScheduler(LEVELS, beta_schedule=SCHEDULE)
    noise_to_signal = 1 / (1 - usual.betas.double()).cumprod(0) - 1
    kept = 1 / (1 + shift**2 * noise_to_signal)
    kept = LEAST_SIGNAL**2 + (1 - LEAST_SIGNAL**2) * kept
    return (1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])).tolist()
