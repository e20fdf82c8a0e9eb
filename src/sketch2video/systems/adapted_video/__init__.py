"""A pretrained video model of the user's that follows drawings: LoRA and a wider input layer on a frozen base."""

from __future__ import annotations

from typing import Any

from sketch2video.params import DiffusionSampling, Params
from sketch2video.systems.spec import CURVE_VAE, TEXT_ENCODER, Part, SystemSpec, data_folder, model_folder

NAME = "adapted_video"


def _assembled(params: Params) -> dict[str, Any]:
    from sketch2video.controls import find_control  # whose files load pandas

    draws = find_control(params.adapted_video.control, "adapted_video.control").draws
    return {
        "adapters": model_folder(NAME, "adapters"),
        "curve_vae": CURVE_VAE if draws else None,
        "text_encoder": TEXT_ENCODER,
        "sampling": DiffusionSampling.options(params.evaluate),
    }


SPEC = SystemSpec(
    name=NAME,
    title="text → sketch → video, by an adapted base",
    pipeline="sketch2video.systems.adapted_video.pipeline:AdaptedVideoPipeline",
    control=lambda params: params.adapted_video.control,
    parts=(
        Part(
            "latents",
            "Clips, drawings and captions, encoded by the base",
            "sketch2video.bases.encoded_clips:encode_clips",
            lambda params: {"params": params},
            ("adapted_video",),
            is_data=True,
        ),
        Part(
            "adapters",
            "LoRA and the wider input layer of a base that follows drawings",
            "sketch2video.bases.training:train_adapters",
            lambda params: {"latents": data_folder(NAME, "latents")},
            ("adapted_video",),
        ),
    ),
    assemble="sketch2video.systems.adapted_video.pipeline:assemble",
    arguments=_assembled,
    sections=("text_encoder", "curve_vae", "adapted_video"),
)
