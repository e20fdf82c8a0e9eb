"""Read the user's files of weights without executing code in them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sketch2video.errors import UserError

_WRAPPERS = ("state_dict", "model")


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """Tensors by name, from a safetensors file, a ``.pt``/``.pth`` file or an ``.npz`` file.

    A ``.pt`` file is opened with ``weights_only=True``, an ``.npz`` file without pickles: neither can run code.
    Prefixes ``module.`` (of ``DataParallel``) are removed; a state dict below ``state_dict`` or ``model`` is used.

    Raises:
        UserError: the file is missing or damaged, is TorchScript, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file; name the file of the weights")
    try:
        found = _read(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, OSError, EOFError) as error:
        reason = "it is TorchScript" if _is_torchscript(path) else " ".join(str(error).split())[:120]
        raise UserError(
            f"{path} cannot be read as weights ({reason}); give a state dict as safetensors or .pt"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    named = {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, Tensor)}
    tensors = {name.removeprefix("module."): value for name, value in named.items()}
    if not tensors:
        raise UserError(f"{path} holds no tensors by name; give a state dict as safetensors or .pt")
    return tensors


def checked(
    tensors: dict[str, Tensor], shapes: dict[str, torch.Size], path: Path | str, what: str
) -> dict[str, Tensor]:
    """Check the names and shapes of a network's tensors and convert them to float32.

    Args:
        tensors: tensors of the file.
        shapes: shapes of the network's tensors.
        path: the file, for messages.
        what: the network, for messages.

    Raises:
        UserError: a tensor is missing, has another shape, is not finite, or is unknown to the network.
    """
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or unknown:
        name = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which {what} has not"
        raise UserError(f"{path} {name} ({len(missing)} missing, {len(unknown)} unknown); give the weights of {what}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            found = tuple(tensors[name].shape)
            raise UserError(f"{path}: {name} is {found} instead of {tuple(shape)}; give the weights of {what}")
        if not tensors[name].isfinite().all():
            raise UserError(f"{path}: {name} holds numbers that are not finite; the file is damaged")
    return {name: tensors[name].float() for name in shapes}


def _read(path: Path) -> dict:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if path.suffix == ".safetensors":
        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
