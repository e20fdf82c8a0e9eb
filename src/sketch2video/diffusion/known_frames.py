"""Training samples for key frames and interpolation: clips at two frame rates, some of their frames known.

Long videos begin with key frames at a low frame rate, and windows of neighbouring frames are then filled in between
known ones (:mod:`sketch2video.pipelines.key_frames`). Both occur in training: a step may be on every second frame of
its clips at half their frame rate, or on a piece of each clip with some frames known.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sketch2video.networks.processes import draw
from sketch2video.params import MixtureParams

Batch = dict[str, Tensor]

PIECES = 0.5
"""Share of the clips with known frames that are pieces of clips: windows never span a whole action."""


class SeenClips(NamedTuple):
    """The frames of a batch of clips that a step is trained on.

    Attributes:
        batch: the clips' arrays with the chosen frames, and their frame rates.
        known: (N, T) bool, frames that are given without noise and excluded from the loss; None: no clip has any.
    """

    batch: Batch
    known: Tensor | None


def seen_clips(batch: Batch, mixture: MixtureParams, generator: torch.Generator) -> SeenClips:
    """Choose the frames that a step is trained on; no random numbers are drawn for what is switched off.

    Args:
        batch: ``latents`` (N, T, C, h, w), ``fps`` (N,) and other arrays, each with the frames as its second axis if
            it has two.
        mixture: shares of clips that are not whole, or have known frames.
        generator: the only source of randomness, on the tensors' device.
    """
    samples, frames = batch["latents"].shape[:2]
    share = mixture.known_frames if frames >= 3 else 0.0
    kind = _uniform(generator) if share or mixture.half_rate else 1.0
    if kind < PIECES * share:
        longest = frames - 1 + frames % 2  # windows are odd: they begin and end with known frames
        length = longest - 2 * int(_uniform(generator) * ((longest - frames // 2 + 1) // 2))
        start = int(_uniform(generator) * (frames - length + 1))
        return SeenClips(some_frames(batch, slice(start, start + length)), known_masks(samples, length, 1.0, generator))
    if kind > 1 - mixture.half_rate:
        batch = some_frames(batch, slice(int(2 * _uniform(generator)), None, 2))
        batch = {**batch, "fps": batch["fps"] / 2}
        frames = batch["latents"].shape[1]
    rest = share * (1 - PIECES) / (1 - PIECES * share)
    return SeenClips(batch, known_masks(samples, frames, rest, generator) if rest and frames > 1 else None)


def some_frames(batch: Batch, which: slice) -> Batch:
    """A batch with some of its frames; arrays without an axis of frames stay as they are."""
    return {name: array[:, which] if array.ndim > 1 else array for name, array in batch.items()}


def known_masks(samples: int, frames: int, share: float, generator: torch.Generator) -> Tensor:
    """Which frames are known: every second one, the first k, or random ones, with equal probability.

    Args:
        samples: N.
        frames: T, at least 2.
        share: probability that a clip has any.
        generator: the only source of randomness.

    Returns:
        (N, T) bool on the generator's device; at least one frame of every clip is not known.
    """

    def uniform(*shape: int) -> Tensor:
        return draw(torch.rand, shape, generator)

    time = torch.arange(frames, device=generator.device).expand(samples, -1)
    first = 1 + (uniform(samples, 1) * (frames - 1)).long()  # 1 ... T - 1
    order = uniform(samples, frames).argsort(1).argsort(1)
    count = 1 + (uniform(samples, 1) * (frames - 1)).long()
    kinds = torch.stack([time % 2 == 0, time < first, order < count])
    chosen = kinds[(uniform(samples) * len(kinds)).long(), torch.arange(samples, device=generator.device)]
    return chosen & (uniform(samples, 1) < share)


def _uniform(generator: torch.Generator) -> float:
    """A number for a whole batch, the same one in all processes that share it."""
    return float(torch.rand((), generator=generator, device=generator.device))
