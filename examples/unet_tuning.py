"""Parameters of a UNet for combined tuning: all weights, or LoRA on its attention."""

from __future__ import annotations

from diffusers import UNet2DConditionModel
from torch import nn

LORA_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]
"""Projections of all self- and cross-attention layers of diffusers' UNet."""


def tuned_parameters(unet: UNet2DConditionModel, lora_rank: int | None) -> list[nn.Parameter]:
    """The parameters of a UNet that are tuned; all others are frozen.

    Args:
        unet: a UNet of diffusers; with a rank LoRA layers are added, which :func:`merge_lora` removes again.
        lora_rank: rank of the matrices that are added to those of the attention (Hu et al. 2022, "LoRA"); their product
            is initially zero, and their random factors use torch's global generator. None: all weights are tuned.
    """
    if lora_rank is None:
        return list(unet.requires_grad_(True).parameters())
    from peft import LoraConfig  # which loads slowly

    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=lora_rank, lora_alpha=lora_rank, init_lora_weights="gaussian", target_modules=LORA_LAYERS)
    )
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


def merge_lora(unet: UNet2DConditionModel) -> None:
    """Merge LoRA layers into a UNet's weights, which are then saved and loaded as before; all are frozen."""
    unet.fuse_lora()
    unet.unload_lora()
    unet.requires_grad_(False)
