"""The base of a project: a folder, or a repository of the hub, which is downloaded."""

from __future__ import annotations

from pathlib import Path

from sketch2video.bases.base import FIX, Base
from sketch2video.bases.registry import open_base
from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief
from sketch2video.networks.loading import one_line

BASES = Path("data/bases")
"""Folder of downloaded bases."""

PATTERNS = ["model_index.json", "*/*.json", "*/*.safetensors", "*/*.model", "*/*.txt"]
"""Files that a base is loaded from: configs, weights, vocabularies."""

IGNORED = ["*.fp16*", "*.bf16*", "*.non_ema*", "safety_checker/*"]
"""Other variants of weights, and a network that is not used."""


def fetch_base(source: str, bases: Path = BASES) -> Base:
    """The base in a folder; a hub id is downloaded first, or completed if a download was interrupted.

    Args:
        source: folder or hub id.
        bases: folder that gets downloaded bases.

    Raises:
        UserError: there is no such folder or repository, it holds no base, or the hub cannot be reached.
    """
    folder = Path(source)
    if not folder.is_dir():
        if folder.is_absolute() or source.count("/") != 1 or source.startswith("."):
            raise UserError(f"{brief(source)} is neither a folder nor an id of the hub; {FIX}")
        from huggingface_hub import snapshot_download

        folder = bases / source.replace("/", "--")
        with one_line(source, "a base", FIX):
            snapshot_download(source, local_dir=folder, allow_patterns=PATTERNS, ignore_patterns=IGNORED)
    base = open_base(folder)
    lacking = [part for part in base.parts if not (folder / part).is_dir()]
    if lacking:
        raise UserError(f"{brief(folder)} is no complete base: {', '.join(lacking)} is missing; {FIX}")
    return base
