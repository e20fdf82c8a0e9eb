"""Clips as sets of strokes, in batches for the trainings of the curve VAE."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sketch2video.curve_vae.strokes import StrokeSet, lives_of, stroke_sets, strokes_needed
from sketch2video.data.clips.datasets import ShardDataset, batch_indices
from sketch2video.training.loop import Batch

ALIKE = 8
"""Number of batches among which clips are sorted by their numbers of strokes, to reduce padding."""
CAPTION_TOKENS = 16
"""Number of strokes with the computational cost of a caption."""


class CurveDataset(ShardDataset):
    """Clips as sets of strokes: ``coefficients``, ``life`` and ``present`` of a :class:`StrokeSet`, and ``fps``.

    Args:
        table: the clips, rows of ``curves.parquet``.
        curves: folder of shards.
        limit: most strokes a clip.
    """

    def __init__(self, table: pd.DataFrame, curves: Path, limit: int) -> None:
        super().__init__(table, {"coefficients": curves, "visibility": curves}, ["fps"])
        self.limit = limit

    def curves(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The fitted curves: coefficients (N, T, slots, 2, K) and visibility (N, T, slots)."""
        batch = super().batch(indices)
        return batch["coefficients"].numpy(), batch["visibility"].numpy()

    def strokes(self, indices: Sequence[int]) -> StrokeSet:
        """The same as sets of strokes."""
        return stroke_sets(*self.curves(indices), self.limit)

    def strokes_needed(self) -> int:
        """Strokes per clip that include 99% of all; see :func:`~sketch2video.curve_vae.strokes.strokes_needed`."""
        return strokes_needed(self.lives, self.limit)

    @cached_property
    def lives(self) -> np.ndarray:
        """Lives of each clip: (N,)."""
        reader = self.readers["visibility"]
        rows = (self.table.iloc[[row]] for row in range(len(self)))
        return np.array([len(lives_of(reader.batch("visibility", row)[0])) for row in rows])

    def batch(self, indices: Sequence[int]) -> Batch:
        """See :class:`~sketch2video.data.clips.datasets.Dataset`."""
        batch = super().batch(indices)
        strokes = stroke_sets(batch.pop("coefficients").numpy(), batch.pop("visibility").numpy(), self.limit)
        used = max(1, int(strokes.present.sum(1).max()))
        return batch | {name: part[:, :used] for name, part in strokes._asdict().items()}

    def batch_at(self, seed: int, position: int, size: int) -> Batch:
        """Batch number ``position``: among the clips of :data:`ALIKE` batches, those with about equally many strokes.

        A batch has about ``size`` tokens, strokes and :data:`CAPTION_TOKENS` a clip, so that the cost of a step is
        about constant: clips of one stroke come in large batches.

        See :class:`~sketch2video.data.clips.datasets.Scheduled`.
        """
        count = max(1, round(size / (self.lives.mean() + CAPTION_TOKENS)))
        turn, offset = divmod(position, ALIKE)
        clips = np.array(batch_indices(seed, turn, ALIKE * count, len(self)))
        clips = clips[np.argsort(self.lives[clips], kind="stable")].reshape(ALIKE, count)
        order = np.random.default_rng([seed, turn]).permutation(ALIKE)  # few and many strokes alternate
        return self.batch(clips[order[offset]].tolist())


class StrokeDataset(CurveDataset):
    """The same clips, in batches of so many strokes: for training on single strokes, independent of their clips."""

    def batch_at(self, seed: int, position: int, size: int) -> Batch:
        """Batch number ``position``, with about ``size`` strokes."""
        clips = max(1, round(size / max(1.0, self.lives.mean())))
        return self.batch(batch_indices(seed, position, clips, len(self)))


def to_device(strokes: StrokeSet, device: torch.device) -> StrokeSet:
    """The strokes on a device."""
    return StrokeSet(*(part.to(device) for part in strokes))


def strokes_in(batch: Batch) -> StrokeSet:
    """The strokes of a batch of :class:`CurveDataset`."""
    return StrokeSet(batch["coefficients"], batch["life"], batch["present"])
