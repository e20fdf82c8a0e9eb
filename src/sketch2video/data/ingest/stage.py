"""The data stage ``ingest``: a source of captioned videos → clips of T frames of S×S in shards, and their table.

Captioned images are ingested likewise, see :mod:`sketch2video.data.ingest.images`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.code import code_digest
from sketch2video.data.clips.columns import CLIP_COLUMNS
from sketch2video.data.clips.shards import label_columns, named_labels, update_shard, write_table
from sketch2video.data.ingest.build import Rows, digest_of, make_rows, make_shards, write_rejected
from sketch2video.data.ingest.images import ingest_images
from sketch2video.data.sources import sprites
from sketch2video.data.sources.hashable import refuse_unhashable
from sketch2video.data.sources.layouts import read_source
from sketch2video.data.sources.sprite_captions import caption_of, labels_of
from sketch2video.files import sha256_of_value
from sketch2video.media import codec, containers
from sketch2video.params import Params
from sketch2video.scenes import synthetic, two_objects

TABLE = "clips.parquet"


def ingest_all(params: Params, data: Path = Path("data")) -> None:
    """The whole stage: clips and images, each in a folder of its own.

    Raises:
        UserError: see :func:`ingest`; or DVC runs the stage and could not hash the source folder afterwards.
    """
    if "DVC_STAGE" in os.environ:
        refuse_unhashable(params.ingest.folder)
    ingest(params, data / "clips")
    ingest_images(params, data / "images")


def ingest(params: Params, clips: Path = Path("data/clips")) -> None:
    """Make the clips: ``clips.parquet``, ``rejected.csv`` and ``shards/*.safetensors``.

    The shards hold ``frames`` uint8 (N, T, S, S, 3) and ``cuts`` bool (N, T), true where a shot begins after another;
    where there are spatial conditions also ``control`` uint8 (N, T, S, S, 3), frame by frame and pixel by pixel beside
    ``frames``; for the synthetic source also ``outlines`` float32 (N, T, O, 128, 2) and ``masks`` uint8 (N, T, S, S).
    A clip is not made again while its video or sheets and the parameters are unchanged.

    Raises:
        UserError: the source cannot be read, more rows than ``ingest.max_rejected`` cannot be used, or none can.
    """
    # The table must never exist beside shards that it does not describe, even if this process is killed.
    (clips / TABLE).unlink(missing_ok=True)
    make = {"synthetic": _scenes, "sprites": _sprites}.get(params.ingest.source, _videos)
    table = pd.DataFrame(make(params, clips))
    columns = CLIP_COLUMNS | dict.fromkeys(label_columns(table), "str")
    table = table.reindex(columns=list(columns)).astype(columns)
    write_table(table.sort_values("clip_id", ignore_index=True), clips / TABLE)


def _videos(params: Params, clips: Path) -> Rows:
    """Decode the videos of a source."""
    source = read_source(params.ingest)
    settings = {"frames": params.base.frames, "size": params.base.size, "min_frames": params.ingest.min_frames}
    files = {
        row.id: (source.base / row.path, source.base / row.control if row.control else None) for row in source.rows
    }
    return make_rows(_video_shard, source, files, settings, params, clips)


def _video_shard(
    target: Path, videos: Sequence[tuple[str, tuple[Path, Path | None]]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Decode the videos of one shard, id and files of each, as far as they are new; returns the shard's notes."""
    files_of = dict(videos)
    digests_of = {clip_id: [digest_of(path) for path in files if path] for clip_id, files in videos}
    made_of = {
        "settings": settings,
        "code": code_digest(codec),
    }
    keys = {clip_id: sha256_of_value({"files": digests_of[clip_id], **made_of}) for clip_id in files_of}

    def decode(clip_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | str:
        video, control = files_of[clip_id]
        try:
            clip = codec.read_clip(video, **settings)
        except containers.RejectedVideo as error:
            return error.reason
        arrays = {"frames": clip.frames, "cuts": clip.cuts}
        if control:
            try:
                arrays["control"] = codec.read_companion(control, clip)
            except containers.RejectedVideo as error:
                return f"path_to_control {error.reason}"
        facts = {
            "source_frames": clip.source_frames,
            "source_fps": clip.source_fps,
            "fps": clip.fps,
            "source_width": clip.source_width,
            "source_height": clip.source_height,
            "video_sha256": digests_of[clip_id][0],
        }
        return arrays, facts

    return update_shard(target, keys, decode)


def _scenes(params: Params, clips: Path) -> Rows:
    """Render the synthetic source: every combination, the held-out ones for ``test`` and the others for ``train``."""
    section, seed = params.ingest.synthetic, params.ingest.seed
    sides = synthetic.sides(section.held_out_combinations, seed)
    what_of: dict[str, list[synthetic.Combination]] = {}
    split_of: dict[str, str] = {}
    for split, side in sides.items():
        for combination in side:
            for number in range(section.clips_per_combination):
                clip_id = "-".join(
                    [combination.colour, combination.shape, *combination.motion.split(), f"{number:03d}"]
                )
                choice = synthetic.scene_rng(seed, f"{clip_id} and others")
                others = [side[choice.integers(len(side))] for _ in range(section.objects - 1)]
                what_of[clip_id] = [combination, *others]
                split_of[clip_id] = split
    settings = {
        "seed": seed,
        "frames": params.base.frames,
        "size": params.base.size,
        "moving_ground": section.moving_ground,
        "control": section.control,
        # Not for other scenes: with a setting more, all their clips would be made anew.
        **({"in_front": True} if section.in_front else {}),
    }
    rows, _ = make_shards(_scene_shard, what_of, settings, params, clips)
    for row in rows:
        row["split"] = split_of[row["clip_id"]]
    write_rejected([], clips, "video")
    return rows


def _scene_shard(
    target: Path, scenes: Sequence[tuple[str, list[synthetic.Combination]]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Render the scenes of one shard, id and objects each, as far as they are new; returns the shard's notes."""
    what_of = dict(scenes)
    made_of = {"settings": settings, "code": code_digest(synthetic)}
    labelled = {"labels": code_digest(two_objects)}
    keys = {
        clip_id: sha256_of_value(
            {"clip_id": clip_id, "objects": what, **made_of, **(labelled if len(what) == 2 else {})}
        )
        for clip_id, what in what_of.items()
    }

    def render(clip_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        rng, frames, size = synthetic.scene_rng(settings["seed"], clip_id), settings["frames"], settings["size"]
        scene = synthetic.sample_scene(rng, what_of[clip_id], settings["moving_ground"], frames=frames)
        rendered = synthetic.render_scene(scene, size, frames)
        truth, in_front = (rendered.masks, rendered.outlines), settings.get("in_front", False)
        ordered = in_front and two_objects.overlap_visibly(*truth)
        facts = {
            "path_to_video": f"synthetic/{clip_id}",
            "caption": (two_objects.ordered_caption if ordered else synthetic.caption_of)(scene, rng),
            "label": scene.label,
            "source_frames": frames,
            "source_fps": scene.fps,
            "fps": scene.fps,
            "source_width": size,
            "source_height": size,
            "video_sha256": hashlib.sha256(rendered.frames.data).hexdigest(),
            **(scene.combination._asdict() if scene.combination else {}),
            **named_labels(two_objects.labels_of_two(what_of[clip_id], *truth, in_front)),
        }
        arrays = {**rendered._asdict(), "cuts": np.zeros(frames, bool)}
        if settings["control"]:
            arrays["control"] = synthetic.semantic_map(scene, rendered.masks)
        return arrays, facts

    return update_shard(target, keys, render)


def _sprites(params: Params, clips: Path) -> Rows:
    """Compose the characters of Sprites: every one in every action and direction."""
    section, seed = params.ingest.sprites, params.ingest.seed
    sheets = sprites.find_sheets(Path(params.ingest.folder).absolute(), section.sheets)
    clip_of = {clip.id: clip for clip in sprites.clips_of(section, seed)}
    inputs = {}
    for clip_id, clip in clip_of.items():
        worn = [sheets[garment][number] for garment, number in zip(sprites.GARMENTS, clip.character, strict=True)]
        inputs[clip_id] = (worn + sheets["shoes"], clip.action, clip.direction)
    settings = {"frames": params.base.frames, "size": params.base.size}
    rows, _ = make_shards(_sprite_shard, inputs, settings, params, clips)
    for row in rows:
        clip = clip_of[row["clip_id"]]
        row |= {
            "path_to_video": f"sprites/{clip.id}",
            "caption": caption_of(clip, seed),
            "label": f"{clip.action} {clip.direction}",
            "split": clip.split,
            **named_labels(labels_of(clip)),
        }
    write_rejected([], clips, "video")
    return rows


def _sprite_shard(
    target: Path, clips: Sequence[tuple[str, tuple[list[sprites.Sheet], str, str]]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Compose the clips of one shard, id and what :func:`sprites.compose` shows each; returns the shard's notes."""
    input_of = dict(clips)
    made_of = {"settings": settings, "code": code_digest(sprites)}
    keys = {
        clip_id: sha256_of_value({"sheets": [sheet.digest for sheet in sheets], "shown": shown, **made_of})
        for clip_id, (sheets, *shown) in clips
    }

    def compose(clip_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        frames = sprites.compose(*input_of[clip_id], **settings)
        facts = {
            "source_frames": sprites.FRAMES,
            "source_fps": sprites.FPS,
            "fps": round(sprites.FPS * (len(frames) - 1) / (sprites.FRAMES - 1), 3),
            "source_width": sprites.CELL,
            "source_height": sprites.CELL,
            "video_sha256": hashlib.sha256(frames.data).hexdigest(),
        }
        return {"frames": frames, "cuts": np.zeros(len(frames), bool)}, facts

    return update_shard(target, keys, compose)
