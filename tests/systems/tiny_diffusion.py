"""Tiny untrained models of the classes that Stable Diffusion 1.x and its T2I-Adapters are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, T2IAdapter, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CHANNELS = 32, 64

ENDS = "<|startoftext|>", "<|endoftext|>"

MERGES = [("h", "i"), ("e", "s</w>"), ("k", "es</w>"), ("hi", "kes</w>")]


def tiny_unet() -> UNet2DConditionModel:
    """Two scales of latents of 4 channels, attention at the larger one and in the middle."""
    return UNet2DConditionModel(
        block_out_channels=CHANNELS,
        layers_per_block=1,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
    )


def tiny_adapter(in_channels: int = 3, **changes: Any) -> T2IAdapter:
    """An adapter for :func:`tiny_unet` behind an autoencoder with a factor of 2."""
    sizes = {"channels": list(CHANNELS), "num_res_blocks": 1, "downscale_factor": 2}
    return T2IAdapter(in_channels, **{**sizes, **changes})


def tiny_stable_diffusion() -> dict[str, Any]:
    """The parts of a Stable Diffusion, with the scheduler that the published one has."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{c}</w>" for c in letters), "hi", "hikes</w>", "kes</w>", "es</w>", *ENDS]
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
    )
    return {
        "vae": AutoencoderKL(
            block_out_channels=[8, 8],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=16,
        ),
        "text_encoder": CLIPTextModel(text),
        "tokenizer": CLIPTokenizer({word: i for i, word in enumerate(words)}, MERGES, model_max_length=24),
        "unet": tiny_unet(),
        "scheduler": PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
    }


def save_tiny(folder: Path) -> tuple[Path, Path]:
    """Write a Stable Diffusion, and an adapter of colour pictures, as they lie on the hub."""
    torch.manual_seed(0)
    parts = tiny_stable_diffusion() | {"safety_checker": None, "feature_extractor": None}
    StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(folder / "model")
    words = folder / "model" / "tokenizer"
    (words / "tokenizer.json").unlink()
    (words / "vocab.json").write_text(json.dumps(parts["tokenizer"].get_vocab()))
    (words / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, MERGES)]) + "\n")
    tiny_adapter().save_pretrained(folder / "adapter")
    return folder / "model", folder / "adapter"
