"""The networks of the curve VAE; see :mod:`sketch2video.curve_vae`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from sketch2video.curve_vae.prior import StrokeFlow
from sketch2video.curve_vae.strokes import (
    Parts,
    StrokeSet,
    decompose,
    frame_times,
    from_series,
    known_numbers,
    rms_distance,
    to_series,
)
from sketch2video.text.encoder import TextCondition

GIVEN = 5
"""Number of values of a stroke that are not encoded: position x and y, log size, birth and death."""
MIDDLE = (0.5, 0.5, -2.0)
SCALE = (0.3, 0.3, 0.5)
"""Mean and scale of position x and y (frame widths) and log size, by which they are normalised."""
MOTION_GAIN = 4.0
"""Motion relative to a stroke's mean position is smaller than that position by about this factor."""
LOG_VARIANCE_RANGE = (-10.0, 4.0)
EFFECT_UNIT = 1 / 64
"""Frame widths: the unit of the distance by which a latent number moves the drawing."""
OUTSIDE = 0.25
"""Offset of the birth of a stroke that is visible in the first frame, and of the death of one that is visible in the
last frame, as a share of the clip: with a small error of the birth, the first frame is not empty."""
LEAST_EFFECT, LIFE_EFFECT = 0.02, 1.5
"""Smallest distance that is assumed for a number, and the one for birth and death, which move no point."""
LEAST_SPREAD = 0.25
"""Smallest standard deviation that is assumed for birth and death, whose unit is half the clip: if nearly all strokes
span their clips, one that does not would be thousands of deviations away."""
STEP = 0.3
"""Standard deviations by which a number is changed to measure its effect."""


class Posterior(NamedTuple):
    """Posterior of strokes: values that are not encoded, and a diagonal Gaussian over the latent.

    Attributes:
        given: (..., 5) mean position and log size over the stroke's lifetime, scaled; birth and death, the middle of
            the clip at 0, its ends at -1 and 1.
        mean: (..., Z)
        log_variance: (..., Z)
    """

    given: Tensor
    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Latents (..., 5 + Z), reparametrised, for standard normal ``noise`` (..., Z)."""
        return torch.cat([self.given, self.mean + torch.exp(0.5 * self.log_variance) * noise], dim=-1)

    def mode(self) -> Tensor:
        """The mode: latents (..., 5 + Z)."""
        return torch.cat([self.given, self.mean], dim=-1)

    def kl(self) -> Tensor:
        """Divergence from the standard normal, nats a dimension: (..., Z)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)


