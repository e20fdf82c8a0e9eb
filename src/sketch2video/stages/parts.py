"""Make a part of a system: train a network, or encode the clips with one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sketch2video.code import code_digest
from sketch2video.files import CODE, replacing, write_json
from sketch2video.params import Params, load_params
from sketch2video.systems.registry import find_part
from sketch2video.systems.spec import Part, named, named_file, report_folder

if TYPE_CHECKING:
    from sketch2video.tracking.runs import TrackedRun

CURVE = ("step", "learning_rate", "loss")
"""Columns of a loss curve."""


def make_part(owner: str, stage: str) -> dict[str, float]:
    """Make a part and its report, recorded in one MLflow run.

    A network is written to ``models/<owner>/<part>``, its metrics and loss curve to ``reports/<owner>``; data are
    written to ``data/<owner>/<part>``.

    Args:
        owner: a system, or "shared".
        stage: name of the stage, such as ``train_autoencoder``, or of the part.

    Returns:
        The metrics.

    Raises:
        UserError: there is no such part, or it cannot be made.
    """
    part, params = find_part(owner, stage), load_params()
    if part.is_data:
        return _make_data(owner, part, params)
    if reason := part.unneeded(params):
        return _leave_note(owner, part, reason)
    return _train(owner, part, params)


def _train(owner: str, part: Part, params: Params) -> dict[str, float]:
    from sketch2video.networks.processes import process_state

    output = part.folder(owner)
    with _part_run(owner, part, params) as run:
        result = named(part.make)(params, run, output, **part.arguments(params))
        if process_state().is_main_process:  # of those that `accelerate launch` starts
            write_json(output / CODE, {"code": part_code(part)})
            run.folder(output, "model")
            _report(owner, part.stage, result.metrics, result.history)
    metrics: dict[str, float] = result.metrics
    return metrics


def _make_data(owner: str, part: Part, params: Params) -> dict[str, float]:
    output = part.folder(owner)
    with _part_run(owner, part, params) as run:
        run.begin(None)
        values: dict[str, float] = named(part.make)(output, **part.arguments(params))
        write_json(output / CODE, {"code": part_code(part)})
        run.metrics(values, 0)
    return values


def _part_run(owner: str, part: Part, params: Params) -> AbstractContextManager[TrackedRun]:
    from sketch2video.tracking.runs import tracked_run  # loads slow libraries, which unneeded parts do without

    return tracked_run(run_name(owner, part.stage), recorded(params, *part.sections), description=part.title)


def _leave_note(owner: str, part: Part, reason: str) -> dict[str, float]:
    """Write the stage's outputs without a network, and without importing slow libraries."""
    with replacing(part.folder(owner)) as partial:
        partial.mkdir()
        if part.note:
            named(part.note)(partial, False, reason=reason)
    _report(owner, part.stage, {"trained": 0}, [])
    return {"trained": 0}


def _report(owner: str, stage: str, metrics: dict[str, float], history: list[dict[str, float]]) -> None:
    write_json(report_folder(owner) / f"{stage}.json", metrics)
    write_curve(report_folder(owner) / "plots" / f"{stage}.csv", history)


def write_curve(path: Path, history: list[dict[str, float]]) -> None:
    """Write a loss curve as CSV, atomically; without a training the table is empty."""
    import pandas as pd

    table = pd.DataFrame(history) if history else pd.DataFrame(columns=list(CURVE))
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


def part_code(part: Part) -> str:
    """Digest of the code in a part's folder and of all its imports."""
    module = named_file(part.make)
    return code_digest(*sorted(module.parent.glob("*.py")))


def run_name(owner: str, stage: str) -> str:
    """Name of a stage's runs."""
    return f"{owner}.{stage}"


def recorded(params: Params, *sections: str) -> dict[str, Any]:
    """The parameters that a run records: the section ``base`` and the given ones."""
    values = params.model_dump(by_alias=True)
    return {name: values[name] for name in ("base", *sections)}
