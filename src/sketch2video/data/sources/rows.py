"""Rows of a source of captioned files, which are checked before files are opened, and their splits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sketch2video.inputs.names import is_inside, is_too_long
from sketch2video.inputs.texts import brief

SPLITS = ("train", "test")


@dataclass(frozen=True)
class SourceRow:
    """A captioned video or image.

    Attributes:
        row: its number in the source, from 1; in a CSV the line.
        id: unique, and safe as a file name.
        path: in its shortest form; relative to the source's ``base``.
        caption: white space collapsed.
        label: None if there is none.
        split: None if the source does not define it.
        control: path of a video that belongs to this one frame by frame, relative to ``base``; None if there is none.
        labels: further labels by their names, without empty ones.
    """

    row: int
    id: str
    path: str
    caption: str
    label: str | None = None
    split: str | None = None
    control: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejection:
    """A rejected row, and the reason."""

    row: int
    path: str
    caption: str
    reason: str


@dataclass
class Source:
    """The rows of a source: those that pass :meth:`add`, and the others.

    Attributes:
        name: of the file or files that contain the rows.
        root: the source folder, which all paths must stay in.
        base: the folder that paths are relative to.
        kind: of the files, in messages: video or image.
        unit: of row numbers in the source, in messages.
        rows: those that are usable, as far as can be checked without opening their files.
        rejected: all others.
    """

    name: str
    root: Path
    base: Path
    kind: str = "video"
    unit: str = "row"
    rows: list[SourceRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    _row_numbers: dict[tuple[str, str], int] = field(default_factory=dict, init=False, repr=False)
    _splits: dict[str, tuple[str, int]] = field(default_factory=dict, init=False, repr=False)

    def add(self, row: SourceRow) -> None:
        """Add a row, or reject it: its path leaves the folder, its caption is empty, its split is unknown, ..."""
        reason = self._fault(row)
        if reason:
            self.rejected.append(Rejection(row.row, row.path, row.caption, reason))
            return
        self._row_numbers[row.path, row.caption] = row.row
        if row.split:
            self._splits.setdefault(row.path, (row.split, row.row))
        self.rows.append(row)

    def _fault(self, row: SourceRow) -> str | None:
        if not row.path:
            return f"path_to_{self.kind} is empty"
        for name, path in ((f"path_to_{self.kind}", row.path), ("path_to_control", row.control or "")):
            if is_too_long(path):
                return f"{name} is longer than a file's name can be; is a quote or a separator missing?"
        if not is_inside(self.root, self.base, row.path):
            return f"path_to_{self.kind} leads out of the source folder"
        if row.control and not is_inside(self.root, self.base, row.control):
            return "path_to_control leads out of the source folder"
        if not row.caption:
            return "caption is empty"
        if row.split not in (None, *SPLITS):
            return f"split {brief(repr(row.split))} is unknown; it is {' or '.join(SPLITS)}"
        row_number = self._row_numbers.get((row.path, row.caption))
        if row_number is not None:
            return f"repeats {self.unit} {row_number}"
        split, row_number = self._splits.get(row.path, (row.split, None))
        if row.split and split != row.split:
            return f"the {self.kind} is in split {split} already, by {self.unit} {row_number}"
        return None


def row_id(path: str, caption: str) -> str:
    """A name for a row, safe as a file name; the same for the same path and caption."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(path).stem).strip("-")[:64]
    digest = hashlib.sha256(f"{path}\0{caption}".encode()).hexdigest()
    return f"{stem or 'clip'}-{digest[:10]}"


def assign_splits(videos: Sequence[str], named: Sequence[str | None], test_fraction: float) -> list[str]:
    """The split of every clip: that of its row, else by a hash of its video.

    All clips of a video share a split, including copies under another name, and adding a video does not change the
    splits of the others. The exception is a data set so small that a split would be empty: it then gets the video
    nearest to it by hash, among those whose split no row names. A single video is for training.

    Args:
        videos: what identifies each clip's video: the hash of its content.
        named: each clip's split as its row names it, or None.
        test_fraction: share, in (0, 1), of the videos without a named split that goes to ``test``.
    """
    name_of: dict[str, str | None] = {}
    for video, name in zip(videos, named, strict=True):
        name_of[video] = name_of.get(video) or name
    hashed = {video: _uniform(video) for video in name_of}
    split_of = {
        video: name or ("test" if hashed[video] < test_fraction else "train") for video, name in name_of.items()
    }
    free = sorted((video for video, name in name_of.items() if name is None), key=lambda video: hashed[video])
    if free and "train" not in split_of.values():
        split_of[free[-1]] = "train"
    if free and "test" not in split_of.values() and len(split_of) >= 2:
        split_of[free[0]] = "test"
    return [name or split_of[video] for video, name in zip(videos, named, strict=True)]


def _uniform(text: str) -> float:
    """A number in [0, 1) that is a function of the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
