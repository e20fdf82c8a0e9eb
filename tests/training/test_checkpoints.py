import os

import pytest
import torch

from sketch2video.errors import UserError
from sketch2video.training import checkpoints
from sketch2video.training.checkpoints import (
    FILE,
    KEPT_FOLDERS,
    Checkpoint,
    folder_for,
    load_checkpoint,
    remove_old_folders,
    save_checkpoint,
)


def checkpoint(step: int = 5) -> Checkpoint:
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {
        "a": shared,
        "tied": shared,
        "view": shared.T,
        "scalar": torch.tensor(3.0),
        "bf16": torch.ones(2, dtype=torch.bfloat16),
        "whole": torch.arange(3),
        "none": torch.zeros(0),
    }
    return Checkpoint(step, tensors, {"history": [{"loss": 0.1 + 0.2}], "run_id": "ä"})


def test_what_is_saved_is_loaded(tmp_path):
    save_checkpoint(tmp_path, checkpoint(4))
    save_checkpoint(tmp_path, checkpoint(5))
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert (loaded.step, loaded.state) == (5, checkpoint().state)
    assert loaded.tensors.keys() == checkpoint().tensors.keys()
    for name, tensor in checkpoint().tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
    assert os.listdir(tmp_path) == [FILE]  # noqa: PTH208


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-7],
        lambda content: content[:3],
        lambda content: b"",
        lambda content: b"\x00" * len(content),
        lambda content: content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
    ],
    ids=["cut", "nearly all cut", "empty", "zeros", "one bit"],
)
def test_a_damaged_file_is_none_with_a_warning(tmp_path, caplog, damage):
    save_checkpoint(tmp_path, checkpoint())
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    assert load_checkpoint(tmp_path) is None
    assert f"{file} is damaged" in caplog.text


def test_the_folder_follows_from_settings_and_inputs(tmp_path):
    data = tmp_path / "data"
    data.write_text("one")
    first = folder_for("x", {"width": 3}, [data], tmp_path, code=[__file__])
    assert first == folder_for("x", {"width": 3}, [data], tmp_path, code=[__file__])
    assert first.parent == tmp_path
    assert first.name.startswith("x-")
    assert first != folder_for("x", {"width": 4}, [data], tmp_path, code=[__file__])
    data.write_text("two")
    assert first != folder_for("x", {"width": 3}, [data], tmp_path, code=[__file__])
    with pytest.raises(UserError, match="nowhere is missing"):
        folder_for("x", {}, [tmp_path / "nowhere"], tmp_path, code=[__file__])


def test_the_folder_follows_from_the_versions_of_libraries(tmp_path, monkeypatch):
    first = folder_for("x", {}, [], tmp_path, code=[__file__])
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.0")
    assert folder_for("x", {}, [], tmp_path, code=[__file__]) != first
    monkeypatch.undo()
    assert folder_for("x", {}, [], tmp_path, code=[__file__]) == first


def test_the_newest_folders_of_the_same_name_are_kept(tmp_path):
    names = [f"video-{place}" for place in range(KEPT_FOLDERS + 2)]
    for place, name in enumerate([*names, "video_ldm-0", "other-0"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (place, place))
    remove_old_folders(tmp_path / "video-0")  # the oldest, but the one in use
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"video-0", *names[-KEPT_FOLDERS + 1 :], "video_ldm-0", "other-0"}
