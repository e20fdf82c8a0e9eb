"""Results tables: printed by every benchmark, and written into the documentation with ``--write``.

A table of a page stands between two comments that name it and its command, ``<!-- table: NAME (COMMAND) -->`` and
``<!-- /table -->``. Pages are ``README.md`` and ``docs/*.md`` of the working directory.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from tabulate import tabulate

from sketch2video.errors import UserError
from sketch2video.evaluation.provenance import provenance
from sketch2video.files import replacing, write_json

MARKED = re.compile(r"^(<!-- table: (\S+) \((.+)\) -->)((?:(?!<!-- table:)[\s\S])*?)^(<!-- /table -->)", re.MULTILINE)
"""Opening comment, name, command, text and closing comment of a table, the comments at the beginning of lines."""

Write = Annotated[
    bool, typer.Option("--write", envvar="WRITE", help="Write the table between its markers in the documentation.")
]


def as_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, aligned for reading as text; short rows end in empty cells, bars within cells are escaped."""
    head, *lines = ([cell.replace("|", r"\|") for cell in row] for row in (columns, *rows))
    return tabulate(lines, headers=head, tablefmt="github", disable_numparse=True)


def page_of(name: str, write: bool) -> Path | None:
    """The page with the markers of a table; None if nothing is to be written. Call it before what takes long.

    Raises:
        UserError: no page has them.
    """
    if not write:
        return None
    for page in (Path("README.md"), *sorted(Path("docs").glob("*.md"))):
        if page.exists() and name in (match[2] for match in MARKED.finditer(page.read_text(encoding="utf-8"))):
            return page
    raise UserError(
        f"no page has the marker <!-- table: {name} (COMMAND) -->; add it, and <!-- /table --> below it, to"
        " README.md or docs/*.md"
    )


def show(name: str, text: str, page: Path | None, made: str | None = None) -> None:
    """Print a table, and write it between its markers.

    Args:
        name: name of the table.
        text: the table as Markdown, with its notes.
        page: see :func:`page_of`; None: it is only printed.
        made: machine, date and commit of the measurement; None: it was made here and now.
    """
    print(text.rstrip())
    if page is None:
        return
    block = f"\n\n{text.strip()}\n\n*{made or provenance()}: `{command()}`*\n\n"
    old = page.read_bytes().decode()  # line ends are kept
    with replacing(page) as partial:
        partial.write_bytes(MARKED.sub(lambda m: f"{m[1]}{block}{m[5]}" if m[2] == name else m[0], old).encode())
    print(f"written to {page}")


def publish(name: str, text: str, results: Any, folder: Path, page: Path | None, made: str | None = None) -> None:
    """Write what a benchmark found as ``<name>.json`` and ``<name>.md`` in a folder, and :func:`show` the table.

    Args:
        name: name of the files and of the table.
        text: the table as Markdown, with its notes.
        results: the content of the JSON file.
        folder: it is made if it is missing.
        page, made: see :func:`show`.
    """
    write_json(folder / f"{name}.json", results)
    with replacing(folder / f"{name}.md") as partial:
        partial.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    show(name, text, page, made)
    print(f"written to {folder}/{name}.json and {name}.md")


def command() -> str:
    """The command that runs, without folders outside of the working directory."""
    words = [re.sub("(^|=)/.*/", r"\1", word) for word in sys.orig_argv[1:] if word != "--write"]
    return shlex.join(["python", *words])
