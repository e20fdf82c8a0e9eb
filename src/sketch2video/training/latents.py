"""Encode every clip once with the frozen autoencoder, so that the video LDM's training never touches pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from sketch2video.errors import UserError
from sketch2video.files import fingerprint, sha256_of_value, write_json
from sketch2video.models.autoencoder import SketchAutoencoder, load_autoencoder
from sketch2video.models.precision import precision
from sketch2video.training.autoencoder import to_network
from sketch2video.videos.shards import ShardReader, clip_ids_of, read_table, shard_key, shard_path, sweep, write_shard

VERSION = 1
"""Raised whenever the same clips and autoencoder would give other latents."""
FRAMES_AT_ONCE = 64


def encode_latents(
    *,
    clips: Path = Path("data/clips"),
    autoencoder: Path = Path("models/autoencoder"),
    latents: Path = Path("data/latents"),
) -> None:
    """Write the posterior means of all clips, float32 (N, T, C, h, w), and their statistics.

    ``latents.json`` holds ``mean`` and ``std`` of each channel over the training clips. A shard whose clips and
    autoencoder are unchanged is left alone.

    Args:
        clips: folder of shards with ``frames``.
        autoencoder: folder of the model.
        latents: folder that gets the shards.

    Raises:
        UserError: clips or autoencoder are missing or damaged.
    """
    model = load_autoencoder(autoencoder)
    made_by = {"autoencoder": fingerprint([autoencoder]), "version": VERSION}
    table = read_table(clips / "clips.parquet")
    shards = sorted(int(shard) for shard in table["shard"].unique())
    sweep(latents, shards)
    for shard in tqdm(shards, desc="encode_latents", unit="shard"):
        source, target = shard_path(clips, shard), shard_path(latents, shard)
        made_of = shard_key(source)
        if made_of is None:
            raise UserError(f"{source} is missing or damaged; run `dvc repro` to make it")
        key = sha256_of_value({"clips": made_of, **made_by})
        if shard_key(target) == key:
            continue
        clip_ids, reader = clip_ids_of(source), ShardReader(clips)
        encoded = [encode_clip(model, reader("frames", shard, row)) for row in range(len(clip_ids))]
        write_shard(target, {"latents": np.stack(encoded)}, clip_ids, key)
    write_json(latents / "latents.json", latent_statistics(latents, table[table["split"] == "train"]))


@torch.no_grad()
def encode_clip(model: SketchAutoencoder, frames: np.ndarray) -> np.ndarray:
    """Posterior means of a clip's frames uint8 (T, H, W, 3): float32 (T, C, h, w)."""
    means = []
    for part in torch.from_numpy(frames).split(FRAMES_AT_ONCE):
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision() == "bf16"):
            means.append(model.encode(to_network(part.to(model.device))).mean.float())
    return torch.cat(means).cpu().numpy()


def latent_statistics(latents: Path, table: pd.DataFrame) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel over the clips of ``table``.

    Raises:
        UserError: the table is empty.
    """
    if table.empty:
        raise UserError("no clip belongs to the train split; add videos or change ingest.test_fraction")
    reader = ShardReader(latents)
    count, total, squares = 0, 0.0, 0.0
    for shard, row in zip(table["shard"], table["row"], strict=True):
        clip = reader("latents", int(shard), int(row)).astype(np.float64)  # (T, C, h, w)
        count += clip.size // clip.shape[1]
        total = total + clip.sum((0, 2, 3))
        squares = squares + np.square(clip).sum((0, 2, 3))
    mean = np.asarray(total) / count
    std = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 1e-12))
    return {"mean": mean.tolist(), "std": std.tolist()}
