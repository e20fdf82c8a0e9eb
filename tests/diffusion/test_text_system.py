"""The text-only system from clips and images to a long video, every part trained for a few steps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.training import train_autoencoder
from sketch2video.data.clips.shards import read_shard, shard_path, write_shard, write_table
from sketch2video.diffusion.training import train_video_ldm
from sketch2video.params import MixtureParams
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline, assemble
from sketch2video.training.loop import SilentLogger
from tests.small_data import small_params


@pytest.fixture
def images(scenes: Path, tmp_path: Path) -> Path:
    """Frames of clips as captioned images."""
    frames = read_shard(shard_path(scenes / "clips", 0))["frames"][:, 2:3]
    ids = [f"image-{number}" for number in range(len(frames))]
    write_shard(shard_path(tmp_path / "images", 1), {"frames": frames}, ids, "images")
    table = pd.DataFrame({"caption": "a painted thing", "split": "train", "shard": 1, "row": range(len(ids))})
    write_table(table, tmp_path / "images" / "images.parquet")
    return tmp_path / "images"


def test_clips_and_images_become_a_pipeline_that_makes_long_videos(scenes: Path, images: Path, tmp_path: Path) -> None:
    where = {"clips": scenes / "clips", "checkpoints": tmp_path / "checkpoints"}
    logger = SilentLogger()
    autoencoder, video_ldm, latents = (tmp_path / name for name in ("autoencoder", "video_ldm", "latents"))
    params = small_params("autoencoder", 2, width=16)
    train_autoencoder(params, logger, autoencoder, control="none", curves=scenes / "curves", **where)
    encode_latents(latents, clips=scenes / "clips", autoencoder=autoencoder, images=images)
    mixture = MixtureParams(known_frames=0.5, half_rate=0.2, image_share=0.3, image_steps=2)
    train_video_ldm(
        small_params("video_ldm", 8, width=32, layers=2, heads=2),
        logger,
        video_ldm,
        control="none",
        mixture=mixture,
        latents=latents,
        images=images,
        text_encoder=scenes / "text",
        autoencoder=autoencoder,
        **where,
    )
    assemble(tmp_path / "model", text_encoder=scenes / "text", autoencoder=autoencoder, video_ldm=video_ldm)
    pipeline = TextToVideoPipeline.from_pretrained(tmp_path / "model")
    pipeline.set_progress_bar_config(disable=True)
    frames = pipeline("a red circle moves left to right", 25, num_inference_steps=2).frames
    assert frames.shape == (1, 25, 32, 32, 3)
    assert np.isfinite(frames).all()
    still = pipeline("a painted thing", 1, num_inference_steps=2, generator=torch.Generator().manual_seed(0)).frames
    assert still.shape == (1, 1, 32, 32, 3)
