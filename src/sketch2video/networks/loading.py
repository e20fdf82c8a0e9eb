"""Loading trained networks, and pretrained ones that a user names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import CLIPTokenizer

from sketch2video.errors import UserError

Network = TypeVar("Network", bound=ModelMixin)


def load_frozen(kind: type[Network], folder: Path | str, stage: str) -> Network:
    """A trained network, frozen and in evaluation mode.

    Args:
        kind: its class.
        folder: that ``save_pretrained`` wrote.
        stage: of the graph, which trains it.

    Raises:
        UserError: the folder is missing or damaged.
    """
    try:
        # Not by way of empty tensors, which would leave buffers empty that are made and not saved.
        model = kind.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)
    except Exception as error:
        raise UserError(
            f"{folder} cannot be loaded as {kind.__name__} ({_reason(error)}); run `dvc repro {stage}`"
        ) from error
    return model.requires_grad_(False).eval()


def load_named(
    kind: Any,
    name: Path | str,
    what: str,
    fix: str,
    *,
    unused: str | None = None,
    part: str = "",
    dtype: torch.dtype = torch.float32,
) -> Any:
    """A pretrained network that a user names, from safetensors alone, whole and in evaluation mode.

    Args:
        kind: its class, of transformers or diffusers.
        name: a folder, or an id on the hub.
        what: description of the model for the error message, such as "a VideoMAE".
        fix: how to correct it; the end of that line.
        unused: prefix of the names of weights that may be missing.
        part: subfolder, if the folder holds several networks.
        dtype: of the weights; diffusers keeps those in float32 that its class names.

    Raises:
        UserError: there is no such folder or id, it is damaged, lacks weights or has them in another shape, is not in
            safetensors, or is not on this machine and there is no network.
    """
    with one_line(name, what, fix):
        model, about = kind.from_pretrained(
            name,
            subfolder=part,
            use_safetensors=True,
            output_loading_info=True,
            dtype=dtype,
            ignore_mismatched_sizes=True,
        )
    lacking = sorted(key for key in about["missing_keys"] if unused is None or not key.startswith(unused))
    lacking += sorted(str(key) for key in about["mismatched_keys"])
    if lacking:
        raise UserError(f"{name} is no complete {kind.__name__}: it lacks {lacking[0]}; {fix}")
    return model.eval()


def load_clip_tokenizer(name: Path | str, fix: str, part: str = "") -> CLIPTokenizer:
    """A CLIP tokenizer that a user names.

    Args:
        name, fix, part: see :func:`load_named`.

    Raises:
        UserError: see :func:`load_named`.
    """
    with one_line(name, "a CLIP tokenizer", fix):
        tokenizer = CLIPTokenizer.from_pretrained(name, subfolder=part)
        if tokenizer.vocab_size <= len(tokenizer.all_special_ids):  # what transformers gives where there are no files
            raise FileNotFoundError("its vocabulary is missing, or cannot be downloaded without a network")
    return tokenizer


@contextmanager
def one_line(name: Path | str, what: str, fix: str) -> Iterator[None]:
    """Context manager for opening a user's model: any exception of a library becomes one line that names it.

    Raises:
        UserError: see :func:`load_named`.
    """
    try:
        if Path(name).is_absolute() and not Path(name).is_dir():
            raise FileNotFoundError("there is no such folder")
        yield
    except UserError:
        raise
    except Exception as error:  # the libraries raise exceptions of many types
        raise UserError(f"{name} cannot be loaded as {what} ({_reason(error)}); {fix}") from error


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LocalEntryNotFoundError):  # the libraries report that the hub does not have the file
            return "it is not on this machine, and the hub cannot be reached"
        cause = cause.__cause__ or cause.__context__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
