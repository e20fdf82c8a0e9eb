"""Tables of evaluated systems: ``python -m benchmarks.results [SYSTEM ...] [--data NAME]``.

Without arguments the table is that of the default run, a measure a row; the one of ``README.md`` has its first rows.
With names it is what ``sketch2video compare`` prints of these systems, with intervals.
``--data sprites`` is for a run on other data: the names of its tables end in ``_sprites``, and of data with a judge of
their own there is a second table, of the classes that the judge finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.evaluation.class_scores import measures_of, scored_groups
from sketch2video.evaluation.compare import System, comparable_systems, notes, own_columns, table_rows, written
from sketch2video.evaluation.report import CLASS_TITLES, number, percent
from sketch2video.evaluation.score_columns import COLUMNS, Column
from sketch2video.evaluation.scores import Score
from sketch2video.judges.faithfulness import in_words
from sketch2video.systems.registry import DEFAULT

SKETCH = Column("sketch_faithfulness_joint", "the sketch alone", "higher", "sketch_judge_accuracy_joint", percent)
COSTS = ("latent_numbers", "parameters", "seconds_batch", "seconds_alone")
ROWS = (COLUMNS[0], SKETCH, *(column for column in COLUMNS[1:] if column.name not in COSTS))
"""Of the table of the default run."""
SHORT = ("faithfulness_joint", "sketch_faithfulness_joint", "fvd_embedded", "fvd_labels")
"""Those in ``README.md``."""
WAYS = {"from text": "", "over fitted curves": "_fitted"}
"""Ways to generate, and how the names of their scores end."""
WITH_INTERVAL = (*SHORT, "kvd_embedded", "kvd_labels")


def cell(column: Column, score: Score | None, best: bool) -> str:
    """A value, bold if it is the best of its column, with its interval."""
    text = written(column, score.value if score else None)
    text = f"**{text}**" if best else text
    if score is None or score.interval is None or column.name not in WITH_INTERVAL:
        return text
    return f"{text} [{', '.join(column.write(end).rstrip('%') for end in score.interval)}]"


def default_run(system: System, rows: Sequence[Column] = ROWS) -> str:
    """A system's scores as a table: a row a measure, a column a way to generate."""
    rows = (*rows[:1], *own_columns([system]), *rows[1:])
    ways = []
    for way, end in WAYS.items():
        scores = system.evaluation.scores
        ended = {row.name: scores[row.name + end] for row in rows if row.name + end in scores}
        ways.append(System(way, system.folder, replace(system.evaluation, scores=ended if end else scores)))
    head, *lines = zip(*table_rows(ways, lambda column, score, _: cell(column, score, False), rows), strict=True)
    return "\n\n".join([as_table(head, lines), *notes(ways, rows)])


def classes(system: System) -> str:
    """What the judge of the data's labels finds, a row a label: from text, from the other way, and in real clips.

    Empty if the data have no such judge.
    """
    scores, rows = system.evaluation.scores, []
    for name, score in scored_groups(scores).items():
        ways = [found for end in WAYS.values() if (found := measures_of(scores, name, end))]
        cells = []
        for measure in CLASS_TITLES:
            write = percent if measure == "accuracy" else number
            of_ways = ", ".join(write(way[measure].value) for way in ways)
            floor = ways[0][measure].floor
            cells.append(f"{of_ways} ({'–' if floor is None else write(floor)})")
        rows.append([in_words(score.protocol["labels"]), str(score.protocol["classes"]), *cells])
    if not rows:
        return ""
    way = ", ".join(list(WAYS)[: len(ways)])
    return f"{way} (real clips):\n\n{as_table(['label', 'classes', *CLASS_TITLES.values()], rows)}"


def comparison(systems: Sequence[System]) -> str:
    """The systems as a table, one a row."""
    head, *rows = table_rows(systems, cell)
    return "\n\n".join([as_table(head, rows), *notes(systems)])


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...", help="To compare.")] = None,
    data: Annotated[str, typer.Option(help="Name of the data, if not the default: ends the tables' names.")] = "",
    reports: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
    write: Write = False,
) -> None:
    """Show the scores of the default run, or of several systems side by side."""
    systems = comparable_systems(reports, names or [DEFAULT])
    if names:
        tables = {"_".join(("results", *(system.name for system in systems))): comparison(systems)}
    elif data:
        tables = {"results": default_run(systems[0]), "classes": classes(systems[0])}
    else:
        short = [row for row in ROWS if row.name in SHORT]
        tables = {"results": default_run(systems[0]), "results_short": default_run(systems[0], short)}
    tables = {f"{name}_{data}" if data else name: text for name, text in tables.items() if text}
    made = "; ".join(dict.fromkeys(system.evaluation.made or "machine not recorded" for system in systems))
    found = {name: page_of(name, write) for name in tables}
    for name, text in tables.items():
        show(name, text, found[name], made)


if __name__ == "__main__":
    run_command(main)
