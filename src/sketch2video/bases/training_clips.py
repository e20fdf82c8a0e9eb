"""The clips that a base is trained on: those of ingest, or parts of the videos in their own shape, by bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.bases.buckets import Bucket, best_bucket
from sketch2video.controls import Control
from sketch2video.curves import fit_curves
from sketch2video.data.clips.derive import Arrays
from sketch2video.data.clips.shards import ShardReader, array_shape, digests, read_table, shard_path
from sketch2video.data.sources.layouts import read_source
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.framing import shown_part
from sketch2video.media.seeking import FrameReader
from sketch2video.params import Params
from sketch2video.sketches import draw_lines, made_by
from sketch2video.trainer_data.frame_choice import Length, TooShort, choose_frames

Row = dict[str, Any]


@dataclass(frozen=True)
class TrainingClip:
    """A clip that will be encoded.

    Attributes:
        clip_id: unique.
        about: caption, split and fps, and the note of what was cut off ("" if nothing was).
        bucket: its size and length.
        shard: number of the shard that it is stored in.
        made_of: hash of all that it is read from.
        read: its ``frames`` uint8 (T, H, W, 3), and the arrays of the control.
    """

    clip_id: str
    about: Row
    bucket: Bucket
    shard: int
    made_of: Callable[[], str]
    read: Callable[[], Arrays]


def clips_of_ingest(bucket: Bucket, control: Control, clips: Path, curves: Path) -> list[TrainingClip]:
    """The ingested clips; of each the first frames, if it has more than the bucket.

    Args:
        bucket: of the size of the clips, and at most their length.
        control: whose arrays they have.
        clips, curves: folders of the data stages.

    Raises:
        UserError: a folder is missing or damaged.
    """
    rows = read_table(control.table(clips, curves)).sort_values(["shard", "row"]).to_dict("records")
    readers = {name: ShardReader(folder) for name, folder in control.arrays(clips, curves).items()}
    readers |= {"frames": ShardReader(clips)}
    found = []
    for row in rows:
        shard = int(row["shard"])
        _, total, *_ = array_shape(shard_path(clips, shard), "frames") or (0, bucket.frames)
        note = "" if total == bucket.frames else f"cut: the first {bucket.frames} of {total} frames are used"
        read = partial(_read_stored, readers, shard, int(row["row"]), bucket.frames)
        about = _about(row, float(row["fps"]), note)
        found.append(TrainingClip(str(row["clip_id"]), about, bucket, shard, partial(_digest, read), read))
    return found


def _digest(read: Callable[[], Arrays]) -> str:
    return sha256_of_value(digests(read()))


def _read_stored(readers: dict[str, ShardReader], shard: int, row: int, frames: int) -> Arrays:
    return {name: reader(name, shard, row)[:frames] for name, reader in readers.items()}


def _about(row: Mapping[Any, Any], fps: float, note: str) -> Row:
    return {"caption": row["caption"], "split": row["split"], "fps": fps, "cut": note}


def clips_of_videos(
    buckets: Sequence[Bucket], params: Params, control: Control, clips: Path
) -> tuple[list[TrainingClip], list[Row]]:
    """Parts of the videos of the source, with drawings of their own, by bucket.

    Args:
        buckets: at least one.
        params: all parameters; ``ingest``, ``sketch``, ``fit`` and ``adapted_video`` are read.
        control: one that reads frames or curves.
        clips: folder of ingest, whose rows are used.

    Returns:
        The clips, and a row with ``clip_id``, ``path_to_video``, ``caption`` and ``reason`` for each video that is left
        out.

    Raises:
        UserError: there are no video files, or the control reads other arrays.
    """
    known = {"frames", "coefficients", "visibility"}
    if unknown := sorted(control.arrays(clips, clips).keys() - known):
        raise UserError(
            f"adapted_video.buckets: the control {control.name} reads {', '.join(unknown)}, which videos in their own"
            " shape do not have; set it to []"
        )
    if params.ingest.source in ("synthetic", "sprites"):
        raise UserError(f"adapted_video.buckets: ingest.source {params.ingest.source} has no videos; set it to []")
    base, settings = read_source(params.ingest).base, params.adapted_video
    found: list[TrainingClip] = []
    left_out: list[Row] = []
    for row in read_table(clips / "clips.parquet").sort_values(["shard", "row"]).to_dict("records"):
        video = base / str(row["path_to_video"])
        try:
            with FrameReader(video) as reader:
                seconds = reader.index.seconds
            span = float(seconds[-1] - seconds[0])
            bucket = best_bucket(buckets, row["source_width"], row["source_height"], span, settings.fps)
            choices = choose_frames(seconds, Length(bucket.frames, settings.fps), settings.cut)
        except (RejectedVideo, TooShort) as error:
            reason = error.reason if isinstance(error, RejectedVideo) else str(error)
            names = ("clip_id", "path_to_video", "caption")
            left_out.append({**{name: row[name] for name in names}, "reason": f"dropped: {reason}"})
            continue
        for number, choice in enumerate(choices):
            name = row["clip_id"] if len(choices) == 1 else f"{row['clip_id']}-{number:03d}"
            shown = float(seconds[choice[-1]] - seconds[choice[0]])
            fps = settings.fps if settings.cut != "whole" else (len(choice) - 1) / max(shown, 1e-6)
            note = "" if span - shown < 0.5 / settings.fps else f"cut: {shown:.2f} of {span:.2f} s are used"
            key = {"video": row["video_sha256"], "frames": choice.tolist(), "bucket": asdict(bucket)}
            made_of = {**key, "sketch": made_by(params.sketch), "fit": params.fit.tracking()}
            read = partial(_read_video, video, bucket, choice, params)
            about, shard = _about(row, fps, note), int(row["shard"])
            found.append(TrainingClip(name, about, bucket, shard, partial(sha256_of_value, made_of), read))
    return found, left_out


def _read_video(video: Path, bucket: Bucket, choice: np.ndarray, params: Params) -> Arrays:
    with FrameReader(video) as reader:
        frames = reader.frames(
            choice.tolist(), lambda frame, aspect: shown_part(frame, aspect, bucket.width, bucket.height)
        )
    curves = fit_curves(draw_lines(frames, params.sketch), **params.fit.tracking())
    return {"frames": frames, "coefficients": curves.coefficients, "visibility": curves.visibility}


def report_rows(clips: Sequence[TrainingClip], left_out: Sequence[Row]) -> pd.DataFrame:
    """A row for each clip that is dropped or cut, with the reason."""
    cut = [
        {"clip_id": clip.clip_id, "caption": clip.about["caption"], "reason": clip.about["cut"]}
        for clip in clips
        if clip.about["cut"]
    ]
    names = ["clip_id", "path_to_video", "caption", "reason"]
    return pd.DataFrame([*left_out, *cut], columns=names).sort_values("clip_id", ignore_index=True)
