"""The batches of a training, prefetched; of each one the samples of this process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from sketch2video.data.clips.datasets import Dataset, batch_at
from sketch2video.networks.processes import Share
from sketch2video.params import TrainingParams


@contextmanager
def batches(
    dataset: Dataset, settings: TrainingParams, seed: int, start: int, share: Share
) -> Iterator[Iterator[dict[str, torch.Tensor]]]:
    """Batches from step ``start`` on; the next one is read while the current one is processed."""
    size, per_step = settings.batch_size, settings.gradient_accumulation

    def read(position: int) -> dict[str, torch.Tensor]:
        return batch_at(dataset, seed, position, size, share.index, share.count)

    def stream(reader: ThreadPoolExecutor) -> Iterator[dict[str, torch.Tensor]]:
        end = settings.steps * per_step
        upcoming = reader.submit(read, start * per_step)
        for position in range(start * per_step, end):
            batch = upcoming.result()
            if position + 1 < end:
                upcoming = reader.submit(read, position + 1)
            yield batch

    with ThreadPoolExecutor(1) as reader:
        yield stream(reader)
