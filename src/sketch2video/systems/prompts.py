"""Prompts files: what a user wants generated, one row a video.

Three formats, told apart by the file's ending:

- ``.txt``: one caption a line; empty lines and lines that begin with ``#`` are skipped;
- ``.csv``: a header with ``caption`` and optionally ``seed``, ``num_frames``, ``sketch``; an empty cell is "not given";
- ``.jsonl``: one object a line with the same keys; ``null`` is "not given".
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from sketch2video.errors import UserError
from sketch2video.systems.drawings import DRAWING_ENDINGS

COLUMNS = ("caption", "seed", "num_frames", "sketch")
MAX_SEED = 2**63 - 1
"""The largest seed: what a signed 64-bit integer, as in a served model's signature, holds."""
MAX_FRAMES = 1024
"""The longest video that is asked for in one prompt; a guard against slips of the finger, not of the model."""


@dataclass(frozen=True)
class Prompt:
    """One video that is asked for.

    Attributes:
        row: its line in the prompts file, counted from 1.
        caption: white space collapsed, not empty.
        seed: in [0, 2**63); None: chosen by the generator of the batch.
        num_frames: T; None: the model's own length.
        sketch: an existing drawing (image, SVG or video) to be followed; None: the model draws.
    """

    row: int
    caption: str
    seed: int | None = None
    num_frames: int | None = None
    sketch: Path | None = None


def read_prompts(path: Path | str) -> list[Prompt]:
    """Read and check a prompts file; at least one prompt.

    Sketches are named relative to the file and must lie in its folder or below.

    Raises:
        UserError: the file is missing, of another format or empty, or a row is wrong; the message names the row.
    """
    path = Path(path)
    readers = {".txt": _text_rows, ".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: prompts files end in {', '.join(readers)}; rename or convert it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    rows = readers[path.suffix.lower()](text, path)
    prompts = [_checked(values, f"{path} row {row}", row, path.parent) for row, values in rows]
    if not prompts:
        raise UserError(f"{path} has no prompts; write one caption a line")
    return prompts


def parse_prompts(rows: Sequence[Mapping[Any, Any]], source: str) -> list[Prompt]:
    """Check rows that come from elsewhere than a file; they cannot name drawings.

    Raises:
        UserError: a row is wrong; the message names it.
    """
    for row, values in enumerate(rows, start=1):
        if unknown := [name for name in values if name not in COLUMNS[:-1]]:
            raise UserError(f"{source} row {row}: unknown column {unknown[0]!r}; there are {', '.join(COLUMNS[:-1])}")
    return [_checked(values, f"{source} row {row}", row, Path()) for row, values in enumerate(rows, start=1)]


def _text_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield row, {"caption": line}


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        reader = csv.DictReader(StringIO(text, newline=""), restkey="", strict=True)
        header = [name.strip() for name in reader.fieldnames or []]
        if "caption" not in header:
            raise UserError(f"{path} has no column caption; begin it with a header such as caption,seed,num_frames")
        if unknown := [name for name in header if name not in COLUMNS]:
            raise UserError(f"{path} has an unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}")
        if len(set(header)) < len(header):
            raise UserError(f"{path} names a column twice; remove one")
        reader.fieldnames = header
        for values in reader:
            if "" in values:
                raise UserError(f'{path} row {reader.line_num}: more cells than columns; put "quotes" around commas')
            yield reader.line_num, {name: (value or "").strip() or None for name, value in values.items()}
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV ({error}); check its quotes") from error


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path} row {row}: not JSON ({error.msg}); write one object a line") from error
        if not isinstance(values, dict):
            raise UserError(f'{path} row {row}: not an object; write {{"caption": "..."}}')
        if unknown := [name for name in values if name not in COLUMNS]:
            raise UserError(f"{path} row {row}: unknown key {unknown[0]!r}; the keys are {', '.join(COLUMNS)}")
        yield row, values


def _checked(values: Mapping[Any, Any], where: str, row: int, folder: Path) -> Prompt:
    caption = values.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(f"{where}: the caption is empty; say what to show")
    return Prompt(
        row=row,
        caption=" ".join(caption.split()),
        seed=_whole_number(values.get("seed"), "seed", 0, MAX_SEED, where),
        num_frames=_whole_number(values.get("num_frames"), "num_frames", 2, MAX_FRAMES, where),
        sketch=_drawing(values.get("sketch"), where, folder),
    )


def _whole_number(value: Any, name: str, low: int, high: int, where: str) -> int | None:
    if value is None:
        return None
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isascii() and value.isdigit():
        number = int(value)
    if number is None or not low <= number <= high:
        raise UserError(f"{where}: {name} is {value!r}; give a whole number from {low} to {high}")
    return number


def _drawing(value: Any, where: str, folder: Path) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UserError(f"{where}: sketch is {value!r}; give the path of a drawing")
    path = folder / value
    if Path(value).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{where}: sketch {value} is outside of {folder}; put it beside the prompts file")
    if not path.is_file():
        raise UserError(f"{where}: sketch {value} is missing in {folder}; check the path")
    if path.suffix.lower() not in DRAWING_ENDINGS:
        raise UserError(f"{where}: sketch {value} is of no known kind; use one of {', '.join(DRAWING_ENDINGS)}")
    return path
