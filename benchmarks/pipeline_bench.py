"""Held-out clips, and how a pipeline makes them again: what benchmarks of sampling settings share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.evaluation.evaluate import Data, evaluated_rows, ways_to_generate
from sketch2video.generation.seeded import ClipSampling, GeneratedClips, Given, generate_clips
from sketch2video.judges.shipped import judge_path, load_judge
from sketch2video.judges.verdict import Verdict, judge_clips


class PipelineBench:
    """Held-out clips with the judge's verdict on them.

    Args:
        data: folders of the outputs of the data stages.
        number: number of clips.

    Attributes:
        rows: the N clips.
        split: the split that they are of.
        judge: the judge of videos.
        size: side of the frames, px.
        real: the judge's verdict on the real clips.
    """

    def __init__(self, data: Data, number: int) -> None:
        self.data = data
        self.rows, self.split = evaluated_rows(read_table(data.clips / "clips.parquet"), number)
        self.judge = load_judge("video")
        frames = self.real_frames()
        self.size, self.real = frames.shape[2], judge_clips(self.judge, frames)

    @property
    def protocol(self) -> dict[str, Any]:
        """What everything is measured on, and by which judge."""
        return {"clips": len(self.rows), "split": self.split, "video_judge": judge_path("video").name}

    def real_frames(self) -> np.ndarray:
        """The frames of the real clips: uint8 (N, T, S, S, 3)."""
        frames: np.ndarray = ShardReader(self.data.clips).batch("frames", self.rows)
        return frames

    def way(self, pipeline: Any) -> tuple[str, Given | None]:
        """How the clips are generated: with the pictures of the real ones where the system can be given them."""
        return list(ways_to_generate(pipeline.control, self.data, self.size).items())[-1]

    @contextmanager
    def generated(self, pipeline: Any, sampling: ClipSampling) -> Iterator[GeneratedClips]:
        """The clips as a pipeline makes them now; they are removed at the end of the block."""
        way, given = self.way(pipeline)
        with TemporaryDirectory() as folder:
            yield generate_clips(pipeline, self.rows, sampling, Path(folder), f"{way}, {sampling.sampler}", given)

    def judged(self, clips: GeneratedClips) -> Verdict:
        """The judge's verdict on generated clips."""
        return Verdict.concatenate([judge_clips(self.judge, frames) for frames, _ in clips.with_curves()])
