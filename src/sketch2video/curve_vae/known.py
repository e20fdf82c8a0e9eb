"""Known strokes: some strokes of a clip, or some of their frames, are given before it is drawn.

A few drawings instead of all, a stroke that was redrawn by hand, the last frames of the previous clip: all of these are
strokes that are known in some frames. The prior receives, beside a stroke's noisy numbers, those of its linear
interpolation between known frames, and the frames in which it is known to be visible or hidden.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.strokes import StrokeSet, to_series
from sketch2video.networks.processes import draw

KINDS = 4
"""The kinds of known strokes and frames in training; see :func:`random_known`."""


class Known(NamedTuple):
    """Known strokes: S strokes of N clips.

    Attributes:
        coefficients: (N, S, T, 2, K) frame widths; used where a stroke is ``shown``.
        shown: (N, S, T) bool, frames in which the stroke is known to be visible.
        hidden: (N, S, T) bool, frames in which it is known not to be.
    """

    coefficients: Tensor
    shown: Tensor
    hidden: Tensor

    @property
    def strokes(self) -> Tensor:
        """The strokes that are known in some frame: (N, S) bool."""
        return self.shown.any(-1)


def describe(vae: CurveVAE, known: Known) -> Tensor:
    """The condition of the prior on known strokes: (N, S, known_numbers), zero where nothing is known.

    Whether a frame is known, the whitened latents of the stroke as :func:`between` draws it, and the frames in which it
    is known to be visible and not to be, as series in time.
    """
    strokes = known.strokes
    shown, hidden = (to_series(part.float()[..., None], vae.config.time_terms)[..., 0] for part in known[1:])
    latents = shown.new_zeros(*strokes.shape, len(vae.mean))
    if strokes.any():
        seen = known.shown[strokes]
        life = torch.stack([_first(seen), seen.shape[1] - _first(seen.flip(1))], dim=1) / seen.shape[1]
        with torch.no_grad():
            mode = vae.encode(between(known.coefficients[strokes], seen), life).mode()
        latents[strokes] = vae.whitened(mode)
    return torch.cat([strokes[..., None].float(), latents, shown, hidden], dim=-1)


def tokens_of(described: Tensor, vae: CurveVAE) -> Tensor:
    """Approximate tokens of known strokes: (N, S, 5 + Z), whitened, from the result of :func:`describe`."""
    return described[..., 1 : 1 + len(vae.mean)]


def between(values: Tensor, shown: Tensor) -> Tensor:
    """Values through time by linear interpolation between the frames that are shown, held before and after them.

    Args:
        values: (M, T, ...).
        shown: (M, T) bool, at least one True each.

    Returns:
        The shape of ``values``.
    """
    frames = shown.shape[1]
    index = torch.arange(frames, device=shown.device).expand_as(shown)
    before = index.masked_fill(~shown, -1).cummax(1).values
    after = frames - 1 - index.masked_fill(~shown.flip(1), -1).cummax(1).values.flip(1)
    after = torch.where(after >= frames, before, after)  # not shown in a later frame
    before = torch.where(before < 0, after, before)
    share = (index - before) / (after - before).clamp_min(1)
    tail = [1] * (values.ndim - 2)
    early, late = (values.gather(1, one.view(*one.shape, *tail).expand_as(values)) for one in (before, after))
    return torch.lerp(early, late, share.view(*share.shape, *tail).to(values.dtype))


def random_known(strokes: StrokeSet, share: float, generator: torch.Generator) -> Known:
    """Known strokes for a share of training clips: the first and last frame, the first frames, some frames, or some
    strokes in all frames, with equal probability.

    Args:
        strokes: of the clips.
        share: probability in [0, 1] that a clip has known strokes or frames.
        generator: source of the choices.
    """
    device = generator.device
    clips, count, frames = strokes.visible.shape
    choice = draw(torch.rand, [4, clips], generator, axis=1)
    kind = torch.where(choice[0] < share, (choice[1] * KINDS).long(), KINDS)
    frame = torch.arange(frames, device=device)
    ends = (frame == 0) | (frame == frames - 1)
    start = frame < 1 + (choice[2] * (frames // 2))[:, None]
    chance = (1 + 3 * choice[3]) / frames
    some = draw(torch.rand, [clips, frames], generator) < chance[:, None]
    chosen = draw(torch.rand, [clips, count], generator) < choice[2][:, None]
    nothing = torch.zeros(clips, count, frames, dtype=torch.bool, device=device)
    options = [
        ends.expand(clips, frames)[:, None].expand_as(nothing),
        start[:, None].expand_as(nothing),
        some[:, None].expand_as(nothing),
        (chosen & strokes.present)[..., None].expand_as(nothing),
        nothing,
    ]
    known = torch.stack(options).gather(0, kind.view(1, -1, 1, 1).expand(1, *nothing.shape))[0]
    return Known(strokes.coefficients, known & strokes.visible, known & ~strokes.visible)


def hold(coefficients: Tensor, visible: Tensor, known: Known) -> tuple[Tensor, Tensor]:
    """Correct strokes to agree exactly with known ones; between known frames the correction is interpolated linearly.

    Args:
        coefficients: (N, S, T, 2, K), sampled with ``known`` as a condition.
        visible: (N, S, T) bool.
        known: the known strokes.

    Returns:
        Both, corrected.
    """
    strokes = known.strokes
    if strokes.any():
        missing = between(known.coefficients[strokes] - coefficients[strokes], known.shown[strokes])
        coefficients = coefficients.clone()
        coefficients[strokes] += missing
    return coefficients, (visible | known.shown) & ~known.hidden


def _first(seen: Tensor) -> Tensor:
    """Index of the first True of each row (M, T): (M,)."""
    return seen.to(torch.int64).argmax(1)