class CurveVAE(ModelMixin, ConfigMixin):
    """Text-conditioned variational autoencoder of sets of strokes.

    Args:
        strokes: S, most strokes of a clip, each from its birth to its death.
        slots: most strokes of a frame, the slots of the curves that are sampled.
        harmonics: K, most harmonics of a stroke.
        text_width: width of the text encoder's hidden states.
        latent_dim: Z, numbers of a stroke's latent besides position, size, birth and death.
        hidden: width of encoder and decoder, which process single strokes.
        time_terms: J, terms of the series in time.
        width, layers, heads: of the prior; see :class:`~sketch2video.curve_vae.prior.StrokeFlow`.
        budget: most numbers a frame of sampled curves, visibilities included.
        num_inference_steps, guidance_scale, temperature, stroke_quantile: the defaults of sampling; see
            :func:`~sketch2video.curve_vae.sampling.sample_curves`.
    """

    mean: Tensor
    scale: Tensor

    @register_to_config
    def __init__(
        self,
        strokes: int,
        slots: int,
        harmonics: int,
        text_width: int,
        latent_dim: int = 32,
        hidden: int = 256,
        time_terms: int = 16,
        width: int = 128,
        layers: int = 5,
        heads: int = 4,
        budget: int = 288,
        num_inference_steps: int = 20,
        guidance_scale: float = 1.5,
        temperature: float = 1.0,
        stroke_quantile: float | None = None,
    ) -> None:
        super().__init__()
        moving, shapes = 3 * (time_terms - 1), 2 * (harmonics - 1) * time_terms
        self.encoder = nn.Sequential(
            nn.Linear(moving + shapes + 2, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim + GIVEN - 2, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.motion_out, self.shape_out = _small(hidden, moving), _small(hidden, shapes)
        numbers = GIVEN + latent_dim
        self.prior = StrokeFlow(
            strokes, numbers, known_numbers(numbers, time_terms), text_width, width=width, layers=layers, heads=heads
        )
        # Harmonics of a line with corners fall like 1 / k^2; with this factor all of them are of the same order.
        falling = torch.arange(1, harmonics, dtype=torch.float32).pow(-1.5)
        self.register_buffer("harmonic_scale", falling, persistent=False)
        self.register_buffer("motion_middle", torch.tensor(MIDDLE), persistent=False)
        self.register_buffer("motion_scale", torch.tensor(SCALE), persistent=False)
        # The prior works with (latents - mean) / scale; see whiten.
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("scale", torch.ones(numbers))

    @apply_forward_hook
    def encode(self, coefficients: Tensor, life: Tensor) -> Posterior:
        """The posterior of strokes.

        Args:
            coefficients: (..., T, 2, K) frame widths, held where a stroke is not visible.
            life: (..., 2) birth and death in [0, 1].
        """
        motion, shape = self.series(coefficients, self.config.time_terms)
        span = span_of(life)
        features = [MOTION_GAIN * motion[..., 1:, :].flatten(-2), shape.flatten(-2), span]
        mean, log_variance = self.encoder(torch.cat(features, dim=-1)).float().chunk(2, dim=-1)
        given = torch.cat([motion[..., 0, :], span], dim=-1)
        return Posterior(given, mean, log_variance.clamp(*LOG_VARIANCE_RANGE))

    def series(self, coefficients: Tensor, terms: int) -> tuple[Tensor, Tensor]:
        """Strokes as series in time, normalised.

        Args:
            coefficients: (..., T, 2, K) frame widths.
            terms: J, of the series.

        Returns:
            Of position x, y and log size (..., J, 3), and of the shape (..., J, 2 (K - 1)).
        """
        position, log_size, shape = decompose(coefficients)
        motion = (torch.cat([position, log_size[..., None]], dim=-1) - self.motion_middle) / self.motion_scale
        return to_series(motion, terms), to_series((shape / self.harmonic_scale).flatten(-2), terms)

    def from_series(self, motion: Tensor, shape: Tensor, times: Tensor) -> Parts:
        """The inverse of :meth:`series` at any times (T,)."""
        motion = from_series(motion, times) * self.motion_scale + self.motion_middle
        shape = from_series(shape, times).unflatten(-1, (2, -1)) * self.harmonic_scale
        return Parts(motion[..., :2], motion[..., 2], shape)

    @apply_forward_hook
    def decode(self, latents: Tensor, times: Tensor) -> tuple[Parts, Tensor]:
        """Strokes at any times.

        Args:
            latents: (..., 5 + Z).
            times: (T,) shares of the clip, in [0, 1].

        Returns:
            Strokes with leading axes (..., T), and their lifetimes (..., 2) in [0, 1], which may be empty.
        """
        hidden = self.decoder(torch.cat([latents[..., GIVEN:], latents[..., 2:GIVEN]], dim=-1))
        # In bfloat16 points would jitter by a tenth of a pixel.
        with torch.autocast(latents.device.type, enabled=False):
            given = latents[..., :GIVEN].float()
            moving = self.motion_out(hidden.float()).unflatten(-1, (-1, 3))
            series = torch.cat([given[..., None, :3], moving], dim=-2)
            bent = self.shape_out(hidden.float()).unflatten(-1, (self.config.time_terms, -1))
            return self.from_series(series, bent, times), life_of(given[..., 3:])

    @apply_forward_hook
    def number_of_strokes(self, text: TextCondition, fps: Tensor) -> Tensor:
        """Logits (N, S + 1) of the number of strokes of a clip; see :meth:`StrokeFlow.count`."""
        return self.prior.count(len(text.hidden), text.hidden, text.mask, fps)

    def whitened(self, latents: Tensor) -> Tensor:
        """Latents (..., 5 + Z) normalised for the prior, by the mean and scale of each number; see :meth:`whiten`."""
        return (latents - self.mean) / self.scale

    def unwhitened(self, tokens: Tensor) -> Tensor:
        """The inverse of :meth:`whitened`."""
        return tokens * self.scale + self.mean

    @torch.no_grad()
    def whiten(self, strokes: StrokeSet, power: float = 0.5) -> None:
        """Set the scale of the prior's numbers by the distance that each of them moves the drawing.

        A latent dimension of a VAE has a standard deviation of about one whether it moves a stroke by ten pixels or by
        a tenth of one, and a flow with equal weights spends its capacity on invisible differences. Number d gets the
        standard deviation ``e_d ** power``, where ``e_d`` is the distance, in 64ths of a frame width, by which one
        standard deviation of it moves a stroke's points. A power of 0 whitens, 1 keeps distances as they are.

        Args:
            strokes: of some training clips.
            power: of the distance, in [0, 1].
        """
        present, visible = strokes.present, strokes.visible[strokes.present]
        posterior = self.encode(strokes.coefficients[present], strokes.life[present])
        latents = posterior.mode()
        times = frame_times(visible.shape[1], latents.device)
        # Of samples, not of modes: a number that the encoder does not use is noise of one standard deviation.
        within = torch.cat([torch.zeros_like(posterior.given), posterior.log_variance.exp()], dim=-1)
        deviation = (latents.var(0) + within.mean(0)).sqrt().clamp_min(1e-3)
        deviation[GIVEN - 2 : GIVEN].clamp_(min=LEAST_SPREAD)
        drawn = self.decode(latents, times)[0].coefficients()
        effect = torch.full_like(deviation, LIFE_EFFECT)
        for number in [*range(GIVEN - 2), *range(GIVEN, latents.shape[1])]:
            changed = latents.clone()
            changed[:, number] += STEP * deviation[number]
            apart = rms_distance(self.decode(changed, times)[0].coefficients() - drawn)
            effect[number] = apart[visible].mean() / STEP / EFFECT_UNIT
        self.mean.copy_(latents.mean(0))
        self.scale.copy_(deviation / effect.clamp_min(LEAST_EFFECT).pow(power))


def span_of(life: Tensor) -> Tensor:
    """Birth and death (..., 2) in [0, 1] as numbers of a latent, with :data:`OUTSIDE`; undone by :func:`life_of`."""
    begins, ends = life.unbind(-1)
    return 2 * torch.stack([begins - OUTSIDE * (begins <= 0), ends + OUTSIDE * (ends >= 1)], dim=-1) - 1


def life_of(span: Tensor) -> Tensor:
    """Birth and death (..., 2) in [0, 1] of numbers of a latent; a lifetime outside of the clip is empty."""
    return ((span + 1) / 2).clamp(0, 1)


def _small(width: int, numbers: int) -> nn.Linear:
    """An output layer with small initial weights."""
    layer = nn.Linear(width, numbers)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
