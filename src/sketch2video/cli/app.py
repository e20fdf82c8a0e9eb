"""The application of the command line, its panels and its exit codes."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from typing import Annotated

import typer

from sketch2video.errors import border

# Commands import their modules on demand, so that `--help` is fast.

app = typer.Typer(
    name="sketch2video",
    help="Text to hand-drawn sketch to video. The commands read params.yaml in the current folder; "
    "`dvc repro` runs the stages in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

STAGES = "Stages (run by DVC)"
PARAMETERS = "Parameters"
DATA = "Data"
MODELS = "Models"
DRAWINGS = "Drawings (in any folder)"
SCORES = "Scores"


def _show_version(requested: bool) -> None:
    if requested:
        from sketch2video import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    from sketch2video.tracking.environment import quiet

    quiet()


def main() -> None:
    """Run the command line; errors that the user can fix end it with one line on stderr and exit code 2."""
    with suppress(AttributeError):  # stdout may be replaced by another object
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Importing the libraries creates millions of objects that live to the end. Without repeated searches for cycles
    # among them, and without one at the exit, `sketch2video generate` with two prompts takes 5.2 s instead of 7.5 s.
    gc.set_threshold(100_000, 50, 100)
    try:
        with border("sketch2video"):
            app()
    finally:
        gc.freeze()
