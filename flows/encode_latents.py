"""Stage ``encode_latents``: ``python -m flows.encode_latents [SYSTEM]``."""

from __future__ import annotations

from flows.common import execute, publish, recorded, stage_flow
from flows.systems import DEFAULT, DIFFUSION, asked_system, find_system
from sketch2video.autoencoder import latents
from sketch2video.files import read_json
from sketch2video.params import load_params
from sketch2video.tracking.runs import tracked_run


@stage_flow
def encode_latents(system: str = DEFAULT) -> dict[str, float]:
    """Encode every clip once, so that the training of the video LDM never touches pixels."""
    params = load_params()
    of = find_system(system, params)
    with tracked_run(of.run_name("encode_latents"), recorded(params, "autoencoder")) as run:
        run.begin(None)
        latents.encode_latents(autoencoder=of.parts / "autoencoder", latents=of.latents, images=of.images)
        statistics = read_json(of.latents / "latents.json")
        values = {f"{name}_{channel}": value for name in statistics for channel, value in enumerate(statistics[name])}
        run.metrics(values, 0)
    publish(of.run_name("encode_latents"), values)
    return values


if __name__ == "__main__":
    execute(encode_latents, asked_system(encode_latents.description, DIFFUSION))
