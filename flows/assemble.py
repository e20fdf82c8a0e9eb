"""Stage ``assemble``: ``python -m flows.assemble [SYSTEM]``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flows.common import MODELS, execute, publish, recorded, stage_flow
from flows.systems import DEFAULT, System, asked_system, find_system
from sketch2video.params import Params, load_params
from sketch2video.systems.hierarchical_vqgan import pipeline as hierarchical_vqgan
from sketch2video.systems.long_video import pipeline as long_video
from sketch2video.systems.sketch_ldm import pipeline as sketch_ldm
from sketch2video.systems.text_ldm import pipeline as text_ldm
from sketch2video.tokens.sampling import TokenSampling
from sketch2video.tracking.runs import tracked_run


def _latent_diffusion(write: Callable[..., None], of: System, params: Params) -> None:
    write(of.pipeline, autoencoder=of.parts / "autoencoder", video_ldm=of.parts / "video_ldm")


def _hierarchical_vqgan(of: System, params: Params) -> None:
    section = params.token_transformer
    hierarchical_vqgan.assemble(
        of.pipeline,
        vqgan=of.parts / "vqgan",
        token_transformer=of.parts / "token_transformer",
        curve_vae=MODELS / "curve_vae" if of.control == "sketch" else None,
        sampling=TokenSampling(section.temperature, section.top_k, section.top_p),
    )


def _long_video(of: System, params: Params) -> None:
    long_video.assemble(of.pipeline, settings=params.long_video, video_ldm=of.parts / "long_video")


ASSEMBLED: dict[str, tuple[Callable[[System, Params], None], list[str]]] = {
    "sketch_ldm": (
        partial(_latent_diffusion, sketch_ldm.assemble),
        ["text_encoder", "autoencoder", "video_ldm", "curve_vae"],
    ),
    "text_ldm": (
        partial(_latent_diffusion, text_ldm.assemble),
        ["text_encoder", "autoencoder", "video_ldm", "text_ldm"],
    ),
    "long_video": (_long_video, ["text_encoder", "curve_vae", "autoencoder", "video_ldm", "long_video"]),
    "hierarchical_vqgan": (_hierarchical_vqgan, ["text_encoder", "vqgan", "token_transformer"]),
}
"""How the pipeline of each system is put together, and the sections of the parameters that its run records."""


@stage_flow
def assemble(system: str = DEFAULT) -> dict[str, float]:
    """Put a system's trained networks together to one pipeline."""
    params = load_params()
    of = find_system(system, params)
    write, sections = ASSEMBLED[system]
    with tracked_run(of.run_name("assemble"), recorded(params, *sections)) as run:
        run.begin(None)
        write(of, params)
        files = (file for file in of.pipeline.rglob("*") if file.is_file())
        values = {"megabytes": sum(file.stat().st_size for file in files) / 1e6}
        run.metrics(values, 0)
        run.folder(of.pipeline, "model")
    publish(of.run_name("assemble"), values)
    return values


if __name__ == "__main__":
    execute(assemble, asked_system(assemble.description))
