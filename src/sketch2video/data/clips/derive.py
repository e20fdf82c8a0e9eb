"""Derivation of one folder of shards from another, clip by clip, for the data stages after ``ingest``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.data.clips.jobs import map_jobs
from sketch2video.data.clips.shards import (
    ShardReader,
    clip_ids_of,
    digests,
    read_table,
    shard_key,
    shard_path,
    sweep,
    update_shard,
)
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value
from sketch2video.params import BaseParams

Arrays = dict[str, np.ndarray]

Make = Callable[[Arrays, dict[str, Any]], tuple[Arrays, dict[str, Any]]]
"""Maps arrays of one clip, by name, and the stage's settings to new arrays of the clip and facts about it."""


def shards_of(clips: Path) -> list[int]:
    """The numbers of the shards that ``clips/clips.parquet`` names, in order."""
    return sorted(int(shard) for shard in read_table(clips / "clips.parquet")["shard"].unique())


def derive_shards(
    make: Make,
    names: tuple[str, ...],
    source: Path,
    target: Path,
    shards: list[int],
    settings: dict[str, Any],
    code: str,
    where: BaseParams | None,
    description: str,
) -> pd.DataFrame:
    """Make the shards of ``target`` from arrays of those of ``source``.

    A clip is not made again while its input, settings and code are unchanged, independent of other clips.

    Args:
        make: of an importable module, if processes of their own call it.
        names: of the arrays that ``make`` gets.
        source: folder of shards.
        target: folder of shards; those that are not in ``shards`` are removed.
        shards: numbers of the shards.
        settings: the same for all clips.
        code: digest of the code that ``make`` runs.
        where: where the work is done, see :func:`~sketch2video.data.clips.jobs.map_jobs`.
        description: of the progress bar.

    Returns:
        The facts of every clip and its ``clip_id``.

    Raises:
        UserError: a shard of ``source`` is missing or damaged.
    """
    sweep(target, shards)
    source, target = source.absolute(), target.absolute()  # a cluster's workers have other working directories
    jobs = [(make, names, source, target, shard, settings, code) for shard in shards]
    facts = [row for rows in map_jobs(_derive_shard, jobs, where, description) for row in rows]
    return pd.DataFrame(facts, columns=None if facts else ["clip_id"])


def _derive_shard(
    make: Make, names: tuple[str, ...], source: Path, target: Path, shard: int, settings: dict[str, Any], code: str
) -> list[dict[str, Any]]:
    path = shard_path(source, shard)
    if shard_key(path) is None:
        raise UserError(f"{path} is missing or damaged; run `dvc repro` to make it")
    row_of = {clip_id: row for row, clip_id in enumerate(clip_ids_of(path))}
    reader = ShardReader(source)

    def read(clip_id: str) -> Arrays:
        return {name: reader(name, shard, row_of[clip_id]) for name in names}

    keys = {
        clip_id: sha256_of_value({"input": digests(read(clip_id)), "settings": settings, "code": code})
        for clip_id in row_of
    }
    notes = update_shard(shard_path(target, shard), keys, lambda clip_id: make(read(clip_id), settings))
    rows: list[dict[str, Any]] = notes["clips"]
    return rows
