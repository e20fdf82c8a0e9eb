"""Prompts files: one row for each video to be generated.

There are three formats, by the file's extension:

- ``.txt``: one caption a line, see :mod:`sketch2video.inputs.caption_lines`;
- ``.csv``: a header with ``caption`` and optionally ``seed``, ``num_frames``, ``sketch``; an empty cell is "not given";
  see :func:`~sketch2video.inputs.tables.read_table`;
- ``.jsonl``: one object a line with the same keys; ``null`` is "not given".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sketch2video.errors import UserError
from sketch2video.generation.prompt_drawings import DRAWING_ENDINGS
from sketch2video.inputs.caption_lines import read_caption_lines
from sketch2video.inputs.names import is_inside, is_too_long, name_on_disk
from sketch2video.inputs.tables import read_table
from sketch2video.inputs.texts import brief, is_text, one_line, read_text

COLUMNS = ("caption", "seed", "num_frames", "sketch")
MAX_SEED = 2**63 - 1
"""The largest seed: that of a signed 64-bit integer, as in a served model's signature."""
MAX_FRAMES = 1024
"""Maximum ``num_frames`` of a prompt; a guard against typing errors, not a limit of the models."""


@dataclass(frozen=True)
class Prompt:
    """One row of a prompts file.

    Attributes:
        row: its line in the prompts file, counted from 1.
        caption: white space collapsed, not empty.
        seed: in [0, 2**63); None: derived from the seed of the batch.
        num_frames: T; None: the model's default length.
        sketch: path of an existing drawing (image, SVG, video or equation); None: the model generates one.
    """

    row: int
    caption: str
    seed: int | None = None
    num_frames: int | None = None
    sketch: Path | None = None


def read_prompts(path: Path | str) -> list[Prompt]:
    """Read and validate a prompts file; at least one prompt.

    Paths of sketches are relative to the file, and must be in its folder or below.

    Raises:
        UserError: the file is missing, of another format or empty, or a row is wrong; the message names the row.
    """
    path = Path(path)
    readers = {".txt": _text_rows, ".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix.lower() not in readers:
        raise UserError(f"{brief(path)}: prompts files end in {', '.join(readers)}; rename or convert it")
    rows = readers[path.suffix.lower()](path)
    prompts = [_checked(values, f"{path} row {row}", row, path.parent) for row, values in rows]
    if not prompts:
        raise UserError(f"{path} has no prompts; write one caption a line")
    return prompts


def parse_prompts(rows: Sequence[Mapping[Any, Any]], source: str) -> list[Prompt]:
    """Validate rows that are not from a file; they cannot name drawings.

    Raises:
        UserError: a row is wrong; the message names it.
    """
    for row, values in enumerate(rows, start=1):
        if unknown := [name for name in values if name not in COLUMNS[:-1]]:
            raise UserError(
                f"{source} row {row}: unknown column {brief(repr(unknown[0]))}; there are {', '.join(COLUMNS[:-1])}"
            )
    return [_checked(values, f"{source} row {row}", row, Path()) for row, values in enumerate(rows, start=1)]


def _text_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, caption in read_caption_lines(read_text(path)):
        yield row, {"caption": caption}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    table = read_table(path, COLUMNS[:1], COLUMNS[1:])
    if unknown := [name for name in table.columns if name not in COLUMNS]:
        raise UserError(f"{path} has an unknown column {brief(repr(unknown[0]))}; the columns are {', '.join(COLUMNS)}")
    for row in table.whole():
        yield row.line, {name: value or None for name, value in row.values.items()}


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(), which also splits at characters that JSON Lines allows within a line.
    for row, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path} row {row}"
        try:
            values = json.loads(line, object_pairs_hook=_Pairs, parse_int=_integer)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON ({error.msg}); write one object a line") from error
        except RecursionError as error:
            raise UserError(f'{where}: not an object but lists in lists; write {{"caption": "..."}}') from error
        if not isinstance(values, _Pairs):
            raise UserError(f'{where}: not an object; write {{"caption": "..."}}')
        names = [name for name, _ in values]
        if unknown := [name for name in names if name not in COLUMNS]:
            raise UserError(f"{where}: unknown key {brief(repr(unknown[0]))}; the keys are {', '.join(COLUMNS)}")
        if repeated := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{where}: the key {repeated[0]} is given twice; keep one")
        yield row, dict(values)


class _Pairs(list[tuple[str, Any]]):
    """Keys and values of a JSON object; unlike a dictionary it keeps repeated keys."""


def _integer(digits: str) -> int | Decimal:
    """An integer of JSON; Python's int raises for thousands of digits."""
    return int(digits) if len(digits) <= len(str(MAX_SEED)) else Decimal(digits)


def _checked(values: Mapping[Any, Any], where: str, row: int, folder: Path) -> Prompt:
    caption = values.get("caption")
    if not isinstance(caption, str) or not one_line(caption):
        raise UserError(f"{where}: the caption is empty; write one")
    caption = _text(one_line(caption), "caption", where)
    return Prompt(
        row=row,
        caption=caption,
        seed=_whole_number(values.get("seed"), "seed", 0, MAX_SEED, where),
        num_frames=_whole_number(values.get("num_frames"), "num_frames", 2, MAX_FRAMES, where),
        sketch=_drawing(values.get("sketch"), where, folder),
    )


def _text(value: str, name: str, where: str) -> str:
    """Raise for characters that JSON allows and text files do not."""
    if "\0" in value or not is_text(value):
        raise UserError(f"{where}: {name} {brief(value)} has half a character (a surrogate) or a NUL; write it again")
    return value


def _whole_number(value: Any, name: str, low: int, high: int, where: str) -> int | None:
    if value is None:
        return None
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isascii() and value.isdigit() and len(value.lstrip("0")) <= len(str(high)):
        number = int(value.lstrip("0") or "0")
    if number is None or not low <= number <= high:
        raise UserError(f"{where}: {name} is {_shown(value)}; give a whole number from {low} to {high}")
    return number


def _shown(value: Any) -> str:
    """A value in a message; nested values are not written out."""
    if isinstance(value, list | dict):
        return "an object" if isinstance(value, _Pairs | dict) else "a list"
    return brief(value) if isinstance(value, Decimal) else brief(repr(value))


def _drawing(value: Any, where: str, folder: Path) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UserError(f"{where}: sketch is {_shown(value)}; give the path of a drawing")
    shown = brief(_text(value, "sketch", where))
    if is_too_long(value):
        raise UserError(f"{where}: sketch {shown} is longer than a file's name can be; give the path of a drawing")
    if not is_inside(folder, folder, value):
        raise UserError(f"{where}: sketch {shown} is outside of {folder}; put it beside the prompts file")
    path = folder / name_on_disk(folder, value)
    try:
        is_there = path.is_file()
    except OSError as error:
        raise UserError(f"{where}: sketch {shown} cannot be read ({error.strerror}); check the path") from error
    if not is_there:
        raise UserError(f"{where}: sketch {shown} is missing in {folder}; check the path")
    if path.suffix.lower() not in DRAWING_ENDINGS:
        raise UserError(f"{where}: sketch {shown} is of no known kind; use one of {', '.join(DRAWING_ENDINGS)}")
    return path
