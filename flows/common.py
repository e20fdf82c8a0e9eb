"""Run functions as Prefect flows, with one line for errors that the user can fix."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, cast

from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Failed

from sketch2video.errors import UserError, border, refusal
from sketch2video.guard import guarded

UNREACHABLE = "Failed to reach API"
"""Prefect's message, before the flow begins, if its server does not respond."""
REFUSED = "Refused"
"""Name of the failed state after a :class:`UserError`; its message names the fix."""


def stage_flow(function: Callable[..., Any]) -> Flow[..., Any]:
    """Make a flow of a function, named after it; errors that the user can fix become failed states, not tracebacks."""

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
    """Run a flow as a command: exit code 2 and one line for errors that the user can fix, 1 for other failures."""
    os.environ.update(guarded(os.environ))  # without a server given, Prefect starts one
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
        sys.exit(1)  # Prefect has logged the reason


def publish(stage: str, values: dict[str, float]) -> None:
    """Show values as a table in Prefect, under the key of the stage."""
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in values.items())
    show(stage, f"| {stage} | value |\n|---|---|\n{rows}\n", f"Stage {stage}")


def show(key: str, markdown: str, description: str) -> None:
    """Show Markdown in Prefect, under a key."""
    create_markdown_artifact(
        key="".join(c if c.isalnum() else "-" for c in key.lower()), markdown=markdown, description=description
    )
