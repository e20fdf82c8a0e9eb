"""Load a pipeline from a Stable Diffusion and a T2I-Adapter, each a folder or a hub id."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, T2IAdapter, UNet2DConditionModel
from transformers import CLIPTextModel

from sketch2video.diffusion.cross_frame_attention import FrameAttention
from sketch2video.errors import UserError
from sketch2video.networks.loading import load_clip_tokenizer, load_named, one_line
from sketch2video.systems.adapted_diffusion.noise_schedule import SCHEDULE, make_scheduler
from sketch2video.systems.adapted_diffusion.pipeline import AdaptedDiffusionPipeline

_MODEL = "name a folder or a hub id of a Stable Diffusion 1.x in safetensors, such as CompVis/stable-diffusion-v1-4"
_ADAPTER = (
    "name a folder or a hub id of a T2IAdapter for this model in safetensors; docs/stable_diffusion.md shows how one is"
    " made of a published .bin"
)


def load_adapted_diffusion(
    model: str | Path, adapter: str | Path, frame_attention: FrameAttention = "first_and_own"
) -> AdaptedDiffusionPipeline:
    """Load a Stable Diffusion and a T2I-Adapter, frozen, in float32, with DDIM, on the accelerator or the CPU.

    Only safetensors are read. A safety checker, if there is one, is not loaded.

    Args:
        model: a folder or a hub id with the parts ``vae``, ``text_encoder``, ``tokenizer``, ``unet`` and ``scheduler``.
        adapter: a folder or a hub id.
        frame_attention: see :meth:`AdaptedDiffusionPipeline.set_frame_attention`.

    Raises:
        UserError: one of them is missing, damaged, not in safetensors or cannot be downloaded, or they do not match.
    """
    with one_line(model, "a Stable Diffusion", _MODEL):
        config = DDIMScheduler.load_config(model, subfolder="scheduler")
    config.setdefault("prediction_type", "epsilon")  # as in schedulers that were saved before there was a choice
    for key, value in SCHEDULE.items():
        if config.get(key) != value:
            raise UserError(f"{model} was trained with {key} {config.get(key)}, not {value}; {_MODEL}")
    tokenizer = load_clip_tokenizer(model, _MODEL, part="tokenizer")
    kinds = {"vae": AutoencoderKL, "text_encoder": CLIPTextModel, "unet": UNet2DConditionModel}
    parts = {
        part: load_named(kind, model, f"the {part} of a Stable Diffusion", _MODEL, part=part)
        for part, kind in kinds.items()
    }
    parts["adapter"] = load_named(T2IAdapter, adapter, "a T2IAdapter", _ADAPTER)
    for part in parts.values():
        part.requires_grad_(False)
    pipeline = AdaptedDiffusionPipeline(
        **parts, tokenizer=tokenizer, scheduler=make_scheduler(), frame_attention=frame_attention
    )
    made_for = parts["adapter"].config
    if made_for.in_channels not in (1, 3):
        raise UserError(f"{adapter} follows pictures of {made_for.in_channels} channels, not 1 or 3; {_ADAPTER}")
    sizes = list(made_for.channels), parts["adapter"].downscale_factor
    if sizes != (list(parts["unet"].config.block_out_channels), pipeline.factor):
        raise UserError(f"{adapter} belongs to another network than {model}: its features have other sizes; {_ADAPTER}")
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
