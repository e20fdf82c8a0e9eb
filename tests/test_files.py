import hashlib

import pytest

from sketch2video.errors import UserError
from sketch2video.files import (
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


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "kept").write_text("")
    block = replacing(tmp_path / "lost")
    block.__enter__().mkdir()  # the process dies here: the block never ends
    assert len(names(tmp_path)) == 2
    remove_partial(tmp_path)
    assert names(tmp_path) == ["kept"]


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
