"""Files of weights that are read, and those that are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sketch2video.errors import UserError
from sketch2video.scoring.weights import read_state_dict

TENSORS = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.ones(2)}

READ: dict[str, Callable[[Path], object]] = {
    "plain.pt": lambda path: torch.save(TENSORS, path),
    "parallel.pth": lambda path: torch.save({f"module.{name}": value for name, value in TENSORS.items()}, path),
    "wrapped.pt": lambda path: torch.save({"state_dict": TENSORS, "epoch": 3}, path),
    "model.pt": lambda path: torch.save({"model": TENSORS, "epoch": 3}, path),
    "plain.safetensors": lambda path: save_file(TENSORS, path),
    "plain.npz": lambda path: np.savez(path, **{name: value.numpy() for name, value in TENSORS.items()}),
}


@pytest.mark.parametrize("name", READ)
def test_every_kind_of_file_holds_the_same_tensors(name: str, tmp_path: Path) -> None:
    READ[name](tmp_path / name)
    found = read_state_dict(tmp_path / name)
    assert found.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        torch.testing.assert_close(found[key], tensor)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "script.pt": (
        lambda path: torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(path),
        "cannot be read as weights .it is TorchScript.; give a state dict",
    ),
    "list.pt": (lambda path: torch.save([torch.ones(2)], path), "cannot be read as weights .it holds a list."),
    "empty.pt": (lambda path: torch.save({}, path), "holds no tensors by name"),
    "words.pt": (lambda path: torch.save({"epoch": 3, "state_dict": {"a": 1}}, path), "holds no tensors by name"),
    "numbered.pt": (lambda path: torch.save({0: torch.ones(2)}, path), "holds no tensors by name"),
    "damaged.pt": (lambda path: path.write_bytes(b"weights"), "cannot be read as weights"),
    "damaged.safetensors": (lambda path: path.write_bytes(b"weights"), "cannot be read as weights"),
    "objects.npz": (
        lambda path: np.savez(path, a=np.array([{}], dtype=object)),
        "cannot be read as weights .*allow_pickle",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_state_dict_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    make, words = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} {words}") as error:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt is not a file"):
        read_state_dict(tmp_path / "none.pt")
