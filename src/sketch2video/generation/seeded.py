"""Generation of the clips of an evaluation: finished batches are kept on disk, so that it can be resumed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from sketch2video.curves import CurveSequence
from sketch2video.files import replacing
from sketch2video.params import CallParams, Params

Batches = Iterable[tuple[np.ndarray, np.ndarray | None]]
"""Batches of frames uint8 (N, T, S, S, 3) and drawings uint8 (N, T, S, S), or None without drawings."""

CURVES = ("coefficients", "visibility")
"""Arrays of a batch's file with the curves, if the system generates curves."""

Given = Callable[[pd.DataFrame], dict[str, Any]]
"""From rows of clips to further arguments of the pipeline's call, such as curves."""


class ClipSampling(CallParams):
    """Settings of a pipeline's calls; the noise of a clip does not depend on the size of its batch."""

    num_frames: int
    seed: int = Field(description="random seed; together with a clip's id it determines the seed of the clip")

    @classmethod
    def of(cls, params: Params) -> ClipSampling:
        """Settings from ``evaluate`` and ``base`` of the parameters: the same for the report and the gate."""
        return cls(num_frames=params.base.frames, seed=params.base.seed, **CallParams.options(params.evaluate))

    def suiting(self, pipeline: Any) -> ClipSampling:
        """The same, with the pipeline's own guidance if there is none, and its own sampler if it lacks this one.

        The sampler of the parameters is meant for the objective there; a pipeline may have been trained with another.
        """
        samplers = getattr(pipeline, "samplers", ())
        own = {"sampler": samplers[0]} if samplers and self.sampler not in samplers else {}
        return self.completed(pipeline.config.get("sampling", {})).model_copy(update=own)


def row_batches(rows: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Rows in batches of ``size``, the last one smaller."""
    for start in range(0, len(rows), size):
        yield rows.iloc[start : start + size]


class GeneratedClips:
    """Generated clips on disk, in batches.

    Args:
        paths: files of the batches, in order.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """See :data:`Batches`; the drawings are those that condition the frames."""
        for frames, curves in self.with_curves():
            drawings = [sequence.render(*frames.shape[2:4]) for sequence in curves]
            yield frames, np.stack(drawings) if drawings else None

    def with_curves(self) -> Iterator[tuple[np.ndarray, list[CurveSequence]]]:
        """Batches of frames uint8 (N, T, S, S, 3) and the curves that condition them; none without drawings."""
        for path in self.paths:
            with safe_open(path, "np") as file:
                frames = file.get_tensor("frames")
                curves = [file.get_tensor(name) for name in CURVES if name in file.keys()]  # noqa: SIM118, no dictionary
            yield frames, [CurveSequence(*both) for both in zip(*curves, strict=True)]

    def pick(self, numbers: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Frames and drawing of single clips, by their indices in ascending order."""
        clips = (
            (frames[index], None if drawings is None else drawings[index])
            for frames, drawings in self.batches()
            for index in range(len(frames))
        )
        chosen = set(numbers)
        return [clip for number, clip in enumerate(clips) if number in chosen]

    def frames(self, index: int) -> np.ndarray:
        """Frames uint8 (T, S, S, 3) of one clip; no other is read."""
        with safe_open(self.paths[0], "np") as file:
            size = file.get_slice("frames").get_shape()[0]
        with safe_open(self.paths[index // size], "np") as file:
            clip: np.ndarray = file.get_slice("frames")[index % size]
        return clip

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time for each clip by stage, of the call with the median time (first calls are often slow)."""
        calls = [seconds for path in self.paths if (seconds := _finished(path)) is not None]
        return sorted(calls, key=lambda stages: sum(stages.values()))[(len(calls) - 1) // 2]


def clip_seed(seed: int, clip_id: str) -> int:
    """The seed of one clip's noise, independent of all other clips."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{clip_id}".encode()).digest()[:7], "big")


def generate_clips(
    pipeline: Any, rows: pd.DataFrame, sampling: ClipSampling, folder: Path, name: str, given: Given | None = None
) -> GeneratedClips:
    """Generate a clip for every row's caption; batches that exist in ``folder`` are kept.

    Args:
        pipeline: pipeline of any system.
        rows: rows with ``clip_id``, ``caption`` and ``fps``, and the columns that ``given`` reads.
        sampling: settings of the calls.
        folder: folder of the batches; its name identifies all their inputs.
        name: name of the files and of the progress bar.
        given: further arguments for a batch of rows; None: the pipeline receives captions alone.
    """
    paths = []
    with tqdm(total=len(rows), desc=f"generate ({name})", unit="clip") as bar:
        for number, batch in enumerate(row_batches(rows, sampling.batch_size)):
            paths.append(folder / f"{name}-{number * sampling.batch_size:05d}.safetensors")
            if _finished(paths[-1]) is None:
                _generate(pipeline, batch, sampling, given(batch) if given else {}, paths[-1])
            bar.update(len(batch))
    return GeneratedClips(paths)


def _generate(pipeline: Any, rows: pd.DataFrame, sampling: ClipSampling, given: dict[str, Any], path: Path) -> None:
    settings = pipeline.call_arguments(sampling)
    begin = time.perf_counter()
    out = pipeline(
        rows["caption"].tolist(),
        num_frames=sampling.num_frames,
        fps=[float(fps) for fps in rows["fps"]],
        **settings,
        generator=[torch.Generator().manual_seed(clip_seed(sampling.seed, clip_id)) for clip_id in rows["clip_id"]],
        output_type="np",
        **given,
    )
    total = time.perf_counter() - begin
    stages = dict(pipeline.timings.seconds) if hasattr(pipeline, "timings") else {}
    stages["other"] = total - sum(stages.values())
    arrays = {
        # In C order: safetensors writes an array's memory as is, and a pipeline may return transposed axes.
        "frames": np.ascontiguousarray((np.asarray(out.frames) * 255).round().clip(0, 255).astype(np.uint8))
    }
    if out.curves is not None:
        for name in CURVES:
            arrays[name] = np.stack([getattr(sequence, name) for sequence in out.curves])
    with replacing(path) as partial:
        seconds = {stage: value / len(rows) for stage, value in stages.items()}
        save_file(arrays, partial, metadata={"seconds": json.dumps(seconds)})


def _finished(path: Path) -> dict[str, float] | None:
    """Seconds for each clip by stage of a finished batch; None if it does not exist or is damaged."""
    try:
        with safe_open(path, "np") as file:
            return dict(json.loads(file.metadata()["seconds"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
