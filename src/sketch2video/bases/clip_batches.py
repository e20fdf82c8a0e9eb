"""Batches of encoded clips; the clips of a batch are of one size and length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from sketch2video.bases.encoded_clips import STATISTICS, TABLE, TEXT, text_path
from sketch2video.data.clips.datasets import clips_of_split
from sketch2video.data.clips.shards import ShardReader
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.text.encoder import TextCondition

ARRAYS = ("latents", "control", "drawn")


class EncodedClips:
    """The clips of a split.

    A batch holds the arrays of :mod:`~sketch2video.bases.encoded_clips`, ``index`` and ``fps`` (N,), and the captions,
    ``text`` (N, L, D) float32 and ``text_mask`` (N, L).

    Args:
        folder: that :func:`~sketch2video.bases.encoded_clips.encode_clips` wrote.
        split: ``train`` or ``test``.

    Raises:
        UserError: the folder is missing or damaged, or has no such clip.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        self.table = clips_of_split(folder / TABLE, split)
        self.statistics = read_json(folder / STATISTICS)
        self._buckets = tuple(self.table["bucket"])
        self._readers = {bucket: ShardReader(folder / bucket) for bucket in self.table["bucket"].unique()}

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """See :class:`~sketch2video.data.clips.datasets.Dataset`; the clips must be of one bucket."""
        rows = self.table.iloc[list(indices)]
        (bucket,) = rows["bucket"].unique()
        text = padded([self.text_of(caption) for caption in rows["caption"]])
        return {
            "index": torch.as_tensor(list(indices), dtype=torch.long),
            "fps": torch.tensor(rows["fps"].to_numpy(np.float32)),
            "text": text.hidden,
            "text_mask": text.mask,
            **{name: torch.from_numpy(self._readers[bucket].batch(name, rows)) for name in ARRAYS},
        }

    def batch_at(self, seed: int, position: int, size: int) -> dict[str, Tensor]:
        """See :class:`~sketch2video.data.clips.datasets.Scheduled`.

        In an epoch every clip occurs at least once; clips of a bucket that fill no batch are repeated.
        """
        count = len(_epoch(seed, 0, size, self._buckets))
        return self.batch(_epoch(seed, position // count, size, self._buckets)[position % count])

    def text_of(self, caption: str | None) -> Tensor:
        """The encoded caption (L, D) float32; None: the condition of unconditional videos.

        Raises:
            UserError: it is missing or damaged.
        """
        path = text_path(self.folder / TEXT, caption, self.statistics["hashes"]["text_encoder"])
        try:
            return load_file(path)["hidden"].float()
        except Exception as error:
            raise UserError(f"{path} cannot be read ({error}); run `dvc repro` to make it") from error


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, size: int, buckets: tuple[str, ...]) -> list[list[int]]:
    """The batches of an epoch as indices of clips."""
    rng = np.random.default_rng([seed, epoch])
    batches: list[list[int]] = []
    for bucket in sorted(set(buckets)):
        order = rng.permutation([index for index, one in enumerate(buckets) if one == bucket])
        whole = np.resize(order, -(-len(order) // size) * size)
        batches += whole.reshape(-1, size).tolist()
    return [batches[number] for number in rng.permutation(len(batches))]


def padded(texts: Sequence[Tensor]) -> TextCondition:
    """Encoded captions (L, D) of different lengths as one condition; L is at least 1."""
    longest = max(1, *(len(text) for text in texts))
    hidden = torch.zeros(len(texts), longest, texts[0].shape[-1])
    mask = torch.zeros(len(texts), longest, dtype=torch.bool)
    for row, text in enumerate(texts):
        hidden[row, : len(text)], mask[row, : len(text)] = text, True
    return TextCondition(hidden, mask)
