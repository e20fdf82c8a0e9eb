"""Stage ``encode_latents``: ``python -m flows.encode_latents``."""

from __future__ import annotations

from pathlib import Path

from flows.common import execute, publish, recorded, stage_flow
from sketch2video.files import read_json
from sketch2video.params import load_params
from sketch2video.tracking.runs import tracked_run
from sketch2video.training import latents

OUTPUT = Path("data/latents")


@stage_flow
def encode_latents() -> dict[str, float]:
    """Encode every clip once, so that the training of the video LDM never touches pixels."""
    with tracked_run("encode_latents", recorded(load_params(), "autoencoder")) as run:
        run.begin(None)
        latents.encode_latents(latents=OUTPUT)
        statistics = read_json(OUTPUT / "latents.json")
        values = {f"{name}_{channel}": value for name in statistics for channel, value in enumerate(statistics[name])}
        run.metrics(values, 0)
    publish("encode_latents", values)
    return values


if __name__ == "__main__":
    execute(encode_latents)
