"""Drawings along which captions change: every caption is an action with a latent of its own, and actions are joined.

To a :class:`~sketch2video.models.curve_vae.CurveVAE` an action is a function of time in [0, 1]: a caption may hold for
any number of frames, and what it says is then slower. A video of several actions is joined in two places.

In the latent, the next action is a draw from its caption's prior that begins as the one before ends: the best of some
candidates, then the best of some near it, and so on. What is near noise n is proposed with a draw xi in the manner of
Cotter et al. 2013, "MCMC Methods for Functions" (pCN) ::

    n' ~ sqrt(1 - beta^2) n + beta xi,    |n'| = |n|

The proposal alone leaves a standard normal as it is, but choosing the best again and again makes n longer and longer:
where a caption cannot begin where the one before ends, what is found agrees at the joint and no longer does what the
caption says. So does what gradient descent finds, unless it keeps the length, too, and then it finds nothing better.
Noise as long as a draw is such as the flow of the prior has learned to carry to actions of the caption.

In the strokes, place, size, shape and visibility fade from one action to the next while both last. Slot s of one action
goes on as slot s of the next, as both have their strokes in the order that the curve VAE has learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn import functional

from sketch2video.models.curve_vae import VISIBLE, CurveVAE, Strokes, frame_times, within_budget
from sketch2video.models.text import TextCondition

CANDIDATES = 32
"""Beginnings of the next action that are compared at once with the end of the one before."""
STEPS = (1.0, 0.6, 0.5, 0.43, 0.37)
"""beta of each round of candidates; those of the first are independent draws."""
LOST = 0.25
"""Frame widths; a stroke that only one of two actions shows counts as one that is so far from where it should be."""


@torch.no_grad()
def long_curves(
    vae: CurveVAE,
    text: TextCondition,
    firsts: Sequence[int],
    frames: int,
    fps: float | Tensor,
    overlap: int,
    generator: torch.Generator | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Draw one video along which the caption changes.

    One caption gives to the last bit what :meth:`CurveVAE.sample` gives. Frames are decoded an action at a time: what
    is in memory beside the result is in proportion to the longest action, and a joint costs the same at any length.

    Args:
        vae: the network.
        text: C captions.
        firsts: first frames of the captions, ascending from 0; each holds until the next begins.
        frames: of the video, T.
        fps: frames a second, one for all captions or (C,), which the network is told as it is; see below.
        overlap: frames about the first one of a caption in which the action before fades into the next; both last
            half as many frames longer than their captions hold. At most the frames of the shortest caption.
        generator: source of the noise.
        temperature: scale of the noise, as in :meth:`CurveVAE.sample`.

    Returns:
        Coefficients (T, S, 2, K) float32 in frame widths, at most ``config.budget`` numbers a frame, the same ones all
        along the video; and visibility (T, S) float32, zero where it is under one half.

    Raises:
        ValueError: captions, first frames, frame rates, frames and overlap do not go together.

    All clips of a training have the same number of frames, so that the rate told the network how many seconds an action
    takes. An action that is stretched over more frames is, as in :meth:`CurveVAE.sample`, one of the same kind in slow
    motion. The rate of an equally slow clip, ``fps * (frames of a training clip - 1) / (frames of the action - 1)``,
    would be far below those of the training.
    """
    if len(firsts) != len(text.hidden):
        raise ValueError(f"there are {len(text.hidden)} captions and {len(firsts)} first frames")
    config, device = vae.config, text.hidden.device
    rates = torch.as_tensor(fps, dtype=torch.float32, device=device)
    if rates.shape not in ((), (len(firsts),)):
        raise ValueError(
            f"there are {len(firsts)} captions and frame rates {tuple(rates.shape)}; give one or one for each"
        )
    rates = rates.expand(len(firsts))
    spans = action_spans(firsts, frames, overlap)
    coefficients = torch.empty(1, frames, config.strokes, 2, config.harmonics, device=device)
    visibility = torch.empty(1, frames, config.strokes, device=device)

    def put(strokes: Strokes, begin: int) -> None:
        probability = strokes.visibility.sigmoid()
        where = slice(begin, begin + probability.shape[1])
        coefficients[:, where] = strokes.coefficients()
        visibility[:, where] = probability * (probability > VISIBLE)

    ending: Strokes | None = None
    for caption, (begin, end) in enumerate(spans):
        here = slice(caption, caption + 1)
        action = Action(vae, TextCondition(text.hidden[here], text.mask[here]), rates[here], end - begin)
        noise = randn_tensor((1, config.latent_dim), generator=generator, device=device) * temperature
        if ending is not None:
            noise = continuing_noise(action, noise, ending, generator, temperature)
        strokes = action.strokes(noise)
        put(strokes, begin)
        if ending is not None:
            put(cross_fade(ending, _frames(strokes, slice(overlap))), begin)
        ending = _frames(strokes, slice(-overlap, None))
    return within_budget(coefficients, visibility, config.budget)[0], visibility[0]


