"""Processes that end when the process that started them ends, also if that one is killed (SIGKILL).

A killed process cannot end its children, and its children get a new parent. A watcher does it instead: it waits for the
end of the process, and then ends all processes that have a mark in their environment. Environments are inherited, so
that the mark reaches all descendants, also those of programs such as ``make`` and of processes in other sessions.
Build servers end the processes of a build in this way (``BUILD_ID`` in Jenkins).

Run as a script, this file is the watcher: ``python guard.py MARK PID``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping

import psutil

MARKS = "SKETCH2VIDEO_ENDS_WITH"
"""Environment variable with the marks of a process, separated by spaces."""

INTERVAL = 0.5
"""Time in seconds between two looks of a watcher."""

PATIENCE = 5.0
"""Time in seconds between SIGTERM and SIGKILL."""


def guarded(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, marked: processes that are started with it, and their descendants, end when this one ends.

    Example:
        >>> subprocess.run(["make", "demo"], env=guarded(os.environ))  # doctest: +SKIP
    """
    marks, mark = environment.get(MARKS, "").split(), _watcher(os.getpid())
    return {**environment, MARKS: " ".join([*marks, *{mark}.difference(marks)])}


@functools.cache  # one watcher a process; the key differs in forked processes
def _watcher(pid: int) -> str:
    """Start a watcher of a process; returns its mark."""
    mark = uuid.uuid4().hex
    # Not marked, in a session of its own and without this process's files: nothing else ends it, nothing waits for it.
    subprocess.Popen(
        [sys.executable, "-P", __file__, mark, str(pid)],
        env={name: value for name, value in os.environ.items() if name != MARKS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return mark


def _watch(mark: str, pid: int) -> None:
    """Wait until a process has ended, then end all marked processes: SIGTERM, later SIGKILL."""
    try:
        watched = psutil.Process(pid)
        while watched.is_running() and watched.status() != psutil.STATUS_ZOMBIE:
            time.sleep(INTERVAL)
    except psutil.NoSuchProcess:
        pass
    ending = _send(mark, signal.SIGTERM)
    psutil.wait_procs(ending, PATIENCE)
    while ending := _send(mark, signal.SIGKILL):  # until there is none, since a process may have started others
        psutil.wait_procs(ending, PATIENCE)


def _send(mark: str, number: signal.Signals) -> list[psutil.Process]:
    """Send a signal to all marked processes; returns them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or is another user's
            if mark in process.environ().get(MARKS, "").split():
                process.send_signal(number)
                found.append(process)
    return found


if __name__ == "__main__":
    _watch(sys.argv[1], int(sys.argv[2]))
