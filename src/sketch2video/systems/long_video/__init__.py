"""Long, steady videos by the sketch system's parts, with its video LDM tuned for them."""

from __future__ import annotations

from sketch2video.files import PIPELINE
from sketch2video.systems.latent_diffusion import painter
from sketch2video.systems.spec import CURVE_VAE, TEXT_ENCODER, Part, SystemSpec, data_folder, model_folder

NAME = "long_video"
PAINTER = "sketch_ldm"
"""The system whose parts paint."""

SPEC = SystemSpec(
    name=NAME,
    title="text → sketch → long video",
    pipeline="sketch2video.systems.long_video.pipeline:LongVideoPipeline",
    control=lambda params: "sketch",
    parts=(
        Part(
            "steadied",
            "Give training clips one background each",
            "sketch2video.systems.long_video.steadied:steady_training_clips",
            lambda params: {"model": model_folder(PAINTER, PIPELINE), "params": params},
            ("long_video", "evaluate"),
            is_data=True,
        ),
        Part(
            "long_video",
            "Tune the video LDM on clips that were made steady",
            "sketch2video.steadiness.tuning:tune_long_video",
            lambda params: {
                "steadied": data_folder(NAME, "steadied"),
                "text_encoder": TEXT_ENCODER,
                "video_ldm": model_folder(PAINTER, "video_ldm"),
            },
            ("long_video", "video_ldm"),
        ),
    ),
    assemble="sketch2video.systems.long_video.pipeline:assemble",
    arguments=lambda params: {
        **painter(PAINTER, params),
        "curve_vae": CURVE_VAE,
        "video_ldm": model_folder(NAME, "long_video"),
        "settings": params.long_video,
    },
    sections=("text_encoder", "curve_vae", "autoencoder", "video_ldm", "long_video"),
)
