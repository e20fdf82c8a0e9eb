"""The token system: hierarchical VQGAN and token transformers."""

from __future__ import annotations

from typing import Any

from sketch2video.params import Params, TokenSampling
from sketch2video.systems.spec import CURVE_VAE, TEXT_ENCODER, Part, SystemSpec, data_folder, model_folder

NAME = "hierarchical_vqgan"
VQGAN = model_folder(NAME, "vqgan")


def _assembled(params: Params) -> dict[str, Any]:
    from sketch2video.controls import find_control  # whose files load pandas

    section = params.token_transformer
    return {
        "text_encoder": TEXT_ENCODER,
        "vqgan": VQGAN,
        "token_transformer": model_folder(NAME, "token_transformer"),
        "curve_vae": CURVE_VAE if find_control(section.control).draws else None,
        "sampling": TokenSampling.options(params.evaluate) | TokenSampling.options(section),
    }


SPEC = SystemSpec(
    name=NAME,
    title="text → tokens → video",
    pipeline="sketch2video.systems.hierarchical_vqgan.pipeline:HierarchicalVQGANPipeline",
    control=lambda params: params.token_transformer.control,
    parts=(
        Part(
            "vqgan",
            "VQGAN between frames and tokens of several grids",
            "sketch2video.tokens.vqgan.training:train_vqgan",
            sections=("vqgan",),
        ),
        Part(
            "tokens",
            "Tokens of every clip, on which the transformers are trained",
            "sketch2video.tokens.vqgan.encode:encode_tokens",
            lambda params: {"vqgan": VQGAN},
            ("vqgan",),
            is_data=True,
        ),
        Part(
            "token_transformer",
            "Transformers from captions to tokens, trained against a discriminator of five frames",
            "sketch2video.tokens.transformer_training:train_token_transformer",
            lambda params: {"tokens": data_folder(NAME, "tokens"), "vqgan": VQGAN, "text_encoder": TEXT_ENCODER},
            ("token_transformer",),
        ),
    ),
    assemble="sketch2video.systems.hierarchical_vqgan.pipeline:assemble",
    arguments=_assembled,
    sections=("text_encoder", "vqgan", "token_transformer"),
)
