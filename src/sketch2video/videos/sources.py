"""The folder source: a CSV of captioned videos, checked row by row before any video is opened."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sketch2video.errors import UserError

COLUMNS = ("path_to_video", "caption")
OPTIONAL_COLUMNS = ("label", "split")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class SourceClip:
    """A usable row of the CSV.

    Attributes:
        row: its line in the file, counted from 1.
        path_to_video: as given, in its shortest form; relative to the CSV's folder.
        caption: white space collapsed, not empty.
        label: None if there is none.
        split: None if the row leaves it open.
    """

    row: int
    path_to_video: str
    caption: str
    label: str | None
    split: str | None

    @property
    def clip_id(self) -> str:
        """Name of the clip, safe as a file name; the same for the same path and caption."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(self.path_to_video).stem).strip("-")[:64]
        digest = hashlib.sha256(f"{self.path_to_video}\0{self.caption}".encode()).hexdigest()
        return f"{stem or 'clip'}-{digest[:10]}"


@dataclass(frozen=True)
class Rejection:
    """A row that is left out, and why."""

    row: int
    path_to_video: str
    caption: str
    reason: str


def read_captions(folder: Path | str, captions: str) -> tuple[list[SourceClip], list[Rejection]]:
    """Read a CSV with the columns ``path_to_video,caption`` and, if present, ``label`` and ``split``.

    Paths are relative to the CSV. Rows that name a path outside of ``folder``, have no caption, name an unknown split,
    repeat a row or put a video into a second split are rejected; the rest goes on.

    Args:
        folder: the source folder.
        captions: the CSV's path in that folder; UTF-8, with or without a byte order mark.

    Raises:
        UserError: the CSV is missing, is not UTF-8, is not a CSV, lacks a column or has no rows.
    """
    root = Path(folder).resolve()
    table = root / captions
    if not table.resolve().is_relative_to(root):
        raise UserError(f"ingest.captions: {captions} is outside of ingest.folder ({folder}); move it there")
    clips: list[SourceClip] = []
    rejected: list[Rejection] = []
    seen: dict[tuple[str, str], int] = {}
    split_of: dict[str, tuple[str, int]] = {}
    for row, values in _rows(table):
        path = values["path_to_video"]
        caption = " ".join(values["caption"].split())
        clip = SourceClip(row, _shortest(path), caption, values["label"] or None, values["split"] or None)
        video = clip.path_to_video
        reason = None
        if not path:
            reason = "path_to_video is empty"
        elif not _is_inside(root, table.parent, path):
            reason = "path_to_video leads out of the source folder"
        elif not caption:
            reason = "caption is empty"
        elif clip.split not in (None, *SPLITS):
            reason = f"split {clip.split!r} is unknown; it is {' or '.join(SPLITS)}"
        elif (video, caption) in seen:
            reason = f"repeats line {seen[video, caption]}"
        elif clip.split and split_of.get(video, (clip.split,))[0] != clip.split:
            reason = f"the video is in split {split_of[video][0]} already, by line {split_of[video][1]}"
        if reason:
            rejected.append(Rejection(row, path, caption, reason))
            continue
        seen[video, caption] = row
        if clip.split:
            split_of.setdefault(video, (clip.split, row))
        clips.append(clip)
    if not clips and not rejected:
        raise UserError(f"{table} has no rows; name at least one video in it")
    return clips, rejected


def assign_splits(videos: Sequence[str], named: Sequence[str | None], test_fraction: float) -> list[str]:
    """The split of every clip: the one that its row names, else by a hash of its video.

    All clips of a video share a split, also where a copy of it goes by another name; and an added video leaves the
    splits of the others as they were. The one exception are data so small that a split would be empty: then the video
    nearest to it by hash goes there, if there is one whose split no row names. A lone video is for training.

    Args:
        videos: what identifies each clip's video: the hash of its content.
        named: each clip's split as its row names it, or None.
        test_fraction: share, in (0, 1), of the videos without a named split that goes to ``test``.
    """
    name_of: dict[str, str | None] = {}
    for video, name in zip(videos, named, strict=True):
        name_of[video] = name_of.get(video) or name
    place = {video: _uniform(video) for video in name_of}
    split_of = {video: name or ("test" if place[video] < test_fraction else "train") for video, name in name_of.items()}
    free = sorted((video for video, name in name_of.items() if name is None), key=lambda video: place[video])
    if free and "train" not in split_of.values():
        split_of[free[-1]] = "train"
    if free and "test" not in split_of.values() and len(split_of) >= 2:
        split_of[free[0]] = "test"
    return [name or split_of[video] for video, name in zip(videos, named, strict=True)]


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the stripped values of every row that is not blank; columns that lack are empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise UserError(
                    f"{table} has no column {', '.join(missing)}; its first line must name {','.join(COLUMNS)}"
                )
            line = reader.line_num + 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
                    yield line, {name: values.get(name, "") for name in (*COLUMNS, *OPTIONAL_COLUMNS)}
                line = reader.line_num + 1
    except OSError as error:
        raise UserError(f"{table} cannot be read ({error.strerror}); name folder and CSV in ingest.*") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{table} is not a CSV ({error}); mend it near line {line}") from error


def _shortest(path: str) -> str:
    """A path without `.` and doubled slashes; `..` stays, since what it means depends on links."""
    return str(PurePosixPath(path)) if path else ""


def _is_inside(root: Path, base: Path, path: str) -> bool:
    """Whether a relative path, with all links followed, stays in the source folder."""
    if PurePosixPath(path).is_absolute() or Path(path).is_absolute() or "\0" in path:
        return False
    try:
        return (base / path).resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop of links
        return False


def _uniform(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
