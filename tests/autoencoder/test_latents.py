import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.autoencoder.training import to_network
from sketch2video.data.clips.shards import read_shard, read_table, shard_path, write_shard, write_table
from sketch2video.errors import UserError


@pytest.fixture
def project(scenes: Path, tmp_path: Path) -> Path:
    """Clips, an untrained autoencoder, and the latents of the clips."""
    shutil.copytree(scenes / "clips", tmp_path / "clips")
    torch.manual_seed(0)
    FrameAutoencoder(latent_channels=2, halvings=2, width=16).save_pretrained(tmp_path / "autoencoder")
    encode(tmp_path)
    return tmp_path


def encode(folder: Path) -> None:
    encode_latents(folder / "latents", clips=folder / "clips", autoencoder=folder / "autoencoder")


def test_latents_are_the_posterior_means(project: Path) -> None:
    model = FrameAutoencoder.from_pretrained(project / "autoencoder")
    for shard in (0, 1):
        frames = torch.from_numpy(read_shard(shard_path(project / "clips", shard))["frames"])
        latents = read_shard(shard_path(project / "latents", shard))["latents"]
        assert latents.shape == (12, 4, 2, 8, 8)
        assert latents.dtype == np.float32
        with torch.no_grad():
            expected = model.encode(to_network(frames[5])).mean.numpy()
        np.testing.assert_allclose(latents[5], expected, atol=0.02 * np.abs(expected).max())


def test_statistics_are_those_of_the_training_clips(project: Path) -> None:
    latents = np.concatenate([read_shard(shard_path(project / "latents", shard))["latents"] for shard in (0, 1)])
    train = latents[(read_table(project / "clips" / "clips.parquet")["split"] == "train").to_numpy()]
    statistics = json.loads((project / "latents" / "latents.json").read_text())
    np.testing.assert_allclose(statistics["mean"], train.mean((0, 1, 3, 4)), rtol=1e-4)
    np.testing.assert_allclose(statistics["std"], train.std((0, 1, 3, 4)), rtol=1e-4)


def test_only_what_changed_is_encoded_again(project: Path) -> None:
    first, second = (shard_path(project / "latents", shard) for shard in (0, 1))
    before = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    encode(project)
    assert (first.stat().st_mtime_ns, second.read_bytes()) == before

    FrameAutoencoder(latent_channels=2, halvings=2, width=16).save_pretrained(project / "autoencoder")
    encode(project)
    assert first.stat().st_mtime_ns != before[0]


def test_images_are_encoded_as_clips_of_one_frame(project: Path) -> None:
    frames = read_shard(shard_path(project / "clips", 0))["frames"][:3, :1]
    write_shard(shard_path(project / "images", 5), {"frames": frames}, list("abc"), "images")
    table = pd.DataFrame({"caption": list("abc"), "split": "train", "shard": 5, "row": range(3)})
    write_table(table, project / "images" / "images.parquet")
    before = (project / "latents" / "latents.json").read_bytes()
    where = {name: project / name for name in ("clips", "autoencoder", "images")}
    encode_latents(project / "latents", **where)
    images = read_shard(shard_path(project / "latents" / "images", 5))["latents"]
    clips = read_shard(shard_path(project / "latents", 0))["latents"][:3, :1]
    np.testing.assert_allclose(images, clips, atol=0.05 * np.abs(clips).max())  # sums in bfloat16
    assert (project / "latents" / "latents.json").read_bytes() == before

    write_table(table[:0], project / "images" / "images.parquet")
    encode_latents(project / "latents", **where)
    assert not list((project / "latents" / "images" / "shards").glob("*"))


def test_a_damaged_shard_of_clips_is_named(project: Path) -> None:
    shard_path(project / "clips", 1).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"0001\.safetensors is missing or damaged"):
        encode(project)
