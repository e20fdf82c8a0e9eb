"""All systems side by side: one row a system, one column a metric, real clips in the head.

Each system's evaluation leaves ``evaluation.json`` and ``examples/`` in a folder of its own, ``reports/<system>``. The
comparison reads these files alone, so that it can be made again at any time: it is a view, not an output of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sketch2video.errors import UserError
from sketch2video.evaluation.report import SYSTEMS_PAGE, in_order, number, percent, render
from sketch2video.evaluation.scores import Evaluation, Score
from sketch2video.files import read_json, replacing, write_json
from sketch2video.systems.registry import DEFAULT

COMPARED = ("split", "clips", "captions", "frames", "size", "video_judge", "sketch_judge")
"""What must be the same for scores to stand in one table. How a system is sampled is its own choice."""

REAL = "real clips"
"""How the first row is called."""


@dataclass(frozen=True)
class Column:
    """A metric of the table.

    Attributes:
        name: of the score, or of the number of what the system costs.
        title: in words.
        better: which values are: higher ones, lower ones, those nearest to real clips; None where that is no question.
        real: the score of real clips; None: the score's own floor.
        write: how a value is written.
    """

    name: str
    title: str
    better: Literal["higher", "lower", "real"] | None
    real: str | None = None
    write: Callable[[float], str] = number

    @property
    def mark(self) -> str:
        """The direction as a sign."""
        return {"higher": "↑", "lower": "↓", "real": "≈", None: ""}[self.better]


def _count(value: float) -> str:
    return f"{value:,.0f}"


COLUMNS = (
    Column("faithfulness_joint", "all as asked", "higher", "judge_accuracy_joint", percent),
    Column("faithfulness_shape", "shape", "higher", "judge_accuracy_shape", percent),
    Column("faithfulness_colour", "colour", "higher", "judge_accuracy_colour", percent),
    Column("faithfulness_motion", "motion", "higher", "judge_accuracy_motion", percent),
    Column("fvd_embedded", "fvd_embedded", "lower"),
    Column("kvd_embedded", "kvd_embedded", "lower"),
    # Above that of real clips it counts what nobody asked for: things the captions do not show.
    Column("is_embedded", "is_embedded", "real", "is_embedded_real"),
    Column("flicker", "flicker", "real"),
    Column("background_drift", "background drift", "real"),
    Column("sharpness_ratio", "sharpness", "real"),
    Column("motion_ratio", "amount of motion", "real"),
    Column("latent_numbers", "latent numbers a frame", None, write=_count),
    Column("parameters", "parameters", None, write=_count),
    Column("seconds_batch", "seconds in a batch", "lower"),
    Column("seconds_alone", "seconds alone", "lower"),
)
"""The table's columns, in their order; those that no system has a value for are left out."""


@dataclass(frozen=True)
class System:
    """A system that was evaluated.

    Attributes:
        name: of the system.
        folder: of its report.
        evaluation: what was found.
    """

    name: str
    folder: Path
    evaluation: Evaluation

    def score(self, column: Column) -> Score | None:
        """What stands in a column: a score, or what the system costs; None if it has no such number."""
        costs: dict[str, float] = {**self.evaluation.size, **self.evaluation.seconds()}
        if column.name in costs:
            return Score(costs[column.name])
        return self.evaluation.scores.get(column.name)

    def of_real(self, column: Column) -> float | None:
        """What real clips score in a column; None where that means nothing."""
        scores = self.evaluation.scores
        if column.real:
            return scores[column.real].value if column.real in scores else None
        return scores[column.name].floor if column.name in scores else None


def compare(reports: Path = Path("reports"), names: Sequence[str] = ()) -> str:
    """Compare all systems that have been evaluated, or some; write ``systems.html``, ``.csv`` and ``.json``.

    Args:
        reports: folder of all reports; the files go there.
        names: of systems; none: all that are there.

    Returns:
        The table, to be printed.

    Raises:
        UserError: a system has no evaluation, its file is damaged, or the systems were not evaluated alike.
    """
    folders = evaluated_folders(reports)
    if not folders:
        raise UserError(f"{reports} holds no evaluation; run `dvc repro` to make one")
    for name in names:
        if name not in folders:
            raise UserError(f"{name} has not been evaluated; choose one of {', '.join(folders)}")
    systems = [read_system(name, folder) for name, folder in folders.items() if not names or name in names]
    for other in systems[1:]:
        refuse_other_protocol(systems[0], other)
    return write_comparison(reports, systems, {})


