"""Checkpoints: one safetensors file, written atomically, in a folder named by a hash of what it was trained from.

They are stored outside DVC's outputs, because DVC removes the outputs of a stage before it runs the stage again.

Accelerate's ``save_state`` (seen in 1.15.0) is not used: it writes optimizer and random states by ``torch.save``, which
is pickle, as several files of a folder, neither atomically nor with a checksum.
"""

from __future__ import annotations

import json
import logging
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sketch2video.code import code_digest
from sketch2video.files import fingerprint, remove_partial, replacing, sha256_of_value

FILE = "checkpoint.safetensors"
KEPT_FOLDERS = 3
"""Number of folders of one name that are kept, so that a return to recent parameters resumes its training."""

_LIBRARIES = ("accelerate", "diffusers", "numpy", "torch", "transformers")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training after ``step`` optimizer steps.

    Attributes:
        step: number of finished steps.
        tensors: weights, their averages and the optimizer's moments by name.
        state: everything else, JSON-able.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def folder_for(
    name: str, settings: Any, inputs: Iterable[Path | str], root: Path = Path("checkpoints"), *, code: Sequence[str]
) -> Path:
    """The folder of a training's checkpoint: ``root/<name>-<hash of settings, inputs and code>``.

    The code counts, this package's and the libraries' versions, because a finished training is not done again: with a
    changed loss it must be. Comments, docstrings and formatting do not count.

    Args:
        name: of the network.
        settings: JSON-able values that the result depends on (the section's ``model_dump()``, the seed, ...).
        inputs: files and folders that the result depends on.
        root: the folder of all checkpoints.
        code: files of modules on whose code, imports included, the result depends.

    Raises:
        UserError: an input is missing.
    """
    made_by = {"code": code_digest(*code), **{library: version(library) for library in _LIBRARIES}}
    key = sha256_of_value({"settings": settings, "inputs": fingerprint(inputs), **made_by})
    return root / f"{name}-{key[:16]}"


def remove_old_folders(folder: Path) -> None:
    """Remove all but the newest folders of the same name as ``folder`` (which stays)."""
    name = folder.name.rpartition("-")[0]
    siblings = [p for p in folder.parent.glob(f"{name}-*") if p.is_dir() and p.name.rpartition("-")[0] == name]
    others = sorted((p for p in siblings if p != folder), key=_changed, reverse=True)
    for old in others[KEPT_FOLDERS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _changed(folder: Path) -> float:
    """When a folder changed; 0 if another training has just removed it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint atomically.

    Raises:
        UserError: the disk is full or the folder cannot be written; the older checkpoint is still there.
    """
    remove_partial(folder)
    # Clones: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.tensors.items()}
    state = {"step": checkpoint.step, "state": checkpoint.state, "crc32": _crc32(tensors)}
    with replacing(folder / FILE) as partial:
        # Not `save_file`: a full disk is an OSError here, which `replacing` turns into a clear line.
        partial.write_bytes(save(tensors, metadata={"training": json.dumps(state)}))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint; None, with a warning, if it is damaged, and None if there is none."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        if state["crc32"] != _crc32(tensors):
            raise ValueError("its checksum does not match")
        return Checkpoint(state["step"], tensors, state["state"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged (%s) and is ignored: training starts from the beginning", path, error)
        return None


def _crc32(tensors: dict[str, torch.Tensor]) -> int:
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return value


def training_tensors(module: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Everything that a training's next step depends on, by name; frozen weights, which do not change, are left out."""
    frozen = _frozen(module)
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items() if name not in frozen}
    tensors |= {f"ema.{index}": tensor for index, tensor in enumerate(ema.shadow_params)}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            kind = "optimizer" if isinstance(value, torch.Tensor) else "number"
            tensors[f"{kind}.{index}.{name}"] = torch.as_tensor(value)
    return tensors


def _frozen(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if not parameter.requires_grad}


def restore_training(
    module: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Restore a training from the tensors of :func:`training_tensors`."""
    saved = {name.removeprefix("module."): t for name, t in tensors.items() if name.startswith("module.")}
    frozen = _frozen(module)
    module.load_state_dict(saved | {name: t for name, t in module.state_dict().items() if name in frozen})
    for index, shadow in enumerate(ema.shadow_params):
        shadow.copy_(tensors[f"ema.{index}"])
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith(("optimizer.", "number.")):
            kind, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor if kind == "optimizer" else tensor.item()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
