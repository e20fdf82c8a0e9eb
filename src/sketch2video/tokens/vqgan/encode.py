"""Encode every clip once by the frozen VQGAN, so that the training of the transformers reads tokens alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sketch2video.autoencoder.training import to_network
from sketch2video.code import code_digest
from sketch2video.data.clips.derive import derive_shards, shards_of
from sketch2video.data.clips.shards import read_shard, shard_path
from sketch2video.files import fingerprint
from sketch2video.networks.precision import precision
from sketch2video.tokens.vqgan import network
from sketch2video.tokens.vqgan.codebook import perplexity
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan

FRAMES_AT_ONCE = 64


def encode_tokens(
    output: Path,
    *,
    vqgan: Path,
    clips: Path = Path("data/clips"),
) -> dict[str, float]:
    """Write the tokens of all clips: an array ``tokens_<level>`` of each level, 0 the finest, int64 (N, T, h, w).

    Clips with unchanged frames are not encoded again by the same VQGAN.

    Args:
        output: folder of the shards.
        vqgan: folder of the model.
        clips: folder of shards with ``frames``.

    Returns:
        For each level ``perplexity_<level>`` over all clips: the effective number of codes in use.

    Raises:
        UserError: clips or model are missing or damaged.
    """
    model = load_vqgan(vqgan)
    derive_shards(
        lambda clip, _: (encode_clip(model, clip["frames"]), {}),
        ("frames",),
        clips,
        output,
        shards_of(clips),
        {"vqgan": fingerprint([vqgan])},
        code_digest(network),
        where=None,  # the model's own threads use the cores
        description="encode tokens",
    )
    return {
        f"perplexity_{level}": float(perplexity(all_tokens(output, shards_of(clips), level), model.config.codes))
        for level in range(model.config.levels)
    }


def all_tokens(folder: Path, shards: Sequence[int], level: int) -> torch.Tensor:
    """The tokens of a level of all clips, flattened: int64."""
    arrays = [read_shard(shard_path(folder, shard))[token_array(level)] for shard in shards]
    return torch.from_numpy(np.concatenate([array.reshape(-1) for array in arrays]))


@torch.no_grad()
def encode_clip(model: HierarchicalVQGAN, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Tokens of a clip's frames uint8 (T, H, W, 3), level by level; see :func:`encode_tokens`."""
    parts = []
    for part in torch.from_numpy(frames).split(FRAMES_AT_ONCE):
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision() == "bf16"):
            parts.append(model.encode(to_network(part.to(model.device))))
    levels = [torch.cat(level).cpu().numpy() for level in zip(*parts, strict=True)]
    return {token_array(level): tokens for level, tokens in enumerate(levels)}


def token_array(level: int) -> str:
    """Name of the array with a level's tokens."""
    return f"tokens_{level}"
