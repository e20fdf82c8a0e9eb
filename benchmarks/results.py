"""Tables of evaluated systems: ``python -m benchmarks.results [SYSTEM ...]``.

Without arguments the table is that of the default run, a measure a row; the one of ``README.md`` has its first rows.
With names it is what ``sketch2video compare`` prints of these systems, with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.evaluation.compare import COLUMNS, Column, System, comparable_systems, table_rows, written
from sketch2video.evaluation.report import percent
from sketch2video.evaluation.scores import Score
from sketch2video.systems.registry import DEFAULT

SKETCH = Column("sketch_faithfulness_joint", "the sketch alone", "higher", "sketch_judge_accuracy_joint", percent)
COSTS = ("latent_numbers", "parameters", "seconds_batch", "seconds_alone")
ROWS = (COLUMNS[0], SKETCH, *(column for column in COLUMNS[1:] if column.name not in COSTS))
"""Of the table of the default run."""
SHORT = ("faithfulness_joint", "sketch_faithfulness_joint", "fvd_embedded")
"""Those in ``README.md``."""
WAYS = {"from text": "", "over fitted curves": "_fitted"}
"""Ways to generate, and how the names of their scores end."""
WITH_INTERVAL = (*SHORT, "kvd_embedded")


def cell(column: Column, score: Score | None, best: bool) -> str:
    """A value, bold if it is the best of its column, with its interval."""
    text = written(column, score.value if score else None)
    text = f"**{text}**" if best else text
    if score is None or score.interval is None or column.name not in WITH_INTERVAL:
        return text
    return f"{text} [{', '.join(column.write(end).rstrip('%') for end in score.interval)}]"


def default_run(system: System, rows: Sequence[Column] = ROWS) -> str:
    """A system's scores as a table: a row a measure, a column a way to generate."""
    ways = []
    for way, end in WAYS.items():
        scores = system.evaluation.scores
        ended = {row.name: scores[row.name + end] for row in rows if row.name + end in scores}
        ways.append(System(way, system.folder, replace(system.evaluation, scores=ended if end else scores)))
    head, *lines = zip(*table_rows(ways, lambda column, score, _: cell(column, score, False), rows), strict=True)
    return as_table(head, lines)


def comparison(systems: Sequence[System]) -> str:
    """The systems as a table, one a row."""
    head, *rows = table_rows(systems, cell)
    return as_table(head, rows)


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...", help="To compare.")] = None,
    reports: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
    write: Write = False,
) -> None:
    """Show the scores of the default run, or of several systems side by side."""
    systems = comparable_systems(reports, names or [DEFAULT])
    if names:
        tables = {"_".join(("results", *(system.name for system in systems))): comparison(systems)}
    else:
        short = [row for row in ROWS if row.name in SHORT]
        tables = {"results": default_run(systems[0]), "results_short": default_run(systems[0], short)}
    made = "; ".join(dict.fromkeys(system.evaluation.made or "machine not recorded" for system in systems))
    found = {name: page_of(name, write) for name in tables}
    for name, text in tables.items():
        show(name, text, found[name], made)


if __name__ == "__main__":
    run_command(main)