def action_spans(firsts: Sequence[int], frames: int, overlap: int) -> list[tuple[int, int]]:
    """First frame of each action and the one after its last: a caption's frames and half an overlap at its joints.

    Args:
        firsts: first frames of the captions.
        frames: of the video, T.
        overlap: frames that two neighbouring actions share.

    Raises:
        ValueError: the first caption does not begin at 0, or one of several lasts for less than ``overlap`` frames.
    """
    shortest = overlap if len(firsts) > 1 else 1
    if overlap < 1 or list(firsts[:1]) != [0] or any(b - a < shortest for a, b in pairwise([*firsts, frames])):
        raise ValueError(
            f"captions that begin at frames {list(firsts)} of {frames} and an overlap of {overlap} do not go together;"
            " let the first begin at 0, each last at least as long as the overlap, and the overlap be 1 frame or more"
        )
    before = overlap // 2
    return [(max(0, a - before), b - before + overlap if b < frames else b) for a, b in pairwise([*firsts, frames])]


class Action(NamedTuple):
    """One caption (1, L, D), one rate (1,) and how many frames the action lasts."""

    vae: CurveVAE
    text: TextCondition
    rate: Tensor
    frames: int

    def strokes(self, noise: Tensor, which: slice = slice(None)) -> Strokes:
        """What the action is for each of M noises (M, Z), at some of its frames; visibility is logits."""
        count = len(noise)
        hidden, mask = self.text.hidden.expand(count, -1, -1), self.text.mask.expand(count, -1)
        latents = self.vae.prior.sample(noise, hidden, mask)
        times = frame_times(self.frames, noise.device)[which]
        return self.vae.decode(latents, hidden, mask, times, self.rate.expand(count))


def continuing_noise(
    action: Action, noise: Tensor, ending: Strokes, generator: torch.Generator | None, temperature: float
) -> Tensor:
    """Noise (1, Z) whose action begins, while another ends, as much like it as any that was tried.

    Args:
        action: the one that begins.
        noise: (1, Z), the first candidate.
        ending: of the other action, the frames in which the two overlap.
        generator: source of the candidates.
        temperature: scale of the noise.
    """
    overlap = ending.visibility.shape[1]
    for beta in STEPS:
        fresh = randn_tensor((CANDIDATES, noise.shape[1]), generator=generator, device=noise.device) * temperature
        near = functional.normalize(math.sqrt(1 - beta**2) * noise + beta * fresh, dim=1)
        candidates = torch.cat([noise, near * noise.norm()])
        costs = mismatch(ending, action.strokes(candidates, slice(overlap)))
        noise = candidates[costs.argmin()][None]
    return noise


def mismatch(one: Strokes, other: Strokes) -> Tensor:
    """Mean squared distance between points that two clips draw at the same moment in the same slot.

    By Parseval it is ``|a_0 - b_0|^2 + sum_k |a_k - b_k|^2 / 2`` for a stroke that both show. A stroke that only one of
    them shows counts as :data:`LOST`.

    Args:
        one: strokes of a clip whose visibility is logits.
        other: of N clips with as many frames.

    Returns:
        (N,) squared frame widths for each stroke that ``one`` shows.
    """
    shown, also = one.visibility.sigmoid(), other.visibility.sigmoid()
    apart = (one.coefficients() - other.coefficients()).square().sum(-2)
    squares = apart[..., 0] + apart[..., 1:].sum(-1) / 2
    costs = shown * also * squares + (shown - also).square() * LOST**2
    return (costs.sum(-1) / shown.sum(-1).clamp_min(1)).mean(-1)


def cross_fade(one: Strokes, other: Strokes) -> Strokes:
    """Strokes that are those of one clip at first and those of another in the end, slot by slot.

    The weight of the other is ``(1 - cos(pi k / (T + 1))) / 2`` in frame k = 1 ... T, which begins and ends level, so
    that the motion has no kink. Place, size and shape are weighted by visibility, too: where only one of the two shows
    a stroke, the stroke stays where that one has it while it comes or goes.

    Args:
        one: T frames whose visibility is logits.
        other: T frames likewise.
    """
    frames = one.visibility.shape[1]
    share = torch.arange(1, frames + 1, device=one.visibility.device) / (frames + 1)
    weight = ((1 - (math.pi * share).cos()) / 2)[:, None]
    seen = functional.logsigmoid(other.visibility) - functional.logsigmoid(one.visibility)
    drawn = (weight.logit() + seen).sigmoid()
    return Strokes(
        one.place.lerp(other.place, drawn[..., None]),
        one.log_size.lerp(other.log_size, drawn),
        one.shape.lerp(other.shape, drawn[..., None, None]),
        one.visibility.lerp(other.visibility, weight),
    )


def _frames(strokes: Strokes, which: slice) -> Strokes:
    """Some frames of strokes."""
    return Strokes(*(part[:, which] for part in strokes))
