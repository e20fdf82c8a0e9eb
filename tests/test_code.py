"""What results depend on: code without comments, and what it imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from sketch2video import code as module
from sketch2video.code import PACKAGE, code_digest, code_of, defining_file, imported_files, loaded_files


def test_code_is_what_it_does(tmp_path):
    path = tmp_path / "module.py"

    def code(text: str) -> str:
        path.write_text(text)
        return code_of(path)

    plain = code("WIDTH = 3\ndef f(x):\n    return x + WIDTH\n")
    told = code('"""Adds."""\nWIDTH = 3  # px\n"""Of f."""\n\n\ndef f(x):\n    """Add."""\n    return (x + WIDTH)\n')
    assert told == plain
    assert code("WIDTH = 4\ndef f(x):\n    return x + WIDTH\n") != plain
    assert code('def f():\n    """Nothing."""\n') == code("def f():\n    pass\n")


def imported_by(tmp_path, text):
    path = tmp_path / "entry.py"
    path.write_text(text)
    return {file.relative_to(PACKAGE).as_posix() for file in imported_files(path) - {path}}


def test_imports_are_followed_within_functions_and_through_packages(tmp_path):
    text = "import numpy\ndef f():\n    from sketch2video.curves import render_ink\n"
    found = imported_by(tmp_path, text)
    assert "curves/equation/render.py" in found
    assert "curves/__init__.py" not in found  # it only passes the name on
    assert "curves/exports/formula.py" not in found


def test_modules_are_followed_as_names_are(tmp_path):
    assert "scenes/synthetic.py" in imported_by(tmp_path, "from sketch2video.scenes import two_objects\n")


def test_messages_and_pictures_are_no_code_of_results(tmp_path):
    assert imported_by(tmp_path, "from sketch2video.errors import UserError\n") == set()


def test_the_digest_changes_with_what_is_imported(tmp_path, monkeypatch):
    entry = tmp_path / "entry.py"
    entry.write_text("from sketch2video.scenes.two_objects import AND\n")
    before = code_digest(entry)
    assert before == code_digest(entry)
    changed = PACKAGE / "scenes" / "synthetic.py"
    monkeypatch.setattr(module, "_code_of", lambda path: "other" if path == changed else code_of(path))
    assert code_digest(entry) != before


def test_a_name_that_nothing_defines_is_an_error():
    assert defining_file("sketch2video.curves", "CurveSequence") == PACKAGE / "curves" / "equation" / "sequence.py"
    with pytest.raises(ModuleNotFoundError, match=r"sketch2video\.nothing"):
        defining_file("sketch2video.nothing", "X")


def test_loaded_files_are_those_that_python_loads(tmp_path):
    """All of them are imported at the top level here, so that Python's own list is the reference."""
    entry = tmp_path / "entry.py"
    entry.write_text("import sketch2video.svg.values\nfrom sketch2video.curves import equation\n")
    listed = "import sys; print(*(m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'sketch2video'))"
    code = f"{entry.read_text()}{listed}"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded_files(entry) - {entry} == set(map(Path, loaded))
