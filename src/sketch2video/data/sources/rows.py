"""What every source of captioned files answers: rows, each checked before its file is opened, and their splits."""

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
        row: its place in the source, counted from 1: of a CSV the line.
        id: safe as a file name, and no other row's.
        path: in its shortest form; relative to the source's ``base``.
        caption: white space collapsed.
        label: None if there is none.
        split: None if the source leaves it open.
        control: path of a video that belongs to this one frame by frame, relative to ``base``; None if there is none.
        labels: further labels by their names, without those that the row leaves empty.
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
    """A row that is left out, and why."""

    row: int
    path: str
    caption: str
    reason: str


@dataclass
class Source:
    """The rows of a source: those that pass :meth:`add`, and the others.

    Attributes:
        name: of the file or files that the rows stand in.
        root: the source folder, which no path leaves.
        base: the folder that paths are relative to.
        kind: of the files, in messages: video or image.
        unit: of places in the source, in messages.
        rows: usable as far as that can be said without opening their files.
        rejected: all others.
    """

    name: str
    root: Path
    base: Path
    kind: str = "video"
    unit: str = "row"
    rows: list[SourceRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    _places: dict[tuple[str, str], int] = field(default_factory=dict, init=False, repr=False)
    _splits: dict[str, tuple[str, int]] = field(default_factory=dict, init=False, repr=False)

    def add(self, row: SourceRow) -> None:
        """Take a row in, or reject it: its path leaves the folder, its caption is empty, its split is unknown, ..."""
        reason = self._fault(row)
        if reason:
            self.rejected.append(Rejection(row.row, row.path, row.caption, reason))
            return
        self._places[row.path, row.caption] = row.row
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
        place = self._places.get((row.path, row.caption))
        if place is not None:
            return f"repeats {self.unit} {place}"
        split, place = self._splits.get(row.path, (row.split, None))
        if row.split and split != row.split:
            return f"the {self.kind} is in split {split} already, by {self.unit} {place}"
        return None


def row_id(path: str, caption: str) -> str:
    """A name for a row, safe as a file name; the same for the same path and caption."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(path).stem).strip("-")[:64]
    digest = hashlib.sha256(f"{path}\0{caption}".encode()).hexdigest()
    return f"{stem or 'clip'}-{digest[:10]}"


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


def _uniform(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
