"""What git says about a folder, for records of where results come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

PATIENCE = 30
"""Seconds that git may take."""


def git(*words: str, folder: Path = Path()) -> str | None:
    """What git prints, without the last line end; None without git or a repository, or if it fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
