"""Dataset of captioned videos that decodes frames on the fly, and little more than the requested ones.

Usage::

    tokenizer = AutoTokenizer.from_pretrained("openai/clip-vit-base-patch32")
    videos = CaptionedVideos("videos/captions.csv", tokenizer, frames=8, size=64, draws=100)
    for batch in DataLoader(videos, batch_size=16, shuffle=True, num_workers=4, collate_fn=videos.collate):
        batch["frames"]  # uint8 (16, 8, 64, 64, 3)
        batch["tokens"], batch["mask"]  # int64 and bool (16, L)

The frames of a sample are a function of the seed and the sample's number alone, independent of the worker and of
earlier samples. So :func:`batches`, which prefetches in a thread, and the training loop, to which this is a
:class:`~sketch2video.data.clips.datasets.Dataset` like others, resume exactly after an interruption.
"""

from __future__ import annotations

import gc
import os
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from sketch2video.data.clips.datasets import Dataset, batch_indices
from sketch2video.data.sources.captions import read_captions
from sketch2video.errors import UserError
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.seeking import FrameIndex, FrameReader
from sketch2video.media.shown import shown_square
from sketch2video.text.encoder import tokenise

OPEN_FILES = 16
"""Number of videos that are kept open, the most recently used ones."""


class Sample(NamedTuple):
    """Some frames of one video.

    Attributes:
        frames: uint8 (T, S, S, 3) RGB.
        numbers: int64 (T,), indices of the frames in the video, ascending.
        seconds: float32 (T,), timestamps of the frames.
        clip: index of the row in ``CaptionedVideos.clips``.
        caption: of the row.
    """

    frames: np.ndarray
    numbers: np.ndarray
    seconds: np.ndarray
    clip: int
    caption: str


class CaptionedVideos(torch.utils.data.Dataset[Sample]):
    """N frames of each video of a CSV, drawn at random.

    Sample ``n`` is draw ``n // C`` of clip ``n % C`` of the C clips, so an epoch has ``draws`` samples of each. For one
    thread at a time; worker processes open the files themselves.

    Args:
        captions: a CSV as :func:`~sketch2video.data.sources.captions.read_captions` reads it; paths are relative to it.
        tokenizer: for the captions.
        frames: T, at least 1.
        size: S, pixels; the middle square of a frame is resized to it as ``ingest`` does.
        stride: None for T different frames at random, in temporal order; else a random run of every ``stride``-th
            frame.
        draws: samples of each clip in an epoch.
        seed: of the random choice of frames.

    Attributes:
        clips: the usable rows.
        rejected: the rows that are skipped, with the reasons.

    Raises:
        UserError: the CSV cannot be read or has no usable row.
        RejectedVideo: when a sample is taken: its video is missing, damaged or too short. The error names the file.
    """

    def __init__(
        self,
        captions: Path | str,
        tokenizer: PreTrainedTokenizerBase,
        *,
        frames: int,
        size: int,
        stride: int | None = None,
        draws: int = 1,
        seed: int = 0,
    ) -> None:
        if min(frames, size, 1 if stride is None else stride, draws) < 1:
            raise ValueError("frames, size, stride and draws are at least 1")
        captions = Path(captions)
        self.folder = captions.parent
        source = read_captions(captions.parent, captions.name)
        self.clips, self.rejected = source.rows, source.rejected
        if not self.clips:
            first = self.rejected[0]
            raise UserError(f"{captions} has no usable row (line {first.row}: {first.reason}); fix the rows")
        self.frames, self.size, self.stride = frames, size, stride
        self.draws, self.seed = draws, seed
        # All captions at once, before workers start: a tokenizer that has used its threads may hang in a forked worker.
        self._tokens, self._mask = tokenise(tokenizer, [clip.caption for clip in self.clips])
        self._readers = _Readers()

    def __len__(self) -> int:
        return self.draws * len(self.clips)

    def __getitem__(self, number: int) -> Sample:
        if not 0 <= number < len(self):
            raise IndexError(f"samples are numbered 0 to {len(self) - 1}, not {number}")
        draw, index = divmod(number, len(self.clips))
        clip = self.clips[index]
        reader = self._readers(self.folder / clip.path)
        numbers = self._draw(np.random.default_rng([self.seed, index, draw]), reader)
        return Sample(
            frames=reader.frames(numbers.tolist(), partial(shown_square, size=self.size)),
            numbers=numbers,
            seconds=reader.index.seconds[numbers].astype(np.float32),
            clip=index,
            caption=clip.caption,
        )

    def _draw(self, rng: np.random.Generator, reader: FrameReader) -> np.ndarray:
        span = self.frames if self.stride is None else (self.frames - 1) * self.stride + 1
        if len(reader) < span:
            raise RejectedVideo(reader.path, f"is too short: {len(reader)} frames, at least {span} are needed")
        if self.stride is None:
            return np.sort(rng.choice(len(reader), self.frames, replace=False))
        return rng.integers(len(reader) - span + 1) + self.stride * np.arange(self.frames)

    def collate(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Samples as a batch, with an axis of N in front; captions are padded to the longest of them.

        Returns:
            ``frames``, ``numbers`` and ``seconds`` as in :class:`Sample`; ``index``: int64 (N,), the clips' indices;
            ``tokens``: int64 (N, L); ``mask``: bool (N, L), True at the tokens of the caption.
        """
        clips = torch.tensor([sample.clip for sample in samples])
        longest = int(self._mask[clips].sum(1).max())
        return {
            **{
                name: torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))
                for name in ("frames", "numbers", "seconds")
            },
            "index": clips,
            "tokens": self._tokens[clips, :longest],
            "mask": self._mask[clips, :longest],
        }

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """See :class:`~sketch2video.data.clips.datasets.Dataset`."""
        return self.collate([self[number] for number in indices])


def batches(
    dataset: Dataset, size: int, seed: int, start: int = 0, ahead: int = 2
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of shuffled epochs from batch number ``start`` on; a thread reads ``ahead`` of them in advance.

    Each is a function of the dataset, ``size``, ``seed`` and its number alone.
    """

    def read(position: int) -> dict[str, torch.Tensor]:
        return dataset.batch(batch_indices(seed, position, size, len(dataset)))

    with ThreadPoolExecutor(1) as reader:
        upcoming = deque(reader.submit(read, position) for position in range(start, start + ahead))
        try:
            for position in count(start + ahead):
                upcoming.append(reader.submit(read, position))
                yield upcoming.popleft().result()
        finally:
            reader.shutdown(cancel_futures=True)


class _Readers:
    """Open videos by path: the most recently used ones, and the frame indices of all, which are small."""

    def __init__(self) -> None:
        self._indices: dict[Path, FrameIndex] = {}
        self._open: OrderedDict[Path, FrameReader] = OrderedDict()
        self._inherited: OrderedDict[Path, FrameReader] = OrderedDict()
        self._process = os.getpid()

    def __call__(self, path: Path) -> FrameReader:
        if self._process != os.getpid():  # a forked worker: its parent reads from the same open files
            # They are kept, and those of deleted objects are, too: closing them here would wait for threads that only
            # the parent has.
            gc.freeze()
            self._inherited, self._open, self._process = self._open, OrderedDict(), os.getpid()
        if path not in self._open:
            self._open[path] = FrameReader(path, self._indices.get(path))
            self._indices[path] = self._open[path].index
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Readers, ()  # worker processes started anew open the files themselves
