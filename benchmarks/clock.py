"""What a computation costs on one core: CPU time, and how much memory it adds.

CPU time, not wall time, so that other work on the machine does not count. Memory is the process's highest resident set
during the computation beyond the resident set before it; run each method in a process of its own, or memory that an
earlier one left behind is used again and not seen.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def clocked(compute: Callable[[], T]) -> tuple[T, float, float]:
    """The result of ``compute``, its CPU seconds, and the MiB that it needed at most."""
    _one_thread()
    before = _resident_before()
    with threadpool_limits(1):
        begin = time.process_time()
        result = compute()
        seconds = time.process_time() - begin
    return result, seconds, max(_peak() - before, 0) / 1024


def _one_thread() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _resident_before() -> int:
    """KiB now resident; the kernel's high-water mark starts anew from here where it can be told to."""
    try:
        _RESET.write_text("5")
        return _line("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    """High-water mark of the resident set, KiB."""
    return _line("VmHWM") if _STATUS.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _line(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
