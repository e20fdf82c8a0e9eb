"""Tiny untrained models of the very classes of the bases, saved as they lie on the hub; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from sketch2video.bases.adapted_transformer import AdaptedTransformer
from sketch2video.bases.registry import open_base
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.systems.adapted_video.pipeline import AdaptedVideoPipeline

WORDS = "a red blue circle square star moves left to right grows man hikes".split()


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


SAVERS: dict[str, Callable[[Path], Path]] = {"wan": save_wan}
"""From an empty folder to a base, by its kind."""


def untrained(base: Path, control: str = "sketch", **parts: Any) -> AdaptedVideoPipeline:
    """The pipeline of a base with adapters as they are before training."""
    opened = open_base(base)
    network, vae, (tokenizer, text_encoder) = opened.load_network(), opened.load_vae(), opened.load_text()
    networks = {"transformer": network, "vae": vae, "text_encoder": text_encoder}
    hashes = {name: weights_hash(part) for name, part in networks.items()}
    torch.manual_seed(0)
    transformer = AdaptedTransformer(
        network, opened, source=str(base), hashes=hashes, rank=4, control=control, sample_size=32, sample_frames=5
    )
    pipeline = AdaptedVideoPipeline(transformer.eval(), vae, text_encoder, tokenizer, opened.load_scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stir_adapters(pipeline: AdaptedVideoPipeline, scale: float = 0.1) -> AdaptedVideoPipeline:
    """Adapters as after a training: no longer zero."""
    generator = torch.Generator().manual_seed(1)
    for weight in pipeline.transformer.adapters().values():
        weight.data += scale * torch.randn(weight.shape, generator=generator)
    return pipeline
