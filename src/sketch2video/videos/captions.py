"""The folder source: a CSV of captioned videos or images."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sketch2video.errors import UserError
from sketch2video.videos.shards import LABEL
from sketch2video.videos.sources import Rejection, Source, SourceRow, row_id


def read_captions(folder: Path | str, captions: str) -> Source:
    """Read a CSV with ``path_to_video,caption`` and, if present, ``label``, ``split`` and ``path_to_control``.

    Columns ``label.<name>`` hold further labels, by name.

    Paths are relative to the CSV. Rows that name a path outside of ``folder``, have no caption, name an unknown split,
    repeat a row or put a video into a second split are rejected, and so are those without a control where others have
    one; the rest goes on.

    Args:
        folder: the source folder.
        captions: the CSV's path in that folder; UTF-8, with or without a byte order mark.

    Raises:
        UserError: the CSV is missing, is not UTF-8, is not a CSV, lacks a column, has a column of labels
            without a name or twice, or has no rows.
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
    for line, values in _rows(table, (f"path_to_{kind}", "caption"), key):
        path, caption = _shortest(values[f"path_to_{kind}"]), " ".join(values["caption"].split())
        row = SourceRow(
            row=line,
            id=row_id(path, caption),
            path=path,
            caption=caption,
            label=values.get("label") or None,
            split=values.get("split") or None,
            control=_shortest(values.get("path_to_control", "")) or None,
            labels={key.removeprefix(LABEL): value for key, value in values.items() if key.startswith(LABEL) and value},
        )
        source.add(row)
    if not source.rows and not source.rejected:
        raise UserError(f"{table} has no rows; name at least one {kind} in it")
    return source


def _rows(table: Path, columns: tuple[str, ...], key: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the stripped values of every row that is not blank; ``columns`` have to be there."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise UserError(
                    f"{table} has no column {', '.join(missing)}; its first line must name {','.join(columns)}"
                )
            _check_labels(header, table)
            line = reader.line_num + 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
                    yield line, {**dict.fromkeys(columns, ""), **values}
                line = reader.line_num + 1
    except OSError as error:
        raise UserError(f"{table} cannot be read ({error.strerror}); mend ingest.folder or {key}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{table} is not a CSV ({error}); mend it near line {line}") from error


def _check_labels(header: list[str], table: Path) -> None:
    labels = [name for name in header if name.startswith(LABEL)]
    if LABEL in labels:
        raise UserError(f"{table} has a column {LABEL} without a name; call it {LABEL}action, say")
    repeated = sorted({name for name in labels if labels.count(name) > 1})
    if repeated:
        raise UserError(f"{table} has several columns {', '.join(repeated)}; keep one of each")


def _shortest(path: str) -> str:
    """A path without `.` and doubled slashes; `..` stays, since what it means depends on links."""
    return str(PurePosixPath(path)) if path else ""
