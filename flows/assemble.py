"""Stage ``assemble``: ``python -m flows.assemble``."""

from __future__ import annotations

from flows.common import MODELS, execute, publish, recorded, stage_flow
from sketch2video.params import load_params
from sketch2video.systems import sketch_ldm
from sketch2video.tracking.runs import tracked_run

OUTPUT = MODELS / "sketch_ldm"


@stage_flow
def assemble() -> dict[str, float]:
    """Put the trained networks together to one pipeline."""
    sections = ("text_encoder", "curve_vae", "autoencoder", "video_ldm")
    with tracked_run("assemble", recorded(load_params(), *sections)) as run:
        run.begin(None)
        sketch_ldm.assemble(OUTPUT)
        values = {"megabytes": sum(file.stat().st_size for file in OUTPUT.rglob("*") if file.is_file()) / 1e6}
        run.metrics(values, 0)
        run.folder(OUTPUT, "model")
    publish("assemble", values)
    return values


if __name__ == "__main__":
    execute(assemble)
