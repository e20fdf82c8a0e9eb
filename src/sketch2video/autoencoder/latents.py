"""Encode every clip once with the frozen autoencoder, so that the video LDM is trained without pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sketch2video.autoencoder import network
from sketch2video.autoencoder.frame_batches import encode_videos
from sketch2video.autoencoder.network import FrameAutoencoder, load_autoencoder
from sketch2video.autoencoder.training import to_network
from sketch2video.code import code_digest
from sketch2video.data.clips.columns import IMAGE_TABLE
from sketch2video.data.clips.datasets import image_latents
from sketch2video.data.clips.derive import derive_shards
from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.errors import UserError
from sketch2video.files import fingerprint, write_json
from sketch2video.networks.precision import precision
from sketch2video.networks.temporal_spectrum import power_by_frequency, temporal_deviations


def encode_latents(
    output: Path,
    *,
    autoencoder: Path,
    clips: Path = Path("data/clips"),
    images: Path | None = None,
) -> dict[str, float]:
    """Write the posterior means of all clips, float32 (N, T, C, h, w), and their statistics.

    ``latents.json`` holds the statistics of the training clips, see :func:`latent_statistics`. A clip is not encoded
    again while its frames and the autoencoder are unchanged. Images are encoded likewise, as clips of one frame, into
    the folder ``images`` of the latents.

    Args:
        output: folder that gets the shards.
        autoencoder: folder of the model.
        clips: folder of shards with ``frames``.
        images: folder of shards with ``frames`` of one frame each, and ``images.parquet``; None: there are none.

    Returns:
        The statistics, as ``mean_<channel>``, ``std_<channel>`` and ``temporal_deviations_<frequency>``.

    Raises:
        UserError: clips, images or autoencoder are missing or damaged.
    """
    model, settings = load_autoencoder(autoencoder), {"autoencoder": fingerprint([autoencoder])}
    pictures = [] if images is None else [(images, image_latents(output), read_table(images / IMAGE_TABLE))]
    for source, target, table in [(clips, output, read_table(clips / "clips.parquet")), *pictures]:
        derive_shards(
            lambda clip, _: ({"latents": encode_clip(model, clip["frames"])}, {}),
            ("frames",),
            source,
            target,
            sorted(int(shard) for shard in table["shard"].unique()),
            settings,
            code_digest(network),
            where=None,  # the model's own threads use the cores
            description=f"encode {source.name}",
        )
    table = read_table(clips / "clips.parquet")
    statistics = latent_statistics(output, table[table["split"] == "train"])
    write_json(output / "latents.json", statistics)
    return {f"{name}_{channel}": value for name in statistics for channel, value in enumerate(statistics[name])}


@torch.no_grad()
def encode_clip(model: FrameAutoencoder, frames: np.ndarray) -> np.ndarray:
    """Posterior means of a clip's frames uint8 (T, H, W, 3): float32 (T, C, h, w)."""
    videos = to_network(torch.from_numpy(frames).to(model.device))[None]
    with torch.autocast(model.device.type, torch.bfloat16, enabled=precision() == "bf16"):
        return encode_videos(model, videos)[0].float().cpu().numpy()


def latent_statistics(latents: Path, table: pd.DataFrame) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel over the clips of ``table``, and their spectrum along time.

    Returns:
        ``mean`` and ``std`` of each channel; ``temporal_deviations`` of each frequency, see
        :func:`~sketch2video.networks.temporal_spectrum.temporal_deviations`.

    Raises:
        UserError: the table is empty.
    """
    if table.empty:
        raise UserError("no clip belongs to the train split; add videos or change ingest.test_fraction")
    reader = ShardReader(latents)
    count, total, squares = 0, 0.0, 0.0
    power: Any = 0.0
    for shard, row in zip(table["shard"], table["row"], strict=True):
        clip = reader("latents", int(shard), int(row)).astype(np.float64)  # (T, C, h, w)
        count += clip.size // clip.shape[1]
        total = total + clip.sum((0, 2, 3))
        squares = squares + np.square(clip).sum((0, 2, 3))
        power = power + power_by_frequency(clip)
    mean = np.asarray(total) / count
    std = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 1e-12))
    deviations = temporal_deviations(power, count // len(power), mean, std)
    return {"mean": mean.tolist(), "std": std.tolist(), "temporal_deviations": deviations}
