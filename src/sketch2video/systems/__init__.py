"""Text-to-video systems. All are ``DiffusionPipeline`` subclasses with the same call.

Every folder here is a system, described by its ``SPEC``; :mod:`~sketch2video.systems.registry` finds them. Pipelines
are imported on first access: ``from sketch2video.systems import SketchToVideoPipeline``.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name[:1].isupper():
        from sketch2video.systems.registry import system_of_class

        if spec := system_of_class(name):
            return spec.pipeline_class
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
