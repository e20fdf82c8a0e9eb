import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sketch2video import files
from sketch2video.errors import UserError
from sketch2video.files import (
    PARTIAL_MARK,
    fingerprint,
    read_json,
    remove_partial,
    replacing,
    sha256_of_file,
    sha256_of_value,
    write_json,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new" / "a.mp4"
    for text in ("one", "two"):
        with replacing(path) as partial:
            assert partial.suffix == ".mp4"
            partial.write_text(text)
        assert path.read_text() == text
    assert names(path.parent) == ["a.mp4"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("one", "two"):
        with replacing(path) as partial:
            partial.mkdir()
            (partial / name).write_text(name)
    assert names(path) == ["two"]
    assert names(tmp_path) == ["model"]


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path):
    def fail_half_way(path):
        with replacing(path) as partial:
            partial.write_text("ne")
            raise RuntimeError("half-way")

    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def start(code, *arguments):
    """A process that runs code which imports what it needs; it has printed its first line when this returns."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


HALF_WAY = """
import sys, time
from sketch2video.files import replacing
with replacing(sys.argv[1]) as partial:
    partial.mkdir()
    (partial / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_process_writes_stays_until_it_is_gone(tmp_path):
    (tmp_path / "kept").write_text("")
    process = start(HALF_WAY, tmp_path / "lost")
    with replacing(tmp_path / "own") as own:
        own.write_text("own")
        remove_partial(tmp_path)
        assert len(names(tmp_path)) == 3
        kill(process)
        remove_partial(tmp_path)
        assert names(tmp_path) == sorted([own.name, "kept"])
    assert names(tmp_path) == ["kept", "own"]


def test_a_process_that_has_the_number_of_a_killed_one_keeps_nothing_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_started", {os.getpid(): 5}.get)
    left = tmp_path / f"{files.partial_prefix()}0123abcd.mp4"
    left.write_text("half")
    remove_partial(tmp_path)
    assert left.exists()
    monkeypatch.setattr(files, "_started", {os.getpid(): 6}.get)
    remove_partial(tmp_path)
    assert not left.exists()


def test_another_machines_partial_files_stay_for_an_hour(tmp_path):
    left = tmp_path / f"{PARTIAL_MARK}00000000-{os.getpid()}-1-0123abcd"
    left.mkdir()
    (left / "file").write_text("half")
    remove_partial(tmp_path)
    assert left.exists()
    for path in (left / "file", left):
        os.utime(path, (time.time() - 3700,) * 2)
    remove_partial(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_that_is_replaced_is_never_gone(tmp_path, can_exchange):
    if can_exchange and sys.platform not in ("linux", "darwin"):
        pytest.skip("this system cannot exchange two folders in one step")
    code = """
import pathlib, sys, time
from sketch2video import files
rename, path = pathlib.Path.rename, pathlib.Path(sys.argv[1])
if sys.argv[2] == "False":
    files._exchange = lambda one, other: False
def slow(old, new):
    if new == path and not path.exists():
        print("ready", flush=True)
        time.sleep(60)
    return rename(old, new)
pathlib.Path.rename = slow
files._remove, remove = lambda left: (print("ready", flush=True), time.sleep(60)), files._remove
with files.replacing(path) as partial:
    partial.mkdir()
    (partial / "new").write_text("")
"""
    model = tmp_path / "model"
    model.mkdir()
    (model / "old").write_text("")
    kill(start(code, model, can_exchange))
    remove_partial(tmp_path)
    assert names(tmp_path) == ["model"]
    assert names(model) == ["new" if can_exchange else "old"]


def test_processes_that_replace_the_same_folder_all_end(tmp_path):
    code = """
import sys
from sketch2video.files import remove_partial, replacing
print("ready", flush=True)
for number in range(100):
    remove_partial(sys.argv[1])
    with replacing(sys.argv[1] + "/model") as partial:
        partial.mkdir()
        for name in "ab":
            (partial / name).write_text(sys.argv[2] + str(number))
"""
    processes = [start(code, tmp_path, name) for name in "xyz"]
    assert [process.wait(50) for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdout.close()
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model/a").read_text() == (tmp_path / "model/b").read_text()


def test_a_linked_folder_is_replaced_and_what_it_led_to_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/old").write_text("")
    (tmp_path / "model").symlink_to("elsewhere")
    with replacing(tmp_path / "model") as partial:
        partial.mkdir()
    assert names(tmp_path) == ["elsewhere", "model"]
    assert names(tmp_path / "model") == []
    assert names(tmp_path / "elsewhere") == ["old"]


@pytest.mark.parametrize(
    "name",
    ["a" * 251 + ".mp4", "run-12:30.mp4", "what is this?.gif", "50%20.csv", "#1.json", 'it\'s "it".svg', "a\nb.png"],
)
def test_any_name_that_the_system_allows_can_be_written(tmp_path, name):
    with replacing(tmp_path / name) as partial:
        assert partial.suffix == Path(name).suffix
        partial.write_text("text")
    assert names(tmp_path) == [name]


def test_paths_that_cannot_be_written_are_clear_lines(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/old").write_text("old")

    def write(path, make):
        with replacing(path) as partial:
            make(partial)

    for path, make, says in (
        (tmp_path / "file/x/y", Path.touch, "file/x: Not a directory; a file is where a folder is expected"),
        (tmp_path / "file/x", Path.touch, "file: File exists; move what is there away"),
        (tmp_path / "folder", Path.touch, "Is a directory; name a file, or move the folder away"),
        (tmp_path / "file", Path.mkdir, "Not a directory; a file is where a folder is expected"),
        (tmp_path / ("a" * 300), pytest.fail, "File name too long; shorten the name"),
    ):
        with pytest.raises(UserError) as error:
            write(path, make)
        assert str(error.value).startswith(f"{path} cannot be written: "), error.value
        assert says in str(error.value)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == (tmp_path / "folder/old").read_text() == "old"


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"), replacing(tmp_path / "a") as partial:
        partial.write_text((tmp_path / "missing").read_text())


def test_a_full_disk_is_a_clear_line():
    with pytest.raises(UserError, match="No space left on device"), replacing("/dev/full") as partial:
        raise OSError(28, "No space left on device", str(partial))


def test_json_comes_back_and_is_the_same_bytes_for_the_same_values(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5, None], "a": "ä"})
    write_json(tmp_path / "b.json", {"a": "ä", "b": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"a": "ä", "b": [1, 2.5, None]}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json")["a"] == "ä"


def test_json_that_is_missing_or_broken(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(UserError, match="is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_fingerprints_depend_on_names_and_bytes_alone(tmp_path):
    def make(folder, **files):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / "sub" / name).write_text(text)
        return fingerprint([tmp_path / folder])

    first = make("a", x="1", y="2")
    (tmp_path / "a/sub/.partial-123-z").write_text("left by a killed process")
    assert fingerprint([tmp_path / "a"]) == first
    (tmp_path / "a/sub/y").write_text("3")
    assert fingerprint([tmp_path / "a"]) != first
    with pytest.raises(UserError, match="is missing"):
        fingerprint([tmp_path / "nothing"])


def test_hashes_are_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert sha256_of_value({"a": 1, "b": 2}) == sha256_of_value({"b": 2, "a": 1}) != sha256_of_value({"a": 2, "b": 1})
