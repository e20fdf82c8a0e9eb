"""One captioned video → clips and control videos of a trainer's size, as files; finished ones are kept."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from sketch2video.data.ingest.build import digest_of
from sketch2video.errors import UserError
from sketch2video.files import read_json, sha256_of_value, write_json
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.cuts import CutFinder
from sketch2video.media.framing import shown_part
from sketch2video.media.seeking import FrameReader
from sketch2video.media.writing import write_video
from sketch2video.params import SketchParams
from sketch2video.sketches import draw_lines
from sketch2video.trainer_data.frame_choice import Length, TooShort, choose_frames

VIDEOS, CONTROLS = "videos", "control"
"""Folders of a data set. No names of splits: loaders guess a split from them."""

RECORDS = ".sketch2video/clips"
"""Folder of the records, a JSON file for each source video: key, and facts about its clips."""

LINES = {"white-on-black": False, "black-on-white": True}
"""Colours of control videos, and whether they are inverted: sketches are white ink on black."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,120}")


@dataclass(frozen=True)
class Settings:
    """How clips are made.

    Attributes:
        width, height: px.
        length: frames and frame rate.
        cut: a key of :data:`~sketch2video.trainer_data.frame_choice.CUTS`.
        lines: a key of ``LINES``.
    """

    width: int
    height: int
    length: Length
    cut: str
    lines: str


@dataclass(frozen=True)
class Work:
    """What all videos of a data set have in common.

    Attributes:
        folder: of the data set, absolute.
        settings: how clips are made.
        sketch: how lines are drawn.
        model: folder of the network of the learned extractor, absolute.
        made_by: what clips depend on besides video and settings, JSON-able: extractor and code.
    """

    folder: Path
    settings: Settings
    sketch: SketchParams
    model: Path
    made_by: dict[str, Any]


def make_clips(work: Work, name: str, video: Path) -> dict[str, Any]:
    """Make the clips of one video, unless they are there and made of the same video, settings and code.

    Args:
        work: folder and settings.
        name: of the video in the data set, safe as a file name.
        video: the file.

    Returns:
        ``clips``: facts about each clip. ``kept``: whether they were there. Or ``rejected``: the reason why the video
        cannot be used; the data set then has no file of it.

    Raises:
        UserError: a file cannot be written.
        ValueError: the name is not safe.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of a clip")
    record = record_path(work.folder, name)
    key = sha256_of_value({"video": digest_of(video), "settings": asdict(work.settings), **work.made_by})
    found = read_record(record)
    if found and found["key"] == key and all(_is_there(work.folder, clip) for clip in found["clips"]):
        return {"clips": found["clips"], "kept": True}
    # Without its record, a video whose clips are replaced in part is made again.
    remove_clips(work.folder, name)
    try:
        clips = _make(work, name, video)
    except (RejectedVideo, TooShort) as error:
        remove_clips(work.folder, name)
        return {"rejected": error.reason if isinstance(error, RejectedVideo) else str(error)}
    write_json(record, {"key": key, "clips": clips})
    return {"clips": clips, "kept": False}


def record_path(folder: Path, name: str) -> Path:
    """Path of the record of a video."""
    return folder / RECORDS / f"{name}.json"


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a video; None if there is none, or a damaged one."""
    with suppress(UserError, KeyError, TypeError):
        record = read_json(path)
        if isinstance(record["key"], str) and all(_NAME.fullmatch(clip["name"]) for clip in record["clips"]):
            return dict(record)
    return None


def remove_clips(folder: Path, name: str) -> None:
    """Remove a video's record, then its clips; other files of the folder stay."""
    record_path(folder, name).unlink(missing_ok=True)
    for part in (VIDEOS, CONTROLS):
        for path in (folder / part).glob(f"{name}*.mp4"):
            if re.fullmatch(rf"{re.escape(name)}(-\d{{3,6}})?", path.stem):
                path.unlink(missing_ok=True)


def _is_there(folder: Path, clip: dict[str, Any]) -> bool:
    sizes = []
    for part in (VIDEOS, CONTROLS):
        path = folder / part / f"{clip['name']}.mp4"
        sizes.append(path.stat().st_size if path.is_file() else -1)
    return sizes == clip["bytes"]


def _make(work: Work, name: str, video: Path) -> list[dict[str, Any]]:
    settings, clips = work.settings, []
    with FrameReader(video) as reader:
        choices = choose_frames(reader.index.seconds, settings.length, settings.cut)
        first = reader.frames([0])[0]
        enlarged = first.shape[0] < settings.height or first.shape[1] < settings.width
        for number, choice in enumerate(choices):
            frames = reader.frames(
                choice.tolist(), lambda frame, aspect: shown_part(frame, aspect, settings.width, settings.height)
            )
            ink = draw_lines(frames, work.sketch, work.model)
            if not ink.any():
                raise RejectedVideo(video, "shows no lines: its control video would be empty")
            clip = name if len(choices) == 1 else f"{name}-{number:03d}"
            facts = {
                "name": clip,
                "begin": round(float(reader.index.seconds[choice[0]]), 3),
                "repeated": int((np.diff(choice) == 0).sum()),
                "enlarged": enlarged,
                "hard_cuts": _hard_cuts(frames),
                "ink": round(float((ink > 127).mean()), 5),
            }
            clips.append(facts | {"bytes": _write(work, clip, frames, ink)})
    return clips


def _write(work: Work, clip: str, frames: np.ndarray, ink: np.ndarray) -> list[int]:
    """Write a clip and its control video; returns the sizes of the files."""
    fps, sizes = work.settings.length.fps, []
    drawn = 255 - ink if LINES[work.settings.lines] else ink
    for part, pictures in ((VIDEOS, frames), (CONTROLS, np.broadcast_to(drawn[..., None], frames.shape))):
        path = work.folder / part / f"{clip}.mp4"
        write_video(path, pictures, fps)
        sizes.append(path.stat().st_size)
    return sizes


def _hard_cuts(frames: np.ndarray) -> int:
    starts_shot = CutFinder()
    return sum(starts_shot(av.VideoFrame.from_ndarray(np.ascontiguousarray(f), format="rgb24")) for f in frames)
