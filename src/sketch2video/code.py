"""Digests of code: what results depend on besides parameters and inputs.

A module's code is its own and that of everything of this package that it imports (:func:`imported_files`), so that
no list has to be maintained.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from sketch2video.files import sha256_of_value

PACKAGE = Path(__file__).resolve().parent

NOT_RESULTS = frozenset(
    {"errors.py", "params", "files.py", "code.py", "training/previews.py", "tracking", "stages", "cli"}
    | {"systems/registry.py", "systems/spec.py", "evaluation/provenance.py"}
)
"""Code that does not affect results: error messages, reading of parameters (which are compared by value), previews, the
record of the machine, and the code that calls the rest."""


def imported_files(entry: Path) -> set[Path]:
    """A file and all files of this package that it imports, directly or not, within functions, too.

    For a name that a package re-exports, the file that defines it counts. ``NOT_RESULTS`` are excluded.

    Args:
        entry: a Python file; need not be of this package.
    """
    seen, waiting = set[Path](), [entry.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imports_of(file)
    return seen


def code_digest(*entries: ModuleType | Path | str) -> str:
    """Hexadecimal SHA-256 over the code of modules, or files, and of all that they import."""
    paths = [Path(str(entry.__file__)) if isinstance(entry, ModuleType) else Path(entry) for entry in entries]
    files = set[Path]().union(*(imported_files(path) for path in paths))
    return sha256_of_value({_name(file): _code_of(file) for file in files})


def code_of(path: Path) -> str:
    """Syntax tree of a source file without comments, docstrings and formatting, as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A string that is a statement has no effect: the docstring of a function or of the constant before it.
            node.body = [one for one in node.body if not _is_text(one)] or [ast.Pass()]
    return ast.dump(tree)


_code_of = cache(code_of)  # code of a running process does not change


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else file.name


@cache
def _imports_of(file: Path) -> tuple[Path, ...]:
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE.name}."):
            for alias in node.names:
                found = defining_file(str(node.module), alias.name)
                parts = found.relative_to(PACKAGE).parts
                if not NOT_RESULTS & {parts[0], "/".join(parts)}:
                    yield found


def defining_file(module: str, name: str) -> Path:
    """The file of this package that defines the ``name`` of ``from module import name``.

    Raises:
        ModuleNotFoundError: there is no such file.
    """
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (path / name / "__init__.py", path / f"{name}.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    package = path / "__init__.py"
    if not package.exists():
        raise ModuleNotFoundError(f"{module} does not exist")
    for node in ast.walk(ast.parse(package.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
            return defining_file(str(node.module), name)
    return package
