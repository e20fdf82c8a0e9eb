"""Where and when something is measured."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import torch

from sketch2video.git import git
from sketch2video.networks.precision import precision

CODE = ("src", "benchmarks", "params.yaml")
"""What results depend on, in the working directory."""


def provenance() -> str:
    """CPU, cores and threads, precision of trainings, GPU, date (UTC) and commit, in one line."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    threads, kind = torch.get_num_threads(), "bf16" if precision() == "bf16" else "fp32"
    machine = f"{cpu()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads != 1)}, {kind}, {gpu}"
    return f"{machine}, {datetime.now(UTC):%Y-%m-%d}, {commit()}"


def cpu() -> str:
    """The CPU's model."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def commit() -> str:
    """The commit in the working directory, and whether code or parameters differ from it."""
    head = git("rev-parse", "--short", "HEAD")
    return f"commit {head}{' with changes' * bool(git('status', '--porcelain', '--', *CODE))}" if head else "no commit"
