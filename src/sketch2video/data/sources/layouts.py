"""Layouts of captioned videos: a CSV with paths, UCF-101 or MSR-VTT."""

from __future__ import annotations

from pathlib import Path

from sketch2video.data.sources import msrvtt, sprites, ucf101
from sketch2video.data.sources.captions import read_captions
from sketch2video.data.sources.rows import Source
from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief
from sketch2video.params import IngestParams


def read_source(ingest: IngestParams) -> Source:
    """Read the rows that ``ingest.source`` names; it is a source of video files.

    Raises:
        UserError: the source cannot be read.
    """
    folder = Path(ingest.folder).absolute()
    if ingest.source == "ucf101":
        return ucf101.read_ucf101(folder, ingest.ucf101_split)
    if ingest.source == "msrvtt":
        return msrvtt.read_msrvtt(folder, ingest.seed)
    return read_captions(folder, ingest.captions)


def find_source(path: Path | None, ingest: IngestParams | None) -> Source:
    """Read a source of video files that a command names, or that of the parameters.

    Args:
        path: a CSV, or a folder of UCF-101 or MSR-VTT; None for that of ``ingest``.
        ingest: parameters of the current folder, where it has some.

    Raises:
        UserError: there is no such source, it cannot be read, or it has no video files.
    """
    kinds = "a CSV path_to_video,caption or a folder of UCF-101 or MSR-VTT"
    if path is None:
        if ingest is None or ingest.source in ("synthetic", "sprites"):
            raise UserError(f"name your videos with --source: {kinds}")
        return read_source(ingest)
    if not path.exists():
        raise UserError(f"--source: {brief(path)} is missing; name {kinds}")
    if not path.is_dir():
        return read_captions(path.parent, path.name)
    kind = data_set_of(path)
    if kind == "sprites":
        raise UserError(f"--source: {brief(path)} holds Sprites, which are no videos; name {kinds}")
    if kind == "ucf101":
        return ucf101.read_ucf101(path.absolute(), ingest.ucf101_split if ingest else 1)
    return msrvtt.read_msrvtt(path.absolute(), ingest.seed if ingest else 0)


def data_set_of(folder: Path) -> str:
    """Name, as in ``ingest.source``, of the data set whose layout a folder has.

    Raises:
        UserError: it has none of them.
    """
    if (folder / ucf101.LISTS).is_dir():
        return "ucf101"
    if msrvtt.annotation_files(folder):
        return "msrvtt"
    if sprites.is_sprites(folder):
        return "sprites"
    raise UserError(
        f"{folder} cannot be read as a data set: it has neither {ucf101.LISTS}/ (UCF-101), {msrvtt.PAIR[0]} or"
        f" {msrvtt.WHOLE} (MSR-VTT) nor 0.png in {'/, '.join(sprites.GARMENTS)}/ (Sprites); name such a folder or a CSV"
    )
