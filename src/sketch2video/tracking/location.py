"""Find a model by its name in the registry, or by its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sketch2video.systems.loading import pipeline_folder


@dataclass(frozen=True)
class LocatedModel:
    """A pipeline's folder, and its version if it is a registered model."""

    folder: Path
    version: str | None


def locate_model(reference: str) -> LocatedModel:
    """Find the pipeline of ``models:/name@alias``, ``models:/name/version`` or a folder's path.

    Raises:
        UserError: there is no such model, version or folder.
    """
    if not reference.startswith("models:"):
        return LocatedModel(pipeline_folder(reference), None)
    from sketch2video.tracking.registry import locate_version  # imports MLflow, which takes seconds

    return LocatedModel(*locate_version(reference))
