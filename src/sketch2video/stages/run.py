"""Run a stage by its name."""

from __future__ import annotations

from sketch2video.systems.spec import SHARED


def run_stage(name: str, system: str) -> dict[str, float]:
    """Run a stage of a system: ``assemble``, ``evaluate``, or the stage of a part.

    Args:
        name: name of the stage.
        system: the system that owns it; "shared" for parts that several systems share.

    Returns:
        The metrics of the stage.

    Raises:
        UserError: there is no such stage, or it fails.
    """
    if name in ("assemble", "evaluate") and system != SHARED:
        from sketch2video.stages import pipeline

        return pipeline.assemble(system) if name == "assemble" else pipeline.evaluate(system)
    from sketch2video.stages.parts import make_part

    return make_part(system, name)
