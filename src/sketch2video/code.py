"""Digests of code, what results depend on besides parameters and inputs, and the files that a module imports.

A module's code is its own and that of everything of this package that it imports (:func:`imported_files`), so that
no list has to be maintained.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from sketch2video.files import sha256_of_value

PACKAGE = Path(__file__).resolve().parent

NOT_RESULTS = frozenset(
    {
        "errors.py",
        "durations.py",
        "params",
        "files.py",
        "git.py",
        "code.py",
        "training/previews.py",
        "tracking",
        "stages",
        "cli",
    }
    | {"compiled.py", "systems/registry.py", "systems/spec.py", "evaluation/provenance.py"}
)
"""Code that does not affect results: error messages, reading of parameters (which are compared by value), previews, the
record of the machine, compilation, and the code that calls the rest."""


def imported_files(entry: Path) -> set[Path]:
    """A file and all files of this package whose code decides its results: those that it imports, directly or not.

    For a name that a package re-exports, the file that defines it counts. ``NOT_RESULTS`` are excluded.

    Args:
        entry: a Python file; need not be of this package.
    """
    return _reached(entry, _deciding_files)


def loaded_files(entry: Path) -> set[Path]:
    """A file and all files of this package that Python loads with it, directly or not.

    Packages count with every module in them that is imported, as does code that does not affect results.

    Args:
        entry: a Python file; need not be of this package.
    """
    return _reached(entry, _loaded_files)


@cache  # files of a running process do not change
def imports_of(file: Path) -> tuple[tuple[str, str], ...]:
    """All imports of a file, within functions, too.

    Returns:
        Pairs of a module and a name: ``import a.b`` is ("a.b", ""), ``from a import b`` is ("a", "b").
    """
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return tuple(found)


def _reached(entry: Path, files_of: Callable[[str, str], Sequence[Path]]) -> set[Path]:
    """A file and all files that it reaches by imports of this package.

    Args:
        entry: the file.
        files_of: from module and name of an import of this package to the files that count for it.
    """
    seen, waiting = set[Path](), [entry.resolve()]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for module, name in imports_of(file):
            if module.partition(".")[0] == PACKAGE.name:
                waiting += files_of(module, name)
    return seen


@cache
def _deciding_files(module: str, name: str) -> tuple[Path, ...]:
    if not name:
        return ()
    file = defining_file(module, name)
    parts = file.relative_to(PACKAGE).parts
    return () if NOT_RESULTS & {parts[0], "/".join(parts)} else (file,)


@cache
def _loaded_files(module: str, name: str) -> tuple[Path, ...]:
    parts = f"{module}.{name}".split(".")[1:]  # a name may be a module
    paths = [PACKAGE.joinpath(*parts[:end]) for end in range(len(parts) + 1)]
    candidates = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return tuple(file for file in candidates if file.is_file())


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
