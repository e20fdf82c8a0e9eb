"""Prompts files: one row for each video to be generated.

There are three formats, by the file's extension:

- ``.txt``: one caption a line, see :mod:`sketch2video.inputs.caption_lines`;
- ``.csv``: a header with ``caption`` and optionally ``seed``, ``num_frames``, ``sketch``, ``sketch_0``, ``sketch_15``,
  ... (see :mod:`~sketch2video.generation.prompt_sketches`); an empty cell is "not given"; see
  :func:`~sketch2video.inputs.tables.read_table`;
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
from sketch2video.generation.prompt_sketches import FRAME_SKETCH, SKETCH, KeySketch, names_a_frame, sketches_of
from sketch2video.inputs.caption_lines import read_caption_lines
from sketch2video.inputs.tables import normal_name, read_table
from sketch2video.inputs.texts import brief, is_text, one_line, read_text

REQUEST_COLUMNS = ("caption", "seed", "num_frames")
"""Columns of rows that are not from a file."""
COLUMNS = (*REQUEST_COLUMNS, SKETCH)
_ALL = ", ".join((*COLUMNS, FRAME_SKETCH))
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
        sketch: path of an existing drawing of the whole video (image, SVG, video or equation); None: the model
            generates one.
        sketches: drawings of some frames, in their order; the model generates those between. Empty: none.
    """

    row: int
    caption: str
    seed: int | None = None
    num_frames: int | None = None
    sketch: Path | None = None
    sketches: tuple[KeySketch, ...] = ()

    def check_length(self, longest: int | None, where: str, model: str) -> None:
        """Raise a UserError if the model makes at most ``longest`` frames (None: any number) and more are asked for.

        Args:
            longest: of the pipeline.
            where: names the prompt.
            model: names the model.
        """
        if longest and (self.num_frames or 0) > longest:
            raise UserError(
                f"{where} has num_frames {self.num_frames}, but {model} makes {longest}; lower it, or train the model"
                " with text_ldm.known_frames"
            )

    @property
    def drawn(self) -> bool:
        """Whether drawings are given."""
        return self.sketch is not None or bool(self.sketches)


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
        if unknown := [name for name in values if name not in REQUEST_COLUMNS]:
            raise UserError(
                f"{source} row {row}: unknown column {brief(repr(unknown[0]))}; there are {', '.join(REQUEST_COLUMNS)}"
            )
    return [_checked(values, f"{source} row {row}", row, Path()) for row, values in enumerate(rows, start=1)]


def _text_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, caption in read_caption_lines(read_text(path)):
        yield row, {"caption": caption}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    table = read_table(path, COLUMNS[:1], COLUMNS[1:])
    if unknown := [name for name in table.columns if not _is_column(_column(name))]:
        raise UserError(f"{path} has an unknown column {brief(repr(unknown[0]))}; the columns are {_ALL}")
    for row in table.whole():
        yield row.line, {_column(name): value or None for name, value in row.values.items()}


def _column(name: str) -> str:
    """The name of a column of a header, which may be written in other ways."""
    return normal_name(name) if names_a_frame(normal_name(name)) else name


def _is_column(name: str) -> bool:
    return name in COLUMNS or names_a_frame(name)


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
        if unknown := [name for name in names if not _is_column(name)]:
            raise UserError(f"{where}: unknown key {brief(repr(unknown[0]))}; the keys are {_ALL}")
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
    seed = _whole_number(values.get("seed"), "seed", 0, MAX_SEED, where)
    frames = _whole_number(values.get("num_frames"), "num_frames", 2, MAX_FRAMES, where)
    return Prompt(row, caption, seed, frames, *sketches_of(values, where, folder, frames or MAX_FRAMES))


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
