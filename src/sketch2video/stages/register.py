"""Register a pipeline. Not a stage of the graph: the registry must be right even if DVC skips stages."""

from __future__ import annotations

from pathlib import Path

from sketch2video.params import load_params
from sketch2video.stages.parts import recorded
from sketch2video.systems.loading import pipeline_folder
from sketch2video.systems.registry import find_system
from sketch2video.tracking.gate import pass_gate
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.runs import tracked_run


def register(model: str | None = None) -> dict[str, str]:
    """Register a pipeline folder as a version of the registered model, and as champion if it passes the gate.

    Args:
        model: folder of the assembled pipeline, or of a system; None: that of the system ``register.system``.

    Returns:
        The gate's decision; see :class:`~sketch2video.tracking.gate.Decision`.

    Raises:
        UserError: there is no such pipeline or system, or the registry is not available.
    """
    params = load_params()
    folder = pipeline_folder(Path(model)) if model else find_system(params.register_.system).folder
    with tracked_run("register", recorded(params, "register", "evaluate")) as run:
        version = register_version(folder, params.register_.name, params.generate, run)
    decision = pass_gate(params, version)
    became = "is the champion" if decision["gate.promoted"] == "True" else "stays a challenger"
    print(f"models:/{params.register_.name}/{version} {became}: {decision['gate.reason']}")
    return {"version": version, **decision}
