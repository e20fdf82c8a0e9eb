"""Long videos with a steady background: the parts of the sketch system with a tuned video LDM."""

from __future__ import annotations

from sketch2video.files import PIPELINE
from sketch2video.systems.latent_diffusion import drawn_sampling, latent_diffusion_arguments
from sketch2video.systems.spec import CURVE_VAE, TEXT_ENCODER, Part, SystemSpec, data_folder, model_folder

NAME = "long_video"
BASE = "sketch_ldm"
"""The system whose parts are used."""

SPEC = SystemSpec(
    name=NAME,
    title="text → sketch → long video",
    pipeline="sketch2video.systems.long_video.pipeline:LongVideoPipeline",
    control=lambda params: "sketch",
    parts=(
        Part(
            "steadied",
            "Training clips, each with one fused background",
            "sketch2video.systems.long_video.steadied:steady_training_clips",
            lambda params: {"model": model_folder(BASE, PIPELINE), "params": params},
            ("long_video", "evaluate"),
            is_data=True,
        ),
        Part(
            "long_video",
            "Video LDM, tuned on clips with fused backgrounds",
            "sketch2video.steadiness.tuning:tune_long_video",
            lambda params: {
                "steadied": data_folder(NAME, "steadied"),
                "text_encoder": TEXT_ENCODER,
                "video_ldm": model_folder(BASE, "video_ldm"),
            },
            ("long_video", "video_ldm"),
        ),
    ),
    assemble="sketch2video.systems.long_video.pipeline:assemble",
    arguments=lambda params: {
        **latent_diffusion_arguments(BASE, params),
        "sampling": drawn_sampling(params),
        "curve_vae": CURVE_VAE,
        "video_ldm": model_folder(NAME, "long_video"),
        "settings": params.long_video,
    },
    sections=("text_encoder", "curve_vae", "autoencoder", "video_ldm", "long_video"),
)
