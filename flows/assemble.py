"""Stage ``assemble``: ``python -m flows.assemble [SYSTEM]``."""

from __future__ import annotations

from flows.common import execute, publish, recorded, stage_flow
from flows.systems import DEFAULT, asked_system, find_system
from sketch2video.params import load_params
from sketch2video.systems import sketch_ldm, text_ldm
from sketch2video.tracking.runs import tracked_run


@stage_flow
def assemble(system: str = DEFAULT) -> dict[str, float]:
    """Put a system's trained networks together to one pipeline."""
    params = load_params()
    of = find_system(system, params)
    parts = {name: of.parts / name for name in ("autoencoder", "video_ldm")}
    sections = ["text_encoder", *parts, *(["curve_vae"] if of.control == "sketch" else ["text_ldm"])]
    with tracked_run(of.run_name("assemble"), recorded(params, *sections)) as run:
        run.begin(None)
        if of.control == "sketch":
            sketch_ldm.assemble(of.pipeline, **parts)
        else:
            text_ldm.assemble(of.pipeline, **parts)
        files = (file for file in of.pipeline.rglob("*") if file.is_file())
        values = {"megabytes": sum(file.stat().st_size for file in files) / 1e6}
        run.metrics(values, 0)
        run.folder(of.pipeline, "model")
    publish(of.run_name("assemble"), values)
    return values


if __name__ == "__main__":
    execute(assemble, asked_system(assemble.description))
