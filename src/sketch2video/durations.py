"""How long the commands of a longer one took: ``make demo`` shows it at its end."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

VARIABLE = "SKETCH2VIDEO_DURATIONS"
"""Environment variable with the file to which each command appends a line; unset: none is kept."""

BEGUN, FILE = time.monotonic(), os.environ.pop(VARIABLE, None)
"""When this module was loaded, among the first ones of a command, and its file. Commands that it starts have none, as
their time is its own."""

BAR = 30
"""Characters of the longest bar."""


def record() -> None:
    """Append this process's arguments and its seconds so far to the file that ``VARIABLE`` names."""
    if not FILE:
        return
    words = [word for word in sys.argv[1:] if word != "--"]
    line = json.dumps({"command": " ".join(words), "seconds": time.monotonic() - BEGUN})
    with Path(FILE).open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")


def chart(file: Path, total: float) -> str:
    """The commands of a file as lines of text with bars, in order.

    Args:
        file: see ``VARIABLE``.
        total: seconds of the whole, of which what is left was spent between the commands.

    Returns:
        Empty if no command was recorded.
    """
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    seconds = [(entry["command"], entry["seconds"]) for entry in map(json.loads, lines)]
    if not seconds:
        return ""
    seconds.append(("between commands", max(0.0, total - sum(value for _, value in seconds))))
    width, longest = max(len(name) for name, _ in seconds), max(value for _, value in seconds)
    rows = [
        f"{name:{width}}  {_clock(value)}  {100 * value / total:3.0f}%  {'#' * round(BAR * value / longest)}".rstrip()
        for name, value in seconds
    ]
    return "\n".join([*rows, f"{'all':{width}}  {_clock(total)}"])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3}:{int(seconds) % 60:02}"
