"""Comparison of all systems: one row for each system, one column for each metric, real clips in the first row.

Each system's evaluation writes ``evaluation.json`` and ``examples/`` into ``reports/<system>``. The comparison reads
these files alone and can be repeated at any time: it is a view, not an output of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sketch2video.errors import UserError
from sketch2video.evaluation.report import SYSTEMS_PAGE, in_order, judged_labels, percent, render
from sketch2video.evaluation.score_columns import COLUMNS, Column
from sketch2video.evaluation.scores import Evaluation, Score
from sketch2video.files import read_json, replacing, write_json
from sketch2video.systems.registry import DEFAULT, title_of

COMPARED = ("split", "clips", "captions", "frames", "size", "video_judge", "sketch_judge", "label_judge")
"""Fields of the protocol that must be equal for a comparison. Settings of the sampling may differ."""

REAL = "real clips"
"""Title of the first row."""

OUTSIDE = "†"
"""Mark of the columns whose scores are out of their domain."""


@dataclass(frozen=True)
class System:
    """A system with its evaluation.

    Attributes:
        name: name of the system.
        folder: folder of its report.
        evaluation: the results.
    """

    name: str
    folder: Path
    evaluation: Evaluation

    def score(self, column: Column) -> Score | None:
        """The value of a column, a score or a cost; None if there is none."""
        costs: dict[str, float] = {**self.evaluation.size, **self.evaluation.seconds()}
        if column.name in costs:
            return Score(costs[column.name])
        return self.evaluation.scores.get(column.name)

    def of_real(self, column: Column) -> float | None:
        """The score of real clips in a column; None if it is undefined."""
        scores = self.evaluation.scores
        if column.real:
            return scores[column.real].value if column.real in scores else None
        return scores[column.name].floor if column.name in scores else None


def compare(reports: Path = Path("reports"), names: Sequence[str] = ()) -> str:
    """Compare all systems that have been evaluated, or some; write ``systems.html``, ``.csv`` and ``.json``.

    Args:
        reports: folder of all reports, and of the output.
        names: names of systems; empty: all systems with an evaluation.

    Returns:
        The table as text.

    Raises:
        UserError: a system has no evaluation, its file is damaged, or the protocols differ.
    """
    return write_comparison(reports, comparable_systems(reports, names), {})


def comparable_systems(reports: Path, names: Sequence[str] = ()) -> list[System]:
    """The systems that :func:`compare` compares; see there."""
    folders = evaluated_folders(reports)
    if not folders:
        raise UserError(f"{reports} holds no evaluation; run `dvc repro` to make one")
    for name in names:
        if name not in folders:
            raise UserError(f"{name} has not been evaluated; choose one of {', '.join(folders)}")
    systems = [read_system(name, folder) for name, folder in folders.items() if not names or name in names]
    for other in systems[1:]:
        refuse_other_protocol(systems[0], other)
    return systems


def compare_with(name: str, reports: Path = Path("reports")) -> str:
    """Compare a system with all others that have the same protocol; the page lists the others with the reason.

    The stage ``evaluate`` calls it, so that the page is never older than a system's scores.

    Returns:
        The table as text.
    """
    folders = evaluated_folders(reports)
    own = read_system(name, folders[name])
    systems, left_out = [], {}
    for other, folder in folders.items():
        try:
            system = read_system(other, folder)
            refuse_other_protocol(own, system)
            systems.append(system)
        except UserError as error:
            left_out[other] = str(error)
    return write_comparison(reports, systems, left_out)


def evaluated_folders(reports: Path) -> dict[str, Path]:
    """Folders with an evaluation by their systems' names, the default system first.

    An evaluation in a folder below ``reports`` counts if the folder has the system's name.
    """
    found = {
        path.parent.name: path.parent
        for path in sorted(reports.glob("*/evaluation.json"))
        if path.is_file() and _system_of(path) == path.parent.name
    }
    return dict(sorted(found.items(), key=lambda one: one[0] != DEFAULT))


def _system_of(path: Path) -> str:
    """The system of a file of evaluation; the name of the folder if the file is damaged."""
    try:
        return str(read_json(path)["protocol"]["system"])
    except (UserError, KeyError, TypeError):
        return path.parent.name


def read_system(name: str, folder: Path) -> System:
    """A system's evaluation from its folder.

    Raises:
        UserError: the file is damaged, or another version of the project wrote it.
    """
    path = folder / "evaluation.json"
    try:
        values = read_json(path)
        scores = {key: _score(score) for key, score in values.pop("scores").items()}
        evaluation = Evaluation(scores=scores, **values)
        evaluation.seconds()
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not as this version writes it; evaluate {name} again") from error
    return System(name, folder, evaluation)


def refuse_other_protocol(a: System, b: System) -> None:
    """Check that two evaluations have the same protocol.

    Raises:
        UserError: the protocols differ; the message names each differing field with both values.
    """
    mine, other = a.evaluation.protocol, b.evaluation.protocol
    differing = [f"{key} ({mine.get(key)} and {other.get(key)})" for key in COMPARED if mine.get(key) != other.get(key)]
    if differing:
        raise UserError(
            f"{a.name} and {b.name} differ in {', '.join(differing)}; evaluate both with the same settings, or name"
            " other systems"
        )


def write_comparison(reports: Path, systems: Sequence[System], left_out: dict[str, str]) -> str:
    """Write ``systems.html``, ``systems.csv`` and ``systems.json``; return the table as lines of text.

    Args:
        reports: output folder.
        systems: at least one system, all with the same protocol.
        left_out: other systems, with the reason.
    """
    columns = columns_of(systems)
    real = {column.name: real_value(column, systems) for column in columns}
    best = {column.name: best_systems(column, systems) for column in columns}
    write_json(reports / "systems.json", _as_json(systems, columns, real, left_out))
    with replacing(reports / "systems.csv") as partial:
        _as_table(systems, columns, real).to_csv(partial, index=False)
    page = render(
        "systems.html.j2",
        systems=systems,
        columns=columns,
        real=real,
        best=best,
        headings={column.name: heading(column, systems) for column in columns},
        notes=notes(systems),
        protocol=systems[0].evaluation.protocol,
        gallery=gallery(systems),
        costs=_costs(systems),
        left_out=left_out,
        titles={system.name: title_of(system.name) for system in systems},
        links={system.name: (system.folder / "index.html").relative_to(reports).as_posix() for system in systems},
    )
    with replacing(reports / SYSTEMS_PAGE) as partial:
        partial.write_text(page, encoding="utf-8")
    return as_text(systems)


def columns_of(systems: Sequence[System], columns: Sequence[Column] | None = None) -> list[Column]:
    """The columns in which some system has a value; by default of all, those of the data's own labels among them."""
    every = (*COLUMNS[:1], *own_columns(systems), *COLUMNS[1:]) if columns is None else columns
    return [column for column in every if any(system.score(column) for system in systems)]


