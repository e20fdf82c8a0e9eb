"""Datasets of the training loop: batches of samples by number, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch

from sketch2video.data.clips.columns import IMAGE_TABLE
from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.errors import UserError


class Dataset(Protocol):
    """Samples by number. ``batch`` must be a pure function; randomness belongs in a task's loss."""

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """The samples with these numbers, each tensor with a leading axis of ``len(indices)``.

        A sample does not depend on the others of the batch.
        """
        ...


@runtime_checkable
class Scheduled(Protocol):
    """A dataset that chooses the samples of each batch itself, such as images in some and clips in others."""

    def batch_at(self, seed: int, position: int, size: int) -> dict[str, torch.Tensor]:
        """Batch number ``position``: a pure function of its arguments. ``size`` is that of the settings."""
        ...


class TensorDataset:
    """Samples held in memory.

    Args:
        tensors: equally long tensors by name.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = dict(tensors)
        lengths = {name: len(tensor) for name, tensor in self.tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"tensors differ in length: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """See :class:`Dataset`."""
        index = torch.as_tensor(indices, dtype=torch.long)
        return {name: tensor[index] for name, tensor in self.tensors.items()}


class ShardDataset:
    """Arrays of clips, read from folders of shards on demand.

    Args:
        table: one row a clip, with ``shard`` and ``row``; see :func:`clips_of_split`.
        arrays: the folder of shards that holds an array, by the array's name: ``{"ink": Path("data/sketches")}``.
        columns: numeric columns of the table that become float32 tensors (N,), such as ``fps``.

    A batch also holds ``index`` (int64 (N,)), the clip's index in ``table``, for captions encoded beforehand.
    """

    def __init__(self, table: pd.DataFrame, arrays: Mapping[str, Path], columns: Sequence[str] = ()) -> None:
        self.table = table.reset_index(drop=True)
        self.readers = {name: ShardReader(folder) for name, folder in arrays.items()}
        self.columns = {name: torch.tensor(self.table[name].to_numpy(np.float32)) for name in columns}

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """See :class:`Dataset`."""
        rows = self.table.iloc[list(indices)]
        index = torch.as_tensor(indices, dtype=torch.long)
        return {
            "index": index,
            **{name: torch.from_numpy(reader.batch(name, rows)) for name, reader in self.readers.items()},
            **{name: column[index] for name, column in self.columns.items()},
        }


def clips_of_split(table_path: Path, split: str) -> pd.DataFrame:
    """The rows of ``clips.parquet`` or ``curves.parquet`` that belong to a split ("train" or "test").

    Raises:
        UserError: the table is missing, damaged, or has no such clip.
    """
    table = read_table(table_path)
    table = table[table["split"] == split].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{table_path} has no clip of the {split} split; add videos or change ingest.test_fraction")
    return table


def image_table(images: Path | None) -> pd.DataFrame:
    """The rows of ``images.parquet`` that belong to the training split; none if there is no folder of images.

    Raises:
        UserError: the table is missing or damaged.
    """
    if images is None:
        return pd.DataFrame({"caption": [], "shard": [], "row": []})
    table = read_table(images / IMAGE_TABLE)
    return table[table["split"] == "train"].reset_index(drop=True)


def image_latents(latents: Path) -> Path:
    """The folder of the latents of images in a folder of latents."""
    return latents / "images"


def evenly(count: int, length: int) -> torch.Tensor:
    """At most ``count`` indices (int64) below ``length``, evenly spread."""
    return torch.linspace(0, length - 1, min(count, length)).round().long()


def batch_indices(seed: int, position: int, size: int, length: int) -> list[int]:
    """Numbers of the samples ``position * size`` to ``(position + 1) * size`` of an endless run of shuffled epochs.

    A function of its arguments alone, so that a resumed training has the same batches as an uninterrupted one.
    Every sample occurs once in each epoch of ``length`` samples.
    """
    numbers = range(position * size, (position + 1) * size)
    return [int(_epoch(seed, number // length, length)[number % length]) for number in numbers]


def batch_at(
    dataset: Dataset, seed: int, position: int, size: int, index: int = 0, count: int = 1
) -> dict[str, torch.Tensor]:
    """Batch number ``position`` of a training: the dataset's own choice, or that of :func:`batch_indices`.

    Args:
        dataset: of the training.
        seed, position, size: of the batch.
        index, count: the samples index, index + count, index + 2 count, ... of it; all unless given. A dataset that
            chooses its batches itself returns the whole batch.

    Raises:
        UserError: the batch cannot be divided into ``count`` equal parts.
    """
    rows = slice(index, None, count)
    if isinstance(dataset, Scheduled):
        batch = dataset.batch_at(seed, position, size)
        _require_even(len(next(iter(batch.values()))), count)
        return {name: tensor[rows] for name, tensor in batch.items()}
    _require_even(size, count)
    return dataset.batch(batch_indices(seed, position, size, len(dataset))[rows])


def _require_even(samples: int, count: int) -> None:
    if samples % count:
        raise UserError(
            f"a batch of {samples} samples cannot be divided evenly among {count} processes; change"
            " training.batch_size or the number of processes"
        )


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(length)