def compare_with(name: str, reports: Path = Path("reports")) -> str:
    """Compare a system with all others that were evaluated like it; the page says why others are left out.

    What the stage ``evaluate`` ends with, so that the page is never older than a system's scores.

    Returns:
        The table, to be printed.
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
    """The system that a file of evaluation is of; of a damaged one the folder tells."""
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
    """Refuse to put scores into one table that were not made alike.

    Raises:
        UserError: a field of the protocol differs; the message names each with both values.
    """
    mine, other = a.evaluation.protocol, b.evaluation.protocol
    differing = [f"{key} ({mine.get(key)} and {other.get(key)})" for key in COMPARED if mine.get(key) != other.get(key)]
    if differing:
        raise UserError(
            f"{a.name} and {b.name} differ in {', '.join(differing)}; evaluate both alike, or name systems that belong"
            " together"
        )


def write_comparison(reports: Path, systems: Sequence[System], left_out: dict[str, str]) -> str:
    """Write ``systems.html``, ``systems.csv`` and ``systems.json``; return the table as lines of text.

    Args:
        reports: where they go.
        systems: evaluated alike, at least one.
        left_out: other systems, and why they are.
    """
    columns = [column for column in COLUMNS if any(system.score(column) for system in systems)]
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
        protocol=systems[0].evaluation.protocol,
        gallery=gallery(systems),
        costs=_costs(systems),
        left_out=left_out,
        links={system.name: (system.folder / "index.html").relative_to(reports).as_posix() for system in systems},
    )
    with replacing(reports / SYSTEMS_PAGE) as partial:
        partial.write_text(page, encoding="utf-8")
    return as_text(systems, columns, real, best)


def real_value(column: Column, systems: Sequence[System]) -> float | None:
    """What real clips score: the same for all systems, since they were evaluated alike."""
    values = (system.of_real(column) for system in systems)
    return next((value for value in values if value is not None), None)


def best_systems(column: Column, systems: Sequence[System]) -> set[str]:
    """Names of the systems with the best value of a column; none where nothing competes."""
    values = {system.name: score.value for system in systems if (score := system.score(column))}
    real = real_value(column, systems)
    if len(values) < 2 or column.better is None or (column.better == "real" and real is None):
        return set()

    def worth(value: float) -> float:
        if column.better == "real" and real is not None:
            return -abs(value - real)
        return value if column.better == "higher" else -value

    most = max(map(worth, values.values()))
    return {name for name, value in values.items() if worth(value) == most}


def gallery(systems: Sequence[System]) -> list[dict[str, Any]]:
    """The clips that the first system kept: ``caption``, ``real`` and, by system, ``generated``, as bytes of WebP.

    A clip that a system did not keep is None.
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


def as_text(
    systems: Sequence[System], columns: Sequence[Column], real: dict[str, float | None], best: dict[str, set[str]]
) -> str:
    """The table as lines of text: without intervals, an asterisk behind the best value of a column."""
    rows = [["", *(f"{column.title} {column.mark}".strip() for column in columns)]]
    rows.append([REAL, *(_written(column, real[column.name]) for column in columns)])
    for system in systems:
        row = [system.name]
        for column in columns:
            score = system.score(column)
            star = "*" if system.name in best[column.name] else ""
            row.append(_written(column, score.value if score else None) + star)
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _written(column: Column, value: float | None) -> str:
    return "–" if value is None else column.write(value)


def _as_table(systems: Sequence[System], columns: Sequence[Column], real: dict[str, float | None]) -> pd.DataFrame:
    """A row for real clips and one a system; of every score also the ends of its interval, if any system has one."""
    rows: list[dict[str, Any]] = [{"system": REAL, **real}]
    for system in systems:
        row: dict[str, Any] = {"system": system.name}
        for column in columns:
            score = system.score(column)
            row[column.name] = score.value if score else None
            if score and score.interval:
                row[f"{column.name}_low"], row[f"{column.name}_high"] = score.interval
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
            "scores": {name: {"value": score.value, "interval": score.interval} for name, score in found.items()},
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
    """Seconds by stage of every system, in batches and alone."""
    costs = []
    for system in systems:
        batch = system.evaluation.protocol["sampling"]["batch_size"]
        for way, how in {"text": f"in batches of {batch}", "alone": "alone"}.items():
            costs.append((f"{system.name}, {how}", in_order(system.evaluation.seconds_per_clip[way])))
    return costs


def _score(values: dict[str, Any]) -> Score:
    interval = values.pop("interval")
    return Score(**values, interval=None if interval is None else (interval[0], interval[1]))