def own_columns(systems: Sequence[System]) -> list[Column]:
    """Columns of the labels that are not in ``COLUMNS``, in the order of the first system's scores."""
    known = {column.name for column in COLUMNS}
    labels = dict.fromkeys(label for system in systems for label in judged_labels(system.evaluation.scores))
    return [
        Column(f"faithfulness_{label}", label.replace("_", " "), "higher", f"judge_accuracy_{label}", percent)
        for label in labels
        if f"faithfulness_{label}" not in known
    ]


def real_value(column: Column, systems: Sequence[System]) -> float | None:
    """The score of real clips, which is the same for all systems with one protocol."""
    values = (system.of_real(column) for system in systems)
    return next((value for value in values if value is not None), None)


def domain_of(column: Column, systems: Sequence[System]) -> str:
    """What the clips are, if the scores of a column are out of their domain; else empty."""
    found = (score for system in systems if (score := system.score(column)))
    return next((str(score.protocol["domain"]) for score in found if score.out_of_domain), "")


def heading(column: Column, systems: Sequence[System]) -> str:
    """The title of a column with its direction, and with ``OUTSIDE`` if its scores are out of their domain."""
    return f"{column.title} {column.mark} {OUTSIDE if domain_of(column, systems) else ''}".strip()


def notes(systems: Sequence[System], columns: Sequence[Column] | None = None) -> list[str]:
    """Sentences that explain the mark ``OUTSIDE``; none if no column has it. Arguments of :func:`columns_of`."""
    domains = dict.fromkeys(domain_of(column, systems) for column in columns_of(systems, columns))
    return [f"{OUTSIDE} out of its domain: these are {domain}" for domain in domains if domain]


def best_systems(column: Column, systems: Sequence[System]) -> set[str]:
    """Names of the systems with the best value of a column; empty if there are not two that can be compared."""
    values = {system.name: score.value for system in systems if (score := system.score(column))}
    real = real_value(column, systems)
    if len(values) < 2 or column.better is None or (column.better == "real" and real is None):
        return set()
    if domain_of(column, systems):
        return set()

    def worth(value: float) -> float:
        if column.better == "real" and real is not None:
            return -abs(value - real)
        return value if column.better == "higher" else -value

    most = max(map(worth, values.values()))
    return {name for name, value in values.items() if worth(value) == most}


