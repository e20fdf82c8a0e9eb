"""Parameter files and profiles that people spoil: one line, whatever is in them."""

from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.inputs.yaml_files import read_yaml
from sketch2video.params import find_params, load_params
from sketch2video.profiles import apply_profile, edit_params

DEFAULTS = Path("params.yaml").read_text(encoding="utf-8")
SIZE = "\n  size: "

SPOILED = {
    "another encoding": (b"# caf\xe9\n" + DEFAULTS.encode(), "row 1 has the byte 0xe9, as in Windows-1252"),
    "a binary file": (b"\x89PNG\r\n\x1a\n" + bytes(100), "binary file"),
    "half a character": (DEFAULTS.replace(SIZE, "\n  size: \ud800").encode("utf-8", "surrogatepass"), "byte 0xed"),
    "a control character": (DEFAULTS.replace(SIZE, "\n  size: \x1b[1m").encode(), "not valid YAML"),
    "an impossible day": (DEFAULTS.replace(SIZE, "\n  size: 2026-13-45 #"), "a value is no timestamp"),
    "a wrong tag": (DEFAULTS.replace(SIZE, "\n  size: !!int x"), "a value is no int"),
    "a tag without a value": (DEFAULTS.replace(SIZE, "\n  size: !!int '' #"), "a value is no int"),
    "a tag of a day": (DEFAULTS.replace(SIZE, "\n  size: !!timestamp x"), "a value is no timestamp"),
    "a number of thousands of digits": (DEFAULTS.replace(SIZE, f"\n  size: {'9' * 5000}"), "a value is no int"),
    "a number of thousands of hex digits": (DEFAULTS.replace(SIZE, f"\n  size: 0x{'f' * 5000} #"), "a value is no int"),
    "a long word": (DEFAULTS.replace(SIZE, f"\n  size: {'x' * 5000}"), "base.size"),
    "a character that is none": (DEFAULTS.replace(SIZE, '\n  size: "\\U00110000" #'), "is not a character"),
    "brackets in brackets": (DEFAULTS.replace(SIZE, f"\n  size: {'[' * 3000} #"), "too many brackets"),
    "a key that is a list": (DEFAULTS.replace(SIZE, "\n  size: {[1]: 2} #"), "not valid YAML"),
    "a key twice": (DEFAULTS.replace(SIZE, "\n  size: 32\n  size: "), "the key size occurs twice"),
    "an alias of itself": (DEFAULTS.replace(SIZE, "\n  size: &a {a: *a} #"), r"\*a contains itself"),
    "a line separator in a key": (DEFAULTS.replace(SIZE, '\n  "a\\Lb\\n": '), r"unknown key base\.a b"),
    "no mapping": ("- a\n", "params"),
    "all missing": ("{}\n", "missing key base; .*and [0-9]+ more"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_file_is_one_line_that_names_the_fault(tmp_path, name):
    text, message = SPOILED[name]
    path = tmp_path / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (load_params, lambda path: edit_params({"ingest": {"source": "synthetic"}}, path)):
        with pytest.raises(UserError, match=message if read is load_params else None) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "text", ["base:\n  size: !!int 9:99\n", "base: {size: \xff}\n".encode("latin-1"), "base: {a: [*a]}", "x" * 5000]
)
def test_a_spoiled_profile_is_one_line(tmp_path, text):
    (tmp_path / "params.yaml").write_text(DEFAULTS)
    (tmp_path / "x.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        apply_profile("x", tmp_path / "params.yaml", tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert (tmp_path / "params.yaml").read_text() == DEFAULTS


def test_what_is_right_stays(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(DEFAULTS.replace("\n", "\r\n"), encoding="utf-16")
    assert load_params(path) == find_params(path) == load_params("params.yaml")
    (tmp_path / "a.yaml").write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}
