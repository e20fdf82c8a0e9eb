"""When the commands of a longer one ran: ``make demo`` shows it at its end."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "SKETCH2VIDEO_DURATIONS"
"""Environment variable with the file to which each command appends a line; unset: none is kept."""

BEGUN, FILE = time.monotonic(), os.environ.pop(VARIABLE, None)
"""When this module was loaded, among the first ones of a command, and its file. Commands that it starts have none, as
their time is its own, but for those that get :func:`passed_on`."""

BAR = 40
"""Characters of the whole time."""


def record() -> None:
    """Append this process's arguments, its start and its seconds so far to the file that ``VARIABLE`` names.

    The start is that of the system's monotonic clock, which all processes share.
    """
    if not FILE:
        return
    words = [word for word in sys.argv[1:] if word != "--"]
    line = json.dumps({"command": " ".join(words), "begun": BEGUN, "seconds": time.monotonic() - BEGUN})
    with suppress(OSError), Path(FILE).open("a", encoding="utf-8") as stream:  # it must not hide a command's own error
        stream.write(f"{line}\n")


def passed_on() -> dict[str, str]:
    """Environment for the commands that this one starts: they are recorded, and this one is not."""
    global FILE
    if FILE:
        os.environ[VARIABLE], FILE = FILE, None
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def chart(file: Path, begun: float, total: float) -> str:
    """The commands of a file as lines of text, in the order of their start, with bars from start to end.

    Args:
        file: see ``VARIABLE``.
        begun: start of the whole, by the monotonic clock.
        total: seconds of the whole.

    Returns:
        Empty if no command was recorded.
    """
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    commands = sorted((json.loads(line) for line in lines), key=lambda command: command["begun"])
    if not commands:
        return ""
    width = max(len(command["command"]) for command in commands)
    rows = []
    for command in commands:
        first = min(BAR * (command["begun"] - begun) / total, BAR - 1)
        last = BAR * (command["begun"] - begun + command["seconds"]) / total
        bar = " " * int(first) + "#" * max(1, round(last) - int(first))
        rows.append(f"{command['command']:{width}}  {_clock(command['seconds'])}  {bar}")
    return "\n".join([*rows, f"{'all':{width}}  {_clock(total)}"])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3}:{int(seconds) % 60:02}"
