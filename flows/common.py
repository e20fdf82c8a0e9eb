"""What the flows share: how a stage of the graph runs, and how a user's mistake ends it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Failed

from sketch2video.errors import UserError, border, refusal
from sketch2video.files import replacing, write_json
from sketch2video.params import Params, load_params
from sketch2video.tracking.runs import tracked_run
from sketch2video.training.loop import RunLogger, TrainResult

MODELS = Path("models")
REPORTS = Path("reports")
UNREACHABLE = "Failed to reach API"
"""How Prefect says, before the flow begins, that its server does not answer."""
REFUSED = "Refused"
"""Name of the failed state that a :class:`UserError` leaves; its message names the fix."""


def stage_flow(function: Callable[..., Any]) -> Flow[..., Any]:
    """Make a flow of a function, named after it, in which what a user can fix is a failed state, not a traceback."""

    @functools.wraps(function)
    def body(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            refused = refusal(error)
            if refused is None:
                raise
            return Failed(name=REFUSED, message=str(refused))

    return flow(body)


def execute(stage: Flow[..., Any], *args: Any, **kwargs: Any) -> None:
    """Run a flow as a command: exit code 2 and one line after what a user can fix, 1 after any other failure."""
    with border(stage.name):
        try:
            state = cast(State[Any], stage(*args, return_state=True, **kwargs))
        except RuntimeError as error:
            if UNREACHABLE not in str(error):
                raise
            raise UserError(f"{error}; start that Prefect server, or unset PREFECT_API_URL") from error
        if state.name == REFUSED:
            raise UserError(*str(state.message).split("\n  "))  # the message and the details
    if not state.is_completed():
        sys.exit(1)  # Prefect has logged why


def run_training(
    section: str,
    train: Callable[[Params, RunLogger, Path], TrainResult],
    models: Path = MODELS,
    reports: Path = REPORTS,
    run_name: str | None = None,
    others: Sequence[str] = (),
) -> dict[str, float]:
    """Train one network as stage ``train_<section>``.

    The model goes to ``models/<section>``, metrics and loss curve to ``reports/``, all of it into an MLflow run, and a
    table of the metrics to Prefect.

    Args:
        section: of the parameters, and the model's name.
        train: see :mod:`sketch2video.training`.
        models, reports: where they go.
        run_name: of the MLflow run and the table; None: the stage's name.
        others: further sections of the parameters that the run records.

    Returns:
        The metrics.
    """
    params = load_params()
    stage, output = f"train_{section}", models / section
    with tracked_run(run_name or stage, recorded(params, section, *others)) as run:
        result = train(params, run, output)
        run.folder(output, "model")
    write_json(reports / f"{stage}.json", result.metrics)
    write_curve(reports / "plots" / f"{stage}.csv", result.history)
    publish(run_name or stage, result.metrics)
    return result.metrics


def recorded(params: Params, *sections: str) -> dict[str, Any]:
    """The parameters that a run records: the section ``base`` and those that are named."""
    values = params.model_dump(by_alias=True)
    return {name: values[name] for name in ("base", *sections)}


def write_curve(path: Path, history: list[dict[str, float]]) -> None:
    """Write a loss curve as CSV, atomically; a network that was not trained has a curve without points."""
    table = pd.DataFrame(history) if history else pd.DataFrame(columns=["step", "learning_rate", "loss"])
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


def publish(stage: str, values: dict[str, float]) -> None:
    """Show values as a table in Prefect, under the key of the stage."""
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in values.items())
    create_markdown_artifact(
        key=stage.replace("_", "-"), markdown=f"| {stage} | value |\n|---|---|\n{rows}\n", description=f"Stage {stage}"
    )
