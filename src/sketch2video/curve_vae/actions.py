"""Drawings with several captions in sequence: every caption is an action, which continues the previous one.

An action is a function of time in [0, 1]: a caption may last for any number of frames, and a longer action is
slower. The last frames of an action are *known* to the next one (:mod:`~sketch2video.curve_vae.known`): it has
the same strokes, which continue from their positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.sampling import Drawn, as_curves, sample_strokes
from sketch2video.text.encoder import TextCondition


@torch.no_grad()
def long_curves(
    vae: CurveVAE,
    text: TextCondition,
    firsts: Sequence[int],
    frames: int,
    fps: float | Tensor,
    overlap: int,
    generator: torch.Generator | None = None,
    temperature: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Generate the drawing of one video with a sequence of captions.

    With one caption the result is exactly that of :func:`~sketch2video.curve_vae.sampling.sample_curves`.

    Args:
        vae: the network.
        text: C captions.
        firsts: first frames of the captions, ascending from 0; each lasts until the next begins.
        frames: of the video, T.
        fps: frames a second, one for all captions or (C,), which the network receives as it is; see below.
        overlap: frames around the first one of a caption that belong to the previous and to the next action; both
            are longer than their captions by half as many frames. At most the frames of the shortest caption.
        generator: source of the noise.
        temperature: scale of the noise; None: ``vae.config.temperature``.

    Returns:
        Coefficients (T, slots, 2, K) float32 in frame widths, at most ``config.budget`` numbers a frame, the same
        harmonics of a slot in all frames; and visibility (T, slots) float32, 0 or 1.

    Raises:
        ValueError: captions, first frames, frame rates, frames and overlap are inconsistent.

    All clips of a training have the same number of frames, so that the rate determines the duration of an action. An
    action that is stretched over more frames is one of the same kind in slow motion. The rate of an equally slow clip
    would be far below those of the training.
    """
    if len(firsts) != len(text.hidden):
        raise ValueError(f"there are {len(text.hidden)} captions and {len(firsts)} first frames")
    device = text.hidden.device
    rates = torch.as_tensor(fps, dtype=torch.float32, device=device)
    if rates.shape not in ((), (len(firsts),)):
        raise ValueError(
            f"there are {len(firsts)} captions and frame rates {tuple(rates.shape)}; give one or one for each"
        )
    rates = rates.expand(len(firsts))
    config = vae.config
    shape = (1, config.strokes, frames)
    whole = Drawn(
        torch.zeros(*shape, 2, config.harmonics, device=device), torch.zeros(shape, dtype=torch.bool, device=device)
    )
    for caption, (begin, end) in enumerate(action_spans(firsts, frames, overlap)):
        here = slice(caption, caption + 1)
        known = _ending(whole, begin, end, overlap) if caption else None
        action = sample_strokes(
            vae,
            TextCondition(text.hidden[here], text.mask[here]),
            end - begin,
            rates[here],
            generator,
            known,
            temperature,
        )
        for every, part in zip(whole, action, strict=True):
            every[:, :, begin:end] = part
    coefficients, visibility = as_curves(vae, whole)
    return coefficients[0], visibility[0]


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
            f"captions that begin at frames {list(firsts)} of {frames} and an overlap of {overlap} are inconsistent;"
            " let the first begin at 0, each last at least as long as the overlap, and the overlap be 1 frame or more"
        )
    before = overlap // 2
    return [(max(0, a - before), b - before + overlap if b < frames else b) for a, b in pairwise([*firsts, frames])]


def _ending(drawn: Drawn, begin: int, end: int, overlap: int) -> Known:
    """The known frames of an action from ``begin`` to ``end``: those that the previous one has drawn."""
    coefficients, visible = (part[:, :, begin:end] for part in drawn)
    drawn_already = torch.arange(end - begin, device=visible.device) < overlap
    return Known(coefficients.clone(), visible & drawn_already, ~visible & drawn_already)
