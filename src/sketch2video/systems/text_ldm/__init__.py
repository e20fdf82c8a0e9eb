"""The text-only system, which may follow control videos."""

from __future__ import annotations

from pathlib import Path

from sketch2video.systems.latent_diffusion import latent_diffusion_arguments, latent_diffusion_parts
from sketch2video.systems.spec import SystemSpec

NAME = "text_ldm"

SPEC = SystemSpec(
    name=NAME,
    title="text → video",
    pipeline="sketch2video.systems.text_ldm.pipeline:TextToVideoPipeline",
    control=lambda params: params.text_ldm.control,
    parts=latent_diffusion_parts(
        NAME,
        lambda params: params.text_ldm.control,
        mixture=lambda params: params.text_ldm,
        images=Path("data/images"),
        sections=("text_ldm",),
    ),
    assemble="sketch2video.systems.text_ldm.pipeline:assemble",
    arguments=lambda params: latent_diffusion_arguments(NAME, params),
    sections=("text_encoder", "autoencoder", "video_ldm", "text_ldm"),
)
