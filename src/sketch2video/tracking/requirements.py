"""Pinned requirements of a part of this package: the distributions that it imports."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

from sketch2video.code import PACKAGE, imports_of, loaded_files


def requirements_of(*entries: Path) -> list[str]:
    """Requirements (``name==version``) of modules of this package and of all modules of the package that they import.

    Imports within functions count, too; modules of extras that are not installed do not. Versions are the installed
    ones, without a local version such as ``+cpu``.

    Args:
        entries: the modules' files.
    """
    files = set[Path]().union(*map(loaded_files, entries))
    modules = {module.partition(".")[0] for file in files for module, _ in imports_of(file)}
    top = modules - {PACKAGE.name, "__future__"} - set(sys.stdlib_module_names)
    known, own = packages_distributions(), {_normalised(name) for name in requires(PACKAGE.name) or ()}
    chosen = set()
    for name in top & known.keys():
        # Several distributions may provide one module, as opencv's do: this package's own requirement is preferred.
        found = known[name]
        chosen.add(next((one for one in found if _normalised(one) in own), found[0]))
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(chosen, key=str.lower)]


def _normalised(requirement: str) -> str:
    """The normalised name of a requirement (PEP 503)."""
    name = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else "").lower()
