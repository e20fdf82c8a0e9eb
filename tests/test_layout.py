"""How the package is laid out: imports point one way, and no file is long."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from sketch2video.code import PACKAGE

LAYERS = (
    ("compiled.py", "durations.py", "errors.py", "files.py", "git.py", "code.py", "guard.py"),
    ("inputs",),
    ("params",),
    ("media", "scenes"),
    ("data",),
    ("networks",),
    ("training",),
    ("sketches",),
    ("curves", "svg", "trainer_data"),
    ("text",),
    ("video_loader.py",),
    ("controls",),
    ("curve_vae",),
    ("autoencoder",),
    ("diffusion",),
    ("tokens",),
    ("steadiness",),
    ("bases",),
    ("pipelines",),
    ("systems",),
    ("generation",),
    ("judges",),
    ("scoring",),
    ("evaluation",),
    ("tracking",),
    ("stages",),
    ("studio",),
    ("profiles.py", "preflight.py", "cli", "__init__.py"),
)
"""Folders and files of the package from the ground up: imports go from later lines to earlier ones, or stay in one."""

QUIET = "tracking/environment.py"
"""Sets environment variables before any library is loaded; imports nothing."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def modules_imported(file):
    """Files of the package that a file imports, packages as their ``__init__``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("sketch2video."):
            path = PACKAGE.joinpath(*node.module.split(".")[1:])
            for alias in node.names:
                candidates = (path / f"{alias.name}.py", path / alias.name / "__init__.py")
                candidates += (path.with_suffix(".py"), path / "__init__.py")
                yield next(candidate for candidate in candidates if candidate.exists())


def level_of(file):
    return LEVEL[file.relative_to(PACKAGE).parts[0]]


@pytest.mark.parametrize("folder", sorted({file.relative_to(PACKAGE).parts[0] for file in FILES}))
def test_imports_point_one_way(folder):
    wrong = [
        f"{file.relative_to(PACKAGE)} imports {used.relative_to(PACKAGE)}"
        for file in FILES
        if file.relative_to(PACKAGE).parts[0] == folder
        for used in modules_imported(file)
        if level_of(used) > LEVEL[folder] and used != PACKAGE / QUIET
    ]
    assert wrong == []


def test_no_files_import_each_other():
    graph = {file: set(modules_imported(file)) - {file} for file in FILES}
    # A package that re-exports what its files define is not imported by them in turn.
    circle = []
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = [str(file.relative_to(PACKAGE)) for file in error.args[1]]
    assert circle == []


def test_the_package_does_not_import_the_flows():
    for file in FILES:
        names = {
            alias.name if isinstance(node, ast.Import) else str(node.module)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not [name for name in names if name.split(".")[0] in ("flows", "benchmarks", "examples", "tests")], file


def test_no_file_is_long():
    lengths = {
        file: len(file.read_text(encoding="utf-8").splitlines()) for file in (*FILES, *Path("flows").glob("*.py"))
    }
    assert {file: length for file, length in lengths.items() if length > 400} == {}


def test_no_two_folders_have_files_of_one_name_that_mean_different_things():
    """Names that several folders use mean the same in each."""
    same = {"__init__", "network", "training", "sampling", "stage", "pipeline", "registry", "loading"}
    found = {}
    for file in FILES:
        if file.parent.name in ("cli", "params"):
            continue  # whose files are called after the folders that they concern
        found.setdefault(file.stem, []).append(file.parent.relative_to(PACKAGE).as_posix())
    assert {name: folders for name, folders in found.items() if len(folders) > 1 and name not in same} == {}
