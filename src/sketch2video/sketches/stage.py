"""The data stage ``sketch``: clips → line drawings, shard by shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value
from sketch2video.params import Params, SketchParams
from sketch2video.sketches.classical import extract_sketches
from sketch2video.videos.shards import (
    clip_ids_of,
    map_jobs,
    read_shard,
    read_table,
    shard_key,
    shard_path,
    sweep,
    write_shard,
    write_table,
)

VERSION = 1
"""Raised whenever the same clips and parameters would give another drawing."""


def sketch(params: Params, clips: Path = Path("data/clips"), sketches: Path = Path("data/sketches")) -> None:
    """Draw every clip: ``sketches/shards/*.safetensors`` with ``ink`` uint8 (N, T, S, S), and ``sketches.parquet``.

    A shard whose clips and parameters are unchanged is left alone.

    Raises:
        UserError: the clips are missing or damaged.
    """
    shards = sorted(int(shard) for shard in read_table(clips / "clips.parquet")["shard"].unique())
    sweep(sketches, shards)
    jobs = [(shard_path(clips, shard), shard_path(sketches, shard), params.sketch) for shard in shards]
    tables = map_jobs(sketch_shard, jobs, params.base.workers, "sketch")
    table = pd.concat(tables) if tables else pd.DataFrame({"clip_id": [], "ink_coverage": []})
    write_table(table.sort_values("clip_id", ignore_index=True), sketches / "sketches.parquet")


def sketch_shard(source: Path, target: Path, params: SketchParams) -> pd.DataFrame:
    """Draw the clips of one shard, unless that is done; returns their rows of ``sketches.parquet``."""
    made_of = shard_key(source)
    if made_of is None:
        raise UserError(f"{source} is missing or damaged; run `dvc repro` to make it")
    key = sha256_of_value({"clips": made_of, "params": params.model_dump(), "version": VERSION})
    clip_ids = clip_ids_of(source)
    if shard_key(target) == key:
        ink = read_shard(target)["ink"]
    else:
        frames = read_shard(source)["frames"]
        ink = np.empty(frames.shape[:-1], np.uint8)
        for drawn, clip in zip(ink, frames, strict=True):
            drawn[:] = extract_sketches(
                clip, smoothing=params.smoothing, contrast=params.contrast, min_length=params.min_length
            )
        write_shard(target, {"ink": ink}, clip_ids, key)
    return pd.DataFrame({"clip_id": clip_ids, "ink_coverage": (ink > 127).mean((1, 2, 3))})
