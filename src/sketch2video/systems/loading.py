"""Load the pipeline of any system from a folder that ``save_pretrained`` wrote."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import transformers
from diffusers import DiffusionPipeline

from sketch2video.errors import UserError
from sketch2video.files import PIPELINE, read_json, sha256_of_file, sha256_of_value
from sketch2video.networks.precision import device_name
from sketch2video.systems.registry import find_system, system_names, system_of_class
from sketch2video.systems.spec import SystemSpec

INDEX = "model_index.json"
BY_SLOT = "sketch2video.models.curve_vae"
"""Module of the curve VAE in pipelines of versions with strokes by slot; its weights fit no present network."""


def pipeline_folder(folder: Path | str) -> Path:
    """The folder with a pipeline's index: the given one, or ``pipeline`` within a system's folder.

    Raises:
        UserError: there is none.
    """
    for candidate in (Path(folder), Path(folder) / PIPELINE):
        if (candidate / INDEX).is_file():
            return candidate
    raise UserError(f"{folder} holds no pipeline ({INDEX} is missing); run `dvc repro` or name another model")


def system_of_index(folder: Path, index: Mapping[str, Any]) -> SystemSpec:
    """The system of a pipeline's index.

    Args:
        folder: of the pipeline, for errors.
        index: what its ``model_index.json`` holds.

    Raises:
        UserError: the pipeline is of no known system.
    """
    name = index.get("_class_name")
    spec = system_of_class(str(name))
    if spec is None:
        known = ", ".join(find_system(system).class_name for system in system_names())
        raise UserError(f"{folder} holds the pipeline {name}, not one of {known}; name another model")
    return spec


def load_pipeline(folder: Path | str) -> DiffusionPipeline:
    """Load a system's pipeline onto the accelerator, or the CPU if there is none.

    Raises:
        UserError: the folder is missing, damaged, or holds another pipeline.
    """
    folder = pipeline_folder(folder)
    index = read_json(folder / INDEX)
    spec = system_of_index(folder, index)
    if BY_SLOT in (index.get("curve_vae") or []):
        raise UserError(
            f"{folder} was saved by an older version, whose curve VAE drew strokes by slot; train it again with"
            " `dvc repro`, or use that version"
        )
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # it reports unused layers of an encoder
    diffusers.utils.logging.disable_progress_bar()
    try:
        pipeline = spec.pipeline_class.from_pretrained(folder, local_files_only=True)
    except UserError:
        raise
    except Exception as error:  # the libraries raise whatever their parts raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{folder} cannot be loaded ({reason}); run `dvc repro` or name another model") from error
    finally:
        transformers.logging.set_verbosity(verbosity)
        diffusers.utils.logging.enable_progress_bar()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device_name())


def pipeline_code(pipeline: DiffusionPipeline) -> str:
    """The file that defines a pipeline's class: the videos depend on it, and on its imports."""
    return str(sys.modules[type(pipeline).__module__].__file__)


def content_hash(folder: Path | str) -> str:
    """Hexadecimal SHA-256 over names and bytes of a folder's files, independent of the folder's path."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256_of_value({path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files})
