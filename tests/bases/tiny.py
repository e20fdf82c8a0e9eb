"""Tiny untrained models of the very classes of the bases, saved as they lie on the hub; nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    T2IAdapter,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from sketch2video.bases.adapted_transformer import AdaptedTransformer
from sketch2video.bases.registry import open_base
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.curve_vae import CurveVAE
from sketch2video.systems.adapted_video.pipeline import AdaptedVideoPipeline
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline
from tests.conftest import TINY_CURVE_VAE, tiny_parts

WORDS = ["a", "red", "blue", "circle", "square", "star", "moves", "left", "to", "right", "grows", "man", "hikes"]


def t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer of a few words and all small letters."""
    pieces = [f"▁{word}" for word in WORDS] + [chr(code) for code in range(ord("a"), ord("z") + 1)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=[*special, *((piece, -3.0) for piece in pieces)], extra_ids=0, model_max_length=512)


T5 = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 64}


def stirred(module: torch.nn.Module, scale: float = 0.1) -> torch.nn.Module:
    """The module with weights that are all away from zero."""
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        weight.data += scale * torch.randn(weight.shape, generator=generator)
    return module.eval()


def save_wan(folder: Path) -> Path:
    """Write a Wan 2.1."""
    torch.manual_seed(0)
    WanPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=UMT5EncoderModel(UMT5Config(**T5)),
        vae=AutoencoderKLWan(
            base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[1.1, 0.9, 1.0, 1.2],
        ),
        transformer=stirred(
            WanTransformer3DModel(
                num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=32,
                ffn_dim=32, num_layers=2, rope_max_seq_len=32,
            )
        ),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def save_ltx(folder: Path) -> Path:
    """Write an LTX-Video."""
    torch.manual_seed(0)
    LTXPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=T5EncoderModel(T5Config(**T5)),
        vae=AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
            layers_per_block=(1,) * 5,
            decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=(True, True, True, False),
            decoder_spatio_temporal_scaling=(True, True, True, False),
            patch_size=4,
            patch_size_t=1,
            encoder_causal=True,
            decoder_causal=False,
        ),
        transformer=stirred(
            LTXVideoTransformer3DModel(
                in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32,
                num_layers=2, caption_channels=16,
            )
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def save_cogvideox(folder: Path, rotary: bool = False) -> Path:
    """Write a CogVideoX: 2B, or 5B with its rotary positions and its own sampler."""
    torch.manual_seed(0)
    noise = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = CogVideoXDPMScheduler if rotary else CogVideoXDDIMScheduler
    CogVideoXPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=T5EncoderModel(T5Config(**T5)),
        vae=AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
            temporal_compression_ratio=4, scaling_factor=0.7, sample_height=32, sample_width=64,
        ),
        transformer=stirred(
            CogVideoXTransformer3DModel(
                num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, time_embed_dim=8,
                text_embed_dim=16, num_layers=2, sample_width=8, sample_height=4, sample_frames=9,
                max_text_seq_length=24, use_rotary_positional_embeddings=rotary,
            )
        ),
        scheduler=scheduler(**noise, clip_sample=False),
    ).save_pretrained(folder)  # fmt: skip
    return folder


ENDS = "<|startoftext|>", "<|endoftext|>"
MERGES = [("h", "i"), ("e", "s</w>"), ("k", "es</w>"), ("hi", "kes</w>")]


def clip_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer of all small letters and a few parts of words."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in MERGES), *ENDS]
    return CLIPTokenizer({word: i for i, word in enumerate(words)}, MERGES, model_max_length=24)


def tiny_unet() -> UNet2DConditionModel:
    """Two scales of latents of 4 channels, attention at the larger one and in the middle."""
    return UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=2, norm_num_groups=8,
    )  # fmt: skip


def tiny_adapter(in_channels: int = 3, **changes: Any) -> T2IAdapter:
    """An adapter for :func:`tiny_unet` behind an autoencoder with a factor of 8."""
    sizes = {"channels": [32, 64], "num_res_blocks": 1, "downscale_factor": 8}
    return T2IAdapter(in_channels, **{**sizes, **changes})


def save_stable_diffusion(folder: Path, prediction_type: str = "epsilon") -> Path:
    """Write a Stable Diffusion 1.x with the files and the scheduler of the published one."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    words = tokenizer.get_vocab()
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=24, bos_token_id=words[ENDS[0]], eos_token_id=words[ENDS[1]],
    )  # fmt: skip
    StableDiffusionPipeline(
        tokenizer=tokenizer,
        text_encoder=CLIPTextModel(text),
        vae=AutoencoderKL(
            block_out_channels=[8] * 4, down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4, norm_num_groups=4, sample_size=64,
        ),
        unet=tiny_unet(),
        scheduler=PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
            prediction_type=prediction_type,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    (folder / "tokenizer" / "tokenizer.json").unlink()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (folder / "tokenizer" / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, MERGES)]) + "\n")
    return folder


def save_own(folder: Path, whitening: float = 0.5, frames_per_latent: int = 1) -> Path:
    """Write a text LDM of this project, whose noise has a spectrum along time unless ``whitening`` is 0."""
    spectrum = {"temporal_deviations": [3.0, 1.0, 0.5, 0.3], "whitening": whitening}
    parts = tiny_parts(control_channels=0, **spectrum, time_shift=2.0, frames_per_latent=frames_per_latent)
    transformer = parts["transformer"]
    scale = {"latent_mean": [0.1, -0.1, 0.2, 0.0], "latent_std": [1.2, 0.8, 1.0, 0.9]}
    transformer.register_to_config(sample_frames=10, **scale)
    stirred(transformer)
    TextToVideoPipeline(**parts).save_pretrained(folder)
    return folder


SAVERS: dict[str, Callable[[Path], Path]] = {
    "wan": save_wan,
    "ltx": save_ltx,
    "cogvideox": save_cogvideox,
    "cogvideox_5b": partial(save_cogvideox, rotary=True),
    "stable_diffusion": save_stable_diffusion,
    "own": save_own,
    "own_pairs": partial(save_own, frames_per_latent=2),
}
"""From an empty folder to a base, by its kind."""


def untrained(base: Path, control: str = "sketch", **parts: Any) -> AdaptedVideoPipeline:
    """The pipeline of a base with adapters as they are before training."""
    opened = open_base(base)
    network, vae, (tokenizer, text_encoder) = opened.load_network(), opened.load_vae(), opened.load_text()
    networks = {"transformer": network, "vae": vae, "text_encoder": text_encoder}
    hashes = {name: weights_hash(part) for name, part in networks.items()}
    torch.manual_seed(0)
    transformer = AdaptedTransformer(
        network=network,
        base=opened,
        source=str(base),
        hashes=hashes,
        rank=4,
        control=control,
        sample_size=32,
        sample_frames=5,
    )
    pipeline = AdaptedVideoPipeline(transformer.eval(), vae, text_encoder, tokenizer, opened.load_scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawing_parts() -> dict[str, Any]:
    """The parts of a pipeline that draw."""
    parts = tiny_parts(control_channels=0)
    encoders = {"curve_text_encoder": parts["text_encoder"], "curve_tokenizer": parts["tokenizer"]}
    return {"curve_vae": CurveVAE(**TINY_CURVE_VAE), **encoders}


def stir_adapters(pipeline: AdaptedVideoPipeline, scale: float = 0.1) -> AdaptedVideoPipeline:
    """Adapters as after a training: no longer zero."""
    generator = torch.Generator().manual_seed(1)
    for weight in pipeline.transformer.adapters().values():
        weight.data += scale * torch.randn(weight.shape, generator=generator)
    return pipeline
