"""The folder source: a CSV of captioned videos or images."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sketch2video.data.clips.shards import LABEL
from sketch2video.data.sources.rows import Rejection, Source, SourceRow, row_id
from sketch2video.errors import UserError
from sketch2video.inputs.names import name_on_disk
from sketch2video.inputs.tables import read_table
from sketch2video.inputs.texts import brief, one_line

OPTIONAL = ("label", "split", "path_to_control")
"""Columns that may be missing; those of labels with names may be, too."""


def read_captions(folder: Path | str, captions: str) -> Source:
    """Read a CSV with ``path_to_video,caption`` and, if present, ``label``, ``split`` and ``path_to_control``.

    Columns ``label.<name>`` hold further labels, by name.

    Paths are relative to the CSV. A row is rejected if it is not valid CSV, has more cells than the header, names a
    path outside of ``folder``, has no caption, names an unknown split, repeats another or puts a video into a second
    split; so are those without a control where others have one.

    Args:
        folder: the source folder.
        captions: the CSV's path in that folder; see :func:`~sketch2video.inputs.tables.read_table` for its format.

    Raises:
        UserError: the CSV is missing, is in another encoding than UTF-8 or UTF-16, is not a CSV, lacks a column, has
            one twice or a column of labels without a name, or has no rows.
    """
    source = _read(folder, captions, "ingest.captions", "video")
    if any(row.control for row in source.rows):
        reason = "path_to_control is empty; it has to be named for all rows or for none"
        source.rejected += [Rejection(row.row, row.path, row.caption, reason) for row in source.rows if not row.control]
        source.rows = [row for row in source.rows if row.control]
    return source


def read_image_captions(folder: Path | str, images: str) -> Source:
    """Read a CSV with ``path_to_image,caption`` and, if present, ``split``; as :func:`read_captions` does."""
    return _read(folder, images, "ingest.images", "image")


def _read(folder: Path | str, name: str, key: str, kind: str) -> Source:
    root = Path(folder).resolve()
    table = root / name
    if not table.resolve().is_relative_to(root):
        raise UserError(f"{key}: {name} is outside of ingest.folder ({folder}); move it there")
    source = Source(name, root, table.parent, kind, "line")
    required = (f"path_to_{kind}", "caption")
    found = read_table(table, required, OPTIONAL, prefix=LABEL, fix=f"fix ingest.folder or {key}")
    if LABEL in found.columns:
        raise UserError(f"{table} has a column {LABEL} without a name; call it {LABEL}action, say")
    for each in found.rows:
        line, values = each.line, each.values
        path, caption = _path(table, values[f"path_to_{kind}"]), one_line(values["caption"])
        if each.fault:
            source.rejected.append(Rejection(line, brief(path), brief(caption), each.fault))
            continue
        row = SourceRow(
            row=line,
            id=row_id(path, caption),
            path=path,
            caption=caption,
            label=values.get("label") or None,
            split=values.get("split") or None,
            control=_path(table, values.get("path_to_control", "")) or None,
            labels={
                name.removeprefix(LABEL): value for name, value in values.items() if name.startswith(LABEL) and value
            },
        )
        source.add(row)
    if not found.rows:
        raise UserError(f"{table} has no rows; name at least one {kind} in it")
    if all(row.fault for row in found.rows):
        first = found.rows[0]
        raise UserError(
            f"{table} has no row that can be read; row {first.line} ({brief(first.values[required[0]])}): {first.fault}"
        )
    return source


def _path(table: Path, path: str) -> str:
    """A path without `.` and repeated slashes, as on the disk; `..` is kept, since its meaning depends on links."""
    return name_on_disk(table.parent, str(PurePosixPath(path))) if path else ""
