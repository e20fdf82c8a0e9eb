"""What a computation costs on one core: CPU time, and how much memory it adds.

CPU time, not wall time, so that other work on the machine does not count. Memory is the process's highest resident set
beyond the one before: measure in a process of its own, or memory that was used before is used again and not seen.
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


def clocked(compute: Callable[[], T]) -> tuple[T, float]:
    """The result of ``compute`` and its CPU seconds on one core."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        begin = time.process_time()
        result = compute()
        return result, time.process_time() - begin


def weighed(compute: Callable[[], T]) -> tuple[T, float]:
    """The result of ``compute`` and the MiB that it added to the resident set at most."""
    before = _resident_before()
    result = compute()
    return result, max(_peak() - before, 0) / 1024


def _resident_before() -> int:
    """Resident memory in KiB; resets the kernel's high-water mark if possible."""
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
