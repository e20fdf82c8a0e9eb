"""Pinned requirements of a part of this package: the distributions that it imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

PACKAGE = "sketch2video"
_ROOT = Path(__file__).parents[2]


def requirements_of(*entries: Path) -> list[str]:
    """Requirements (``name==version``) of modules of this package and of all modules of the package that they import.

    Imports within functions count, too. Versions are the installed ones, without a local version such as ``+cpu``.

    Args:
        entries: the modules' files.
    """
    modules = {name for entry in entries for file in _closure(entry) for name in _imported(file)}
    top = {name.partition(".")[0] for name in modules} - {PACKAGE, "__future__"} - set(sys.stdlib_module_names)
    known, own = packages_distributions(), {_normalised(name) for name in requires(PACKAGE) or ()}
    chosen = set()
    for name in top:
        # Several distributions may provide one module, as opencv's do: this package's own requirement is preferred.
        found = known.get(name, [name])
        chosen.add(next((one for one in found if _normalised(one) in own), found[0]))
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(chosen, key=str.lower)]


def _closure(entry: Path) -> set[Path]:
    """A file and all files of this package that it imports, directly or not."""
    visited, waiting = set[Path](), [entry]
    while waiting:
        file = waiting.pop()
        if file in visited:
            continue
        visited.add(file)
        for name in _imported(file):
            parts = name.split(".")
            if parts[0] == PACKAGE:
                for end in range(1, len(parts) + 1):
                    path = _ROOT.joinpath(*parts[:end])
                    waiting += [one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()]
    return visited


def _imported(file: Path) -> Iterator[str]:
    """Names that a file imports: modules, and members that may be modules."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _normalised(requirement: str) -> str:
    """The normalised name of a requirement (PEP 503)."""
    name = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else "").lower()
