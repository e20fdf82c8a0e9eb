"""A source of captioned videos → a folder for a trainer: clips, control videos, metadata, README, rejected rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sketch2video.code import code_digest
from sketch2video.data.clips.jobs import map_jobs
from sketch2video.data.ingest.build import REJECTED, write_rejected
from sketch2video.data.sources.rows import Rejection, Source, SourceRow
from sketch2video.errors import UserError
from sketch2video.files import read_json, remove_partial, replacing, write_json
from sketch2video.inputs.targets import check_folder_target
from sketch2video.inputs.texts import brief
from sketch2video.params import BaseParams, SketchParams
from sketch2video.sketches import made_by
from sketch2video.sketches.extract import MODEL
from sketch2video.trainer_data import clips as clips_module
from sketch2video.trainer_data.clips import CONTROLS, RECORDS, VIDEOS, Settings, Work, make_clips, remove_clips
from sketch2video.trainer_data.readme import readme
from sketch2video.trainer_data.trainers import TRAINERS, DataSet, Entry, metadata_text

MARK = ".sketch2video/dataset.json"
"""A folder with this file is a data set of this module, whose files may be replaced."""

README = "README.md"
SHOWN = 5
"""Rejected rows that the summary shows."""


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes:
        clips: number of clips of the data set.
        videos: number of videos that they come from.
        kept: number of videos whose clips were there.
        rejected: rejected rows, in the order of the source.
        facts: sentences about the clips.
    """

    clips: int
    videos: int
    kept: int
    rejected: list[Rejection]
    facts: list[str]

    def lines(self, folder: Path, unit: str) -> list[str]:
        """The summary as lines of text, with row numbers in units such as ``line``."""
        lines = [f"clips     {self.clips}, of videos: {self.videos}; finished before: {self.kept}"]
        shown = self.rejected[:SHOWN]
        lines += [f"rejected  {unit} {one.row} ({brief(one.path)}): {one.reason}" for one in shown]
        if self.rejected:
            lines.append(f"rejected  {len(self.rejected)} in all; {brief(folder / REJECTED)} has their reasons")
        lines += [f"note      {fact}" for fact in self.facts]
        return [*lines, f"next      {brief(folder / README)} has the command that trains"]


def write_dataset(
    name: str,
    source: Source,
    folder: Path,
    settings: Settings,
    sketch: SketchParams,
    *,
    split: str = "train",
    model: Path = MODEL,
    where: BaseParams | None = None,
    command: str = "",
) -> Summary:
    """Write a data set; what is finished is kept, and what is no longer in the source is removed.

    Every file is written under a temporary name and moved into place. The metadata file is removed first and written
    last, so that it never names clips of other settings, even if the process is killed.

    Args:
        name: of the trainer, a key of :data:`~sketch2video.trainer_data.trainers.TRAINERS`.
        source: the captioned videos.
        folder: new, empty, or a data set for the same trainer.
        settings: of the clips.
        sketch: how lines are drawn.
        split: ``train`` leaves out the rows of the test split, ``test`` takes only them, ``all`` takes all rows.
        model: folder of the network of the learned extractor.
        where: processes or cluster, see :func:`~sketch2video.data.clips.jobs.map_jobs`.
        command: that calls this, for the README.

    Raises:
        UserError: the folder holds other files or cannot be written, or no row can be used.
    """
    trainer = TRAINERS[name]
    _check_folder(folder, name)
    rows, others = rows_of(source, split)
    rejected = list(source.rejected)
    unread = [row for row in rows if row.caption in trainer.not_text]
    reason = "caption is read as a missing value by the trainer; use other words"
    rejected += [Rejection(row.row, row.path, row.caption, reason) for row in unread]
    rows = [row for row in rows if row.caption not in trainer.not_text]
    if not rows:
        raise UserError(_nothing(source, rejected, split))
    names = clip_names(rows, trainer.neutral_names)
    data = DataSet(folder.absolute(), settings)
    _begin(data, name, trainer.metadata)
    depends_on = {"sketch": made_by(sketch, model), "code": code_digest(clips_module)}
    work = Work(data.folder, settings, sketch, model.absolute(), depends_on)
    jobs = [(work, clip, (source.base / row.path).absolute()) for clip, row in zip(names, rows, strict=True)]
    results = map_jobs(make_clips, jobs, where, "dataset", "video")
    entries: list[Entry] = []
    found: list[dict[str, Any]] = []
    for row, result in zip(rows, results, strict=True):
        if "rejected" in result:
            rejected.append(Rejection(row.row, row.path, row.caption, result["rejected"]))
            continue
        found += result["clips"]
        entries += [_entry(clip["name"], row.caption) for clip in result["clips"]]
    rejected.sort(key=lambda one: one.row)
    write_rejected(rejected, data.folder, "video")
    _remove_others(data.folder, set(names))
    if not entries:
        raise UserError(_nothing(source, rejected, split))
    facts = [f"Rows of the other split, left out: {others}. `--split all` takes them."] if others else []
    facts += _clip_facts(found)
    for file, text in trainer.files(data).items():
        _write(data.folder / file, text)
    _write(data.folder / README, readme(trainer, data, len(entries), len(rejected), facts, command))
    _write(data.folder / trainer.metadata, metadata_text(trainer, entries, data))
    made = [result for result in results if "clips" in result]
    return Summary(len(entries), len(made), sum(result["kept"] for result in made), rejected, facts)


