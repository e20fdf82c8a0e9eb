"""The data stage ``ingest``: a source of captioned videos → clips of T frames of S×S in shards, and their table."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.errors import UserError
from sketch2video.files import code_digest, replacing, sha256_of_file, sha256_of_value
from sketch2video.params import Params
from sketch2video.videos import codec, cuts, synthetic
from sketch2video.videos.jobs import map_jobs
from sketch2video.videos.shards import shard_of, shard_path, sweep, update_shard, write_table
from sketch2video.videos.sources import Rejection, assign_splits, read_captions

TABLE = "clips.parquet"
REJECTED = "rejected.csv"
COLUMNS = {
    "clip_id": "str",
    "path_to_video": "str",
    "caption": "str",
    "label": "str",
    "split": "str",
    "shard": "int64",
    "row": "int64",
    "source_frames": "int64",
    "source_fps": "float64",
    "fps": "float64",
    "source_width": "int64",
    "source_height": "int64",
    "video_sha256": "str",
    "shape": "str",
    "colour": "str",
    "motion": "str",
}
"""Columns of ``clips.parquet`` and their types; label, shape, colour and motion may be null."""

_REASONS_SHOWN = 3

Rows = list[dict[str, Any]]
"""Rows of the table, a dictionary each."""

logger = logging.getLogger(__name__)


def ingest(params: Params, clips: Path = Path("data/clips")) -> None:
    """Make the clips: ``clips.parquet``, ``rejected.csv`` and ``shards/*.safetensors``.

    The shards hold ``frames`` uint8 (N, T, S, S, 3) and ``cuts`` bool (N, T), true where a shot begins after another;
    for the synthetic source also ``outlines`` float32 (N, T, O, 128, 2) and ``masks`` uint8 (N, T, S, S). A clip that
    is already made of the same video with the same parameters is not made again.

    Raises:
        UserError: the source cannot be read, more rows than ``ingest.max_rejected`` cannot be used, or none can.
    """
    # A table stands only beside the shards that it describes, also if this process is killed half-way.
    (clips / TABLE).unlink(missing_ok=True)
    source = _scenes if params.ingest.source == "synthetic" else _videos
    rows, rejected = source(params, clips)
    _write_rejected(rejected, clips / REJECTED)
    _refuse_too_many(params, len(rows), rejected, clips / REJECTED)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    write_table(table.sort_values("clip_id", ignore_index=True), clips / TABLE)


def scene_rng(seed: int, clip_id: str) -> np.random.Generator:
    """The generator of everything random in one synthetic clip; clips and shards do not depend on each other."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big")])


def _videos(params: Params, clips: Path) -> tuple[Rows, list[Rejection]]:
    """Decode the videos of the folder source."""
    folder = Path(params.ingest.folder).absolute()
    sources, rejected = read_captions(folder, params.ingest.captions)
    base = (folder / params.ingest.captions).parent
    settings = {"frames": params.base.frames, "size": params.base.size, "min_frames": params.ingest.min_frames}
    source_of = {source.clip_id: source for source in sources}
    files = {clip_id: base / source.path_to_video for clip_id, source in source_of.items()}
    rows, reasons = _make_shards(_video_shard, files, settings, params, clips)
    for clip_id, reason in reasons.items():
        source = source_of[clip_id]
        rejected.append(Rejection(source.row, source.path_to_video, source.caption, reason))
    for row in rows:
        source = source_of[row["clip_id"]]
        row |= {"path_to_video": source.path_to_video, "caption": source.caption, "label": source.label}
    named = [source_of[row["clip_id"]].split for row in rows]
    splits = assign_splits([row["video_sha256"] for row in rows], named, params.ingest.test_fraction)
    for row, split in zip(rows, splits, strict=True):
        row["split"] = split
    return rows, rejected


def _video_shard(target: Path, videos: Sequence[tuple[str, Path]], settings: dict[str, Any]) -> dict[str, Any]:
    """Decode the videos of one shard, id and file each, as far as they are new; returns the shard's notes."""
    file_of = dict(videos)
    digest_of = {clip_id: _digest(path) for clip_id, path in videos}
    made_of = {"settings": settings, "code": code_digest(codec, cuts)}
    keys = {clip_id: sha256_of_value({"video": digest_of[clip_id], **made_of}) for clip_id in file_of}

    def decode(clip_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | str:
        try:
            clip = codec.read_clip(file_of[clip_id], **settings)
        except codec.RejectedVideo as error:
            return error.reason
        facts = {
            "source_frames": clip.source_frames,
            "source_fps": clip.source_fps,
            "fps": clip.fps,
            "source_width": clip.source_width,
            "source_height": clip.source_height,
            "video_sha256": digest_of[clip_id],
        }
        return {"frames": clip.frames, "cuts": clip.cuts}, facts

    return update_shard(target, keys, decode)


def _digest(path: Path) -> str | None:
    """Hash of a file's bytes; None if there are none to read."""
    try:
        return sha256_of_file(path)
    except OSError:
        return None


def _scenes(params: Params, clips: Path) -> tuple[Rows, list[Rejection]]:
    """Render the synthetic source: every combination, the held-out ones for ``test`` and the others for ``train``."""
    wanted, seed = params.ingest.synthetic, params.base.seed
    hidden = synthetic.held_out(wanted.held_out_combinations, seed)
    sides = {
        "train": [combination for combination in synthetic.combinations() if combination not in hidden],
        "test": [combination for combination in synthetic.combinations() if combination in hidden],
    }
    what_of: dict[str, list[synthetic.Combination]] = {}
    split_of: dict[str, str] = {}
    for split, side in sides.items():
        for combination in side:
            for number in range(wanted.clips_per_combination):
                clip_id = "-".join(
                    [combination.colour, combination.shape, *combination.motion.split(), f"{number:03d}"]
                )
                choice = scene_rng(seed, f"{clip_id} and others")
                others = [side[choice.integers(len(side))] for _ in range(wanted.objects - 1)]
                what_of[clip_id] = [combination, *others]
                split_of[clip_id] = split
    settings = {
        "seed": seed,
        "frames": params.base.frames,
        "size": params.base.size,
        "moving_ground": wanted.moving_ground,
    }
    rows, _ = _make_shards(_scene_shard, what_of, settings, params, clips)
    for row in rows:
        row["split"] = split_of[row["clip_id"]]
    return rows, []


def _scene_shard(
    target: Path, scenes: Sequence[tuple[str, list[synthetic.Combination]]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Render the scenes of one shard, id and objects each, as far as they are new; returns the shard's notes."""
    what_of = dict(scenes)
    made_of = {"settings": settings, "code": code_digest(synthetic)}
    keys = {
        clip_id: sha256_of_value({"clip_id": clip_id, "objects": what, **made_of}) for clip_id, what in what_of.items()
    }

    def render(clip_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        rng, frames, size = scene_rng(settings["seed"], clip_id), settings["frames"], settings["size"]
        scene = synthetic.sample_scene(rng, what_of[clip_id], settings["moving_ground"], frames=frames)
        rendered = synthetic.render_scene(scene, size, frames)
        facts = {
            "path_to_video": f"synthetic/{clip_id}",
            "caption": synthetic.caption_of(scene, rng),
            "label": scene.label,
            "source_frames": frames,
            "source_fps": scene.fps,
            "fps": scene.fps,
            "source_width": size,
            "source_height": size,
            "video_sha256": hashlib.sha256(rendered.frames.data).hexdigest(),
            **(scene.combination._asdict() if scene.combination else {}),
        }
        return {**rendered._asdict(), "cuts": np.zeros(frames, bool)}, facts

    return update_shard(target, keys, render)


def _make_shards(
    make: Callable[..., dict[str, Any]],
    inputs: Mapping[str, Any],
    settings: dict[str, Any],
    params: Params,
    clips: Path,
) -> tuple[Rows, dict[str, str]]:
    """Spread clips over shards, make these in parallel, and remove those that have no clip any more.

    Args:
        make: called with a shard's path, its clips as pairs (id, input) sorted by id, and ``settings``.
        inputs: what each clip, by id, is made from.
        settings: the same for all.
        params: number of shards and of processes.
        clips: folder of the shards.

    Returns:
        Rows of the table as far as the shards know them, and the reasons of the rejected clips by id.
    """
    members: dict[int, list[tuple[str, Any]]] = {}
    for clip_id in sorted(inputs):
        members.setdefault(shard_of(clip_id, params.ingest.shards), []).append((clip_id, inputs[clip_id]))
    # Absolute paths, since a cluster's workers have other working directories.
    jobs = [(shard_path(clips.absolute(), shard), part, settings) for shard, part in members.items()]
    all_notes = map_jobs(make, jobs, params.base, "ingest")
    sweep(clips, members)
    rows: Rows = []
    reasons: dict[str, str] = {}
    for shard, notes in zip(members, all_notes, strict=True):
        rows += [{**facts, "shard": shard, "row": row} for row, facts in enumerate(notes["clips"])]
        reasons |= notes["rejected"]
    return rows, reasons


def _write_rejected(rejected: list[Rejection], path: Path) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Rejection)])
        writer.writerows(astuple(one) for one in sorted(rejected, key=lambda one: one.row))


def _refuse_too_many(params: Params, accepted: int, rejected: list[Rejection], path: Path) -> None:
    """Raise if too many rows are rejected, or all; mention the others."""
    if not rejected and accepted:
        return
    first = sorted(rejected, key=lambda one: one.row)[:_REASONS_SHOWN]
    reasons = "; ".join(f"line {one.row} ({one.path_to_video}): {one.reason}" for one in first)
    more = f"; and {len(rejected) - len(first)} more" if len(rejected) > len(first) else ""
    summary = (
        f"{len(rejected)} of {len(rejected) + accepted} rows of {params.ingest.captions} are rejected: {reasons}{more}"
    )
    if len(rejected) > params.ingest.max_rejected:
        raise UserError(
            f"{summary}; all are in {path}; mend them or raise ingest.max_rejected ({params.ingest.max_rejected})"
        )
    if not accepted:
        raise UserError(f"{summary}; no clip is left")
    logger.warning("%s; all are in %s", summary, path)
