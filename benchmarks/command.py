"""How a benchmark is run from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from sketch2video.errors import UserError


def run(main: Callable[..., None]) -> None:
    """Run ``main`` with the arguments of the command line; a :class:`UserError` is one line and exit code 2."""
    try:
        typer.run(main)
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