def rows_of(source: Source, split: str) -> tuple[list[SourceRow], int]:
    """The rows of a split, and the number of the others.

    All rows of a video belong to one split; without any, to ``train``.

    Args:
        source: the captioned videos.
        split: ``train``, ``test`` or ``all``.
    """
    tested = {row.path for row in source.rows if row.split == "test"}
    rows = [row for row in source.rows if split == "all" or (row.path in tested) == (split == "test")]
    return rows, len(source.rows) - len(rows)


def clip_names(rows: Sequence[SourceRow], neutral: bool = False) -> list[str]:
    """Names of the rows in a data set: unique, safe as names of files, and independent of other videos.

    A correction of a caption keeps the name, as long as its video has only one caption.

    Args:
        rows: of the source.
        neutral: whether names have no words of the source.
    """
    names, seen = [], set[str]()
    for row in rows:
        key = f"{row.path}\0{row.caption}" if row.path in seen else row.path
        seen.add(row.path)
        digest = hashlib.sha256(key.encode()).hexdigest()
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(row.path).stem).strip("-")[:64]
        names.append(digest[:16] if neutral else f"{stem or 'clip'}-{digest[:10]}")
    return names


def _check_folder(folder: Path, name: str) -> None:
    check_folder_target(folder, "FOLDER")
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"FOLDER: {brief(folder)} is not UTF-8, which metadata need; choose another name") from error
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = None
    with suppress(UserError, TypeError, AttributeError):
        found = read_json(folder / MARK).get("trainer")
    if found is None:
        raise UserError(f"FOLDER: {brief(folder)} holds other files; name a new or an empty folder")
    if found != name:
        raise UserError(f"FOLDER: {brief(folder)} is a data set for {brief(found)}; name another folder, or remove it")


def _begin(data: DataSet, name: str, metadata: str) -> None:
    for part in (RECORDS, VIDEOS, CONTROLS):
        (data.folder / part).mkdir(parents=True, exist_ok=True)
        remove_partial(data.folder / part)
    remove_partial(data.folder)
    write_json(data.folder / MARK, {"trainer": name, "settings": asdict(data.settings)})
    (data.folder / metadata).unlink(missing_ok=True)


def _entry(name: str, caption: str) -> Entry:
    return Entry(f"{VIDEOS}/{name}.mp4", f"{CONTROLS}/{name}.mp4", caption)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove clips of videos that are no longer in the source."""
    for record in (folder / RECORDS).glob("*.json"):
        if record.stem not in names:
            remove_clips(folder, record.stem)


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _nothing(source: Source, rejected: list[Rejection], split: str) -> str:
    if not rejected:
        return f"{source.name} has no rows of the split {split}; choose another --split"
    one = min(rejected, key=lambda one: one.row)
    return (
        f"no row of {source.name} can be used, {len(rejected)} are rejected; the first, {source.unit} {one.row}"
        f" ({brief(one.path)}): {one.reason}"
    )


def _clip_facts(clips: list[dict[str, Any]]) -> list[str]:
    notes = {
        "hard_cuts": "contain hard cuts; trainers expect one shot a clip, so split such videos into scenes",
        "repeated": "repeat frames, as their videos have a lower frame rate",
        "enlarged": "are enlarged, as their videos are smaller",
    }
    counts = {name: sum(clip[name] > 0 for clip in clips) for name in notes}
    return [f"{counts[name]} of {len(clips)} clips {note}." for name, note in notes.items() if counts[name]]
