"""Training steps on single frames among steps on clips, for an image prior and for words that occur in no clip.

Video Diffusion Models (Ho et al. 2022, section 3.1) train on clips and single frames together, Make-A-Video (Singer et
al. 2022, section 3) on images first. Here a step is either on clips or on as many single frames,
which are taken from random clips and from captioned images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from sketch2video.data.clips.datasets import ShardDataset, batch_indices
from sketch2video.data.clips.shards import ShardReader
from sketch2video.params import MixtureParams

_CHOICE, _PICTURES = 1, 2
"""Streams of random numbers of a step: whether it is on single frames, and which."""


class MixedDataset:
    """Clips by number, and the batches of clips and images of a training.

    Args:
        clips: the clips, with ``latents`` and ``fps``.
        images: one row an image, with ``shard`` and ``row``; may be empty.
        latents: the images' latents, one frame each.
        mixture: how many steps are on single frames.
        frames: T of the clips.
        accumulation: batches a step.

    A batch of single frames holds ``latents`` (N * T, 1, C, h, w), ``fps`` (that of a frame's clip; 0, unknown, of an
    image), ``index`` (numbers of images follow those of the clips), the clips' other arrays with one frame, zeros for
    images, and ``pictured`` (bool), False at images.
    """

    def __init__(
        self,
        clips: ShardDataset,
        images: pd.DataFrame,
        latents: ShardReader,
        mixture: MixtureParams,
        frames: int,
        accumulation: int,
    ) -> None:
        self.clips = clips
        self.images = images.reset_index(drop=True)
        self.latents = latents
        self.mixture = mixture
        self.frames = frames
        self.accumulation = accumulation

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Clips; see :class:`~sketch2video.data.clips.datasets.Dataset`."""
        return self.clips.batch(indices)

    def is_on_single_frames(self, seed: int, position: int) -> bool:
        """Whether batch number ``position`` belongs to a step on single frames."""
        step = position // self.accumulation
        if step < self.mixture.image_steps:
            return True
        return bool(np.random.default_rng([seed, step, _CHOICE]).random() < self.mixture.image_share)

    def batch_at(self, seed: int, position: int, size: int) -> dict[str, torch.Tensor]:
        """See :class:`~sketch2video.data.clips.datasets.Scheduled`: images and clips are equally likely."""
        if not self.is_on_single_frames(seed, position):
            return self.clips.batch(batch_indices(seed, position, size, len(self.clips)))
        rng = np.random.default_rng([seed, position, _PICTURES])
        chosen = rng.integers(len(self.clips) + len(self.images), size=size * self.frames)
        times = rng.integers(self.frames, size=len(chosen))
        return self.single_frames(chosen.tolist(), times.tolist())

    def single_frames(self, chosen: Sequence[int], times: Sequence[int]) -> dict[str, torch.Tensor]:
        """Single frames of clips, and images.

        Args:
            chosen: numbers of clips, or of images after those of the clips.
            times: the index of each one's frame, ignored for images.
        """
        indices, clips = torch.as_tensor(chosen, dtype=torch.long), len(self.clips)
        pictured = indices < clips
        single = list(zip(chosen, times, strict=True))
        arrays = {name: np.stack([self._frame(name, *each) for each in single]) for name in self.clips.readers}
        return {
            "index": indices,
            "fps": self.clips.columns["fps"][indices.clamp(max=clips - 1)] * pictured,
            "pictured": pictured,
            **{name: torch.from_numpy(array)[:, None] for name, array in arrays.items()},
        }

    def _frame(self, name: str, number: int, time: int) -> np.ndarray:
        """One frame of an array; zeros if it is not the latents and the number is that of an image."""
        table, reader = self.clips.table, self.clips.readers[name]
        if number >= len(table):
            if name != "latents":
                return np.zeros_like(self._frame(name, 0, 0))
            number, time, table, reader = number - len(table), 0, self.images, self.latents
        return reader.frame(name, int(table["shard"].iloc[number]), int(table["row"].iloc[number]), time)
