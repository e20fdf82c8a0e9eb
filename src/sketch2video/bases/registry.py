"""The kinds of bases, found by what a folder or a repository holds."""

from __future__ import annotations

from pathlib import Path

from diffusers import DiffusionPipeline

from sketch2video.bases.base import FIX, Base
from sketch2video.bases.cogvideox import CogVideoX
from sketch2video.bases.ltx import LTX
from sketch2video.bases.own import Own
from sketch2video.bases.stable_diffusion import StableDiffusion
from sketch2video.bases.wan import Wan
from sketch2video.errors import UserError
from sketch2video.networks.loading import one_line

KINDS: tuple[type[Base], ...] = (Wan, LTX, CogVideoX, StableDiffusion, Own)

VARIABLE = "SKETCH2VIDEO_BASE"
"""Environment variable with the folder or hub id of the base, where it is not where it was in training."""


def open_base(source: Path | str) -> Base:
    """The base in a folder or repository; its weights are not loaded.

    Args:
        source: folder or hub id of a pipeline of diffusers, or of a text-to-video LDM of this project.

    Raises:
        UserError: it is missing or damaged, or no base.
    """
    with one_line(source, "a base", FIX):
        found = str(DiffusionPipeline.load_config(str(source))["_class_name"])
    for kind in KINDS:
        if found in kind.pipelines:
            return kind(source)
    known = ", ".join(name for kind in KINDS for name in kind.pipelines)
    raise UserError(f"{source} holds the pipeline {found}, not one of {known}; {FIX}")