def gallery(systems: Sequence[System]) -> list[dict[str, Any]]:
    """The example clips of the first system: ``caption``, ``real`` and, by system, ``generated``, as bytes of WebP.

    A clip that a system has not is None.
    """
    kept = {system.name: {one["clip_id"]: one for one in system.evaluation.examples} for system in systems}

    def read(system: System, clip_id: str, which: str) -> bytes | None:
        one = kept[system.name].get(clip_id)
        path = system.folder / "examples" / one[which] if one else None
        return path.read_bytes() if path and path.is_file() else None

    first = systems[0]
    return [
        {
            "caption": one["caption"],
            "real": read(first, clip_id, "real"),
            "generated": {system.name: read(system, clip_id, "generated") for system in systems},
        }
        for clip_id, one in kept[first.name].items()
    ]


def as_text(systems: Sequence[System]) -> str:
    """The table as lines of text, without intervals, and with an asterisk after the best value of a column."""

    def cell(column: Column, score: Score | None, best: bool) -> str:
        return written(column, score.value if score else None) + "*" * best

    rows = table_rows(systems, cell)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes(systems)])


def table_rows(
    systems: Sequence[System],
    cell: Callable[[Column, Score | None, bool], str],
    columns: Sequence[Column] | None = None,
) -> list[list[str]]:
    """The table as cells: the titles, real clips, and a row a system.

    Args:
        systems: at least one system, all with the same protocol.
        cell: writes a system's value, which may be the best of its column.
        columns: those without any value are left out; None: all, see :func:`columns_of`.
    """
    shown = columns_of(systems, columns)
    best = {column.name: best_systems(column, systems) for column in shown}
    return [
        ["", *(heading(column, systems) for column in shown)],
        [REAL, *(written(column, real_value(column, systems)) for column in shown)],
        *(
            [system.name, *(cell(column, system.score(column), system.name in best[column.name]) for column in shown)]
            for system in systems
        ),
    ]


def written(column: Column, value: float | None) -> str:
    """A value as its column writes it; a dash for None."""
    return "–" if value is None else column.write(value)


def _as_table(systems: Sequence[System], columns: Sequence[Column], real: dict[str, float | None]) -> pd.DataFrame:
    """One row for real clips and one for each system, with the ends of intervals and the domain where there are any."""
    rows: list[dict[str, Any]] = [{"system": REAL, **real}]
    for system in systems:
        row: dict[str, Any] = {"system": system.name}
        for column in columns:
            score = system.score(column)
            row[column.name] = score.value if score else None
            if score and score.interval:
                row[f"{column.name}_low"], row[f"{column.name}_high"] = score.interval
            if score and score.out_of_domain:
                row[f"{column.name}_domain"] = score.protocol["domain"]
        rows.append(row)
    return pd.DataFrame(rows)


def _as_json(
    systems: Sequence[System], columns: Sequence[Column], real: dict[str, float | None], left_out: dict[str, str]
) -> dict[str, Any]:
    def described(system: System) -> dict[str, Any]:
        found = {column.name: score for column in columns if (score := system.score(column))}
        return {
            "model": system.evaluation.protocol["model"],
            "sampling": system.evaluation.protocol["sampling"],
            "scores": {
                name: {"value": score.value, "interval": score.interval}
                | ({"domain": score.protocol["domain"]} if score.out_of_domain else {})
                for name, score in found.items()
            },
            "seconds_per_clip": system.evaluation.seconds_per_clip,
        }

    protocol = {key: systems[0].evaluation.protocol.get(key) for key in COMPARED}
    return {
        "protocol": protocol,
        REAL: real,
        "systems": {system.name: described(system) for system in systems},
        "left_out": left_out,
    }


def _costs(systems: Sequence[System]) -> list[tuple[str, dict[str, float]]]:
    """Seconds by stage of every system, in batches and in batches of one."""
    costs = []
    for system in systems:
        batch = system.evaluation.protocol["sampling"]["batch_size"]
        for way, how in {"text": f"in batches of {batch}", "alone": "alone"}.items():
            costs.append((f"{system.name}, {how}", in_order(system.evaluation.seconds_per_clip[way])))
    return costs


def _score(values: dict[str, Any]) -> Score:
    interval = values.pop("interval")
    return Score(**values, interval=None if interval is None else (interval[0], interval[1]))
