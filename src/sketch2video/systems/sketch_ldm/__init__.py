"""The default system: text to sketch to video."""

from __future__ import annotations

from sketch2video.systems.latent_diffusion import drawn_sampling, latent_diffusion_arguments, latent_diffusion_parts
from sketch2video.systems.spec import CURVE_VAE, SystemSpec

NAME = "sketch_ldm"

SPEC = SystemSpec(
    name=NAME,
    title="text → sketch → video",
    pipeline="sketch2video.systems.sketch_ldm.pipeline:SketchToVideoPipeline",
    control=lambda params: "sketch",
    parts=latent_diffusion_parts(NAME, lambda params: "sketch"),
    assemble="sketch2video.systems.sketch_ldm.pipeline:assemble",
    arguments=lambda params: {
        **latent_diffusion_arguments(NAME, params),
        "sampling": drawn_sampling(params),
        "curve_vae": CURVE_VAE,
    },
    sections=("text_encoder", "autoencoder", "video_ldm", "curve_vae"),
)
