"""How a benchmark is run from the command line, and how a long one reports its progress."""

from __future__ import annotations

import time
from collections.abc import Callable

import typer

from sketch2video.errors import border


def run(main: Callable[..., None]) -> None:
    """Run ``main`` with the arguments of the command line; what a user can fix is one line and exit code 2."""
    with border("benchmarks"):
        typer.run(main)


def log(line: str) -> None:
    """Print a line with the time of day."""
    print(time.strftime("%H:%M:%S"), line, flush=True)
