"""From captions to curves: the prior samples a set of strokes, the decoder draws them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from sketch2video.curve_vae.budget import within_budget
from sketch2video.curve_vae.known import Known, describe, hold, tokens_of
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.prior import coupled_noise, spread_noise
from sketch2video.curve_vae.strokes import alive, frame_times, into_slots
from sketch2video.text.encoder import TextCondition

Generators = torch.Generator | list[torch.Generator] | None

GUIDED = 0.6
"""Time up to which samples are guided. At higher noise, guidance reduces diversity and quality (Kynkäänniemi
et al. 2024, "Applying guidance in a limited interval improves sample and distribution quality in diffusion models")."""

KNOWN_FROM = 0.5
"""Time down to which known strokes are a condition. They determine where strokes are, and not always how these move:
from two drawings an object may go round either way. Up to the end they would make the prior draw a mean of such
motions; with less noise the caption alone makes one of them exact, and :func:`~sketch2video.curve_vae.known.hold`
corrects what remains. Few clips of the training have known strokes, all have captions."""


class Drawn(NamedTuple):
    """Strokes of N clips before they are put into slots.

    Attributes:
        coefficients: (N, S, T, 2, K) frame widths.
        visible: (N, S, T) bool.
    """

    coefficients: Tensor
    visible: Tensor


@torch.no_grad()
def sample_curves(
    vae: CurveVAE,
    text: TextCondition,
    num_frames: int,
    fps: float | Tensor,
    generator: Generators = None,
    *,
    known: Known | None = None,
    temperature: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    stroke_quantile: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw clips for captions.

    Args:
        vae: the network.
        text: N captions; the empty one is unconditional.
        num_frames: T.
        fps: frames a second, one for all or (N,).
        generator: source of the noise; one for each caption makes a sample independent of its batch.
        known: known strokes and frames, for the vae's ``strokes`` and T frames; the drawing agrees with them
            exactly. None: none.
        temperature: scale of the noise; below 1 samples are more typical and less varied. None:
            ``vae.config.temperature``.
        num_inference_steps: Euler steps; None: ``vae.config.num_inference_steps``.
        guidance_scale: of classifier-free guidance; None: ``vae.config.guidance_scale``.
        stroke_quantile: the number of strokes is this quantile of the distribution that the prior predicts for the
            caption. A low one avoids drawings that tracking has broken into pieces. None:
            ``vae.config.stroke_quantile``, and if that is None, a number at random.

    Returns:
        Coefficients (N, T, slots, 2, K) float32 in frame widths, at most ``vae.config.budget`` numbers a frame, and
        visibility (N, T, slots) float32, 0 or 1. Known strokes come first.
    """
    drawn = sample_strokes(
        vae, text, num_frames, fps, generator, known, temperature, num_inference_steps, guidance_scale, stroke_quantile
    )
    return as_curves(vae, drawn, None if known is None else known.strokes)


def as_curves(vae: CurveVAE, drawn: Drawn, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Strokes in slots, within the budget; see :func:`sample_curves`.

    Args:
        vae: its config gives the number of slots and the budget.
        drawn: the strokes.
        first: (N, S) bool, those that come first.
    """
    clips = [
        into_slots(*clip, vae.config.slots, None if first is None else first[index])
        for index, clip in enumerate(zip(*drawn, strict=True))
    ]
    coefficients, visibility = (torch.stack(part) for part in zip(*clips, strict=True))
    return within_budget(coefficients, visibility, vae.config.budget), visibility


@torch.no_grad()
def sample_strokes(
    vae: CurveVAE,
    text: TextCondition,
    num_frames: int,
    fps: float | Tensor,
    generator: Generators = None,
    known: Known | None = None,
    temperature: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    stroke_quantile: float | None = None,
) -> Drawn:
    """The strokes of clips; see :func:`sample_curves`."""
    config, device, count = vae.config, text.hidden.device, len(text.hidden)
    temperature = config.temperature if temperature is None else temperature
    rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)
    quantile = config.stroke_quantile if stroke_quantile is None else stroke_quantile
    chance = torch.special.ndtr(randn_tensor((count, 1), generator=generator, device=device)[:, 0] * temperature)
    chance = chance if quantile is None else torch.full_like(chance, quantile)
    noise = randn_tensor((count, config.strokes, len(vae.mean)), generator=generator, device=device)
    noise = spread_noise(noise) * temperature
    numbers = how_many(vae.number_of_strokes(text, rates), chance)
    given = torch.zeros(count, config.strokes, dtype=torch.bool, device=device) if known is None else known.strokes
    present = with_others(given, numbers)
    seen = None
    if known is not None:
        seen = describe(vae, known)
        # Noise is coupled as in training: known strokes are assigned first, the others take the rest.
        noise = coupled_noise(tokens_of(seen, vae), noise, present, given)
    tokens = flow_to_strokes(
        vae,
        noise,
        present,
        text,
        rates,
        seen,
        num_inference_steps or config.num_inference_steps,
        config.guidance_scale if guidance_scale is None else guidance_scale,
    )
    parts, life = vae.decode(vae.unwhitened(tokens), frame_times(num_frames, device))
    coefficients = parts.coefficients()
    visible = alive(life, num_frames) & present[..., None]
    return Drawn(coefficients, visible) if known is None else Drawn(*hold(coefficients, visible, known))


def how_many(logits: Tensor, chance: Tensor) -> Tensor:
    """Numbers of strokes (N,): the quantiles ``chance`` (N,), in [0, 1], of the distributions of logits (N, S + 1)."""
    below = logits.float().softmax(-1).cumsum(-1)
    return (below < chance[:, None]).sum(-1).clamp_max(logits.shape[-1] - 1)


def with_others(given: Tensor, numbers: Tensor) -> Tensor:
    """The tokens that are strokes: those that are given (N, S), and the first others up to ``numbers`` (N,)."""
    missing = numbers - given.sum(-1)
    return given | (~given & ((~given).cumsum(-1) <= missing[:, None]))


def flow_to_strokes(
    vae: CurveVAE,
    noise: Tensor,
    present: Tensor,
    text: TextCondition,
    fps: Tensor,
    known: Tensor | None,
    steps: int,
    guidance_scale: float,
) -> Tensor:
    """Integrate the prior from ``noise`` to tokens (N, S, D) by Euler's method, guided from :data:`GUIDED` on.

    Args:
        vae: the network.
        noise: (N, S, D).
        present: (N, S) bool, the tokens that are strokes.
        text: the captions.
        fps: (N,).
        known: as returned by :func:`~sketch2video.curve_vae.known.describe`; None: no known strokes.
        steps: of equal length in time.
        guidance_scale: w of ``v(-) + w (v(c) - v(-))`` (classifier-free guidance, Ho & Salimans 2022); 1: no guidance.
    """
    attended = at_least_one(present)
    tokens = noise
    for step in range(steps):
        time = 1 - step / steps
        times = torch.full_like(fps, time)
        given = known if time > KNOWN_FROM else None
        velocity = vae.prior(tokens, times, text.hidden, text.mask, fps, given, attended)
        if guidance_scale != 1 and time <= GUIDED:
            plain = vae.prior(tokens, times, None, None, fps, given, attended)
            velocity = plain + guidance_scale * (velocity - plain)
        tokens = tokens - velocity / steps
    return tokens


def at_least_one(present: Tensor) -> Tensor:
    """Tokens (N, S) that are attended to: those that are strokes, and the first one of a clip without any."""
    first = torch.arange(present.shape[-1], device=present.device) == 0
    return present | (~present.any(-1, keepdim=True) & first)
