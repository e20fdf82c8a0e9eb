"""Reader of CSV tables that users write: captions, images, pairs, prompts and lists of videos.

A file that cannot be used is an error. A row that cannot be used is kept with its fault, so that a caller can list it
and continue, or refuse the file (:meth:`Table.whole`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief, read_text

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
"""Separators of cells, in the order in which they are tried."""

_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
"""Excel's optional first line, which names the separator."""


@dataclass(frozen=True)
class Row:
    """A row that is not blank.

    Attributes:
        line: its first line in the file, counted from 1.
        values: stripped, by column; "" where the row ends early.
        fault: the reason why the row cannot be used; None if it can.
    """

    line: int
    values: dict[str, str]
    fault: str | None = None


@dataclass(frozen=True)
class Table:
    """A CSV.

    Attributes:
        path: the file.
        columns: names in the header's order, nameless columns left out.
        rows: all that are not blank.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]

    def whole(self) -> list[Row]:
        """The rows, of which none may have a fault.

        Raises:
            UserError: one has; the message names the first.
        """
        for row in self.rows:
            if row.fault:
                raise UserError(f"{self.path} row {row.line}: {row.fault}")
        return self.rows


def read_table(
    path: Path | str,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    prefix: str | None = None,
    fix: str = "check the path",
) -> Table:
    """Read a CSV in UTF-8 or UTF-16 with commas, semicolons, tabs or bars between its cells.

    Names in the header may differ from the columns' in case, and have spaces or hyphens for ``_``. Quotes are strict,
    and a quote that is never closed invalidates only its row.

    Args:
        path: the file.
        required: columns that the header has to name.
        optional: further columns, whose names are recognised likewise. Other columns are read under their own names.
        prefix: of columns with arbitrary names, such as ``label.``.
        fix: ends the message if the file cannot be opened.

    Raises:
        UserError: the file cannot be read as text, its header is no CSV, lacks a column or names one twice.
    """
    path = Path(path)
    lines = list(StringIO(read_text(path, fix), newline=""))
    start = _next_line(lines, 0)
    separators = list(SEPARATORS)
    if start < len(lines) and (named := _SEPARATOR_LINE.fullmatch(lines[start])):
        separators, start = [named[1]], _next_line(lines, start + 1)
    known = {normal_name(name): name for name in (*required, *optional)}
    separator = next((one for one in separators if _fits(lines, start, one, required, known)), separators[0])
    try:
        cells, start = _header(lines, start, separator)
    except csv.Error as error:
        raise UserError(f"{path} row {start + 1}: {_broken(error, 1)}") from error
    header = [_named(cell, known, prefix) for cell in cells]
    if missing := [name for name in required if name not in header]:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; its first line must name {','.join(required)},"
            f" it is {brief(separator.join(cells)) or 'empty'}"
        )
    # Names of unknown columns are case-insensitive; labels are case-sensitive.
    keys = [name if prefix and name.startswith(prefix) else normal_name(name) for name in header if name]
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise UserError(f"{path} has several columns {brief(', '.join(repeated))}; keep one, no name may occur twice")
    return Table(path, tuple(name for name in header if name), list(_rows(lines, start, header, separator)))


def _fits(lines: list[str], start: int, separator: str, required: Sequence[str], known: dict[str, str]) -> bool:
    """Whether a separator makes a header of a line that names the required columns."""
    try:
        cells, _ = _header(lines, start, separator)
    except csv.Error:  # quotes beside another separator
        return False
    return set(required) <= {known.get(normal_name(cell)) for cell in cells}


def _header(lines: list[str], start: int, separator: str) -> tuple[list[str], int]:
    """The cells of the first record, and the index of the line behind it."""
    reader = _reader(lines, start, separator)
    cells = next(reader, [])
    return [cell.strip("\ufeff\u200b \t\r\n\xa0") for cell in cells], start + reader.line_num


def _rows(lines: list[str], start: int, header: list[str], separator: str) -> Iterator[Row]:
    """The rows from a line on."""
    while start < len(lines):
        reader, first = _reader(lines, start, separator), start
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield Row(first + 1, _values(cells, header), _fault(cells, header, separator))
                first = start + reader.line_num
            return
        except csv.Error as error:
            # The end of the broken row is unknown. Continuing with the next line loses no other row.
            cells = [cell.strip('"\r\n') for cell in lines[first].split(separator)]
            yield Row(first + 1, _values(cells, header), _broken(error, start + reader.line_num - first))
            start = first + 1


def _reader(lines: list[str], start: int, separator: str) -> Reader:
    """A reader of the lines from ``start`` on; its errors are those of the standard library."""
    rest = (lines[number] for number in range(start, len(lines)))
    return csv.reader(rest, delimiter=separator, skipinitialspace=True, strict=True)


def _values(cells: list[str], header: list[str]) -> dict[str, str]:
    named = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name}
    return {**dict.fromkeys((name for name in header if name), ""), **named}


def _fault(cells: list[str], header: list[str], separator: str) -> str | None:
    """Why a row that is well-formed cannot be used."""
    # Empty cells after the last column count, too: a comma in a caption moves empty cells there.
    width = max(number for number, name in enumerate(header, 1) if name)
    if len(cells) > len(header) or any(cell.strip() for cell in cells[width:]):
        return (
            f"more cells than columns ({len(cells)} instead of {width});"
            f' put "quotes" around text with {SEPARATORS.get(separator, separator)} in it'
        )
    if any("\0" in cell for cell in cells):
        return "it has a NUL character; remove it"
    # A quote that was forgotten, and another one further down, make one long cell of the rows between them.
    long = [cell for cell in cells if "\n" in cell or "\r" in cell]
    endings = {_ending(cell) for cell in cells if cell not in long}
    for cell in long:
        pieces = re.split(f"[{re.escape(separator)}\\r\\n]", cell)
        names = [ending for piece in pieces if (ending := _ending(piece))]
        if endings & set(names) or len(set(names)) < len(names):
            return (
                "not a CSV row: its quotes go over further rows, which name files of their own; close them in each row"
            )
    return None


def _ending(cell: str) -> str | None:
    """The extension of a cell that may be a file's name."""
    found = re.search(r"\.[a-z][a-z0-9]{1,4}$", cell.strip(' "').lower())
    return found and found[0]


def _broken(error: csv.Error, lines: int) -> str:
    """Why a row cannot be read at all, by the error and the number of lines that were read for it."""
    if "limit" in str(error):
        return (
            f"not a CSV row: a cell has more than {csv.field_size_limit()} characters; close its quotes or shorten it"
        )
    if lines > 1 or "unexpected end" in str(error):
        return 'not a CSV row: a quote is opened and not closed in its cell; close it, and double " inside quotes'
    return 'not a CSV row: text follows a closing quote; put quotes around the whole cell, and double " inside it'


def _named(cell: str, known: dict[str, str], prefix: str | None) -> str:
    """The name of a column: the known spelling, else the one in the file."""
    if prefix and cell.lower().startswith(prefix):
        return prefix + cell[len(prefix) :].strip()
    return known.get(normal_name(cell), cell)


def normal_name(name: str) -> str:
    """The name of a column in lower case, with ``_`` for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _next_line(lines: list[str], start: int) -> int:
    """Index of the first line from ``start`` on that is not blank."""
    blank = " \r\n\ufeff" + "".join(SEPARATORS)
    return next((number for number in range(start, len(lines)) if lines[number].strip(blank)), len(lines))
