from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.datasets import ShardDataset
from sketch2video.data.clips.shards import ShardReader, read_table, shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.params import SteadySource, load_params
from sketch2video.steadiness.file_names import STEADIED
from sketch2video.systems import LongVideoPipeline
from sketch2video.systems.long_video.steadied import fused_clip, steady_clips

CLIPS, FRAMES = 6, 8
SETTINGS = load_params(Path(__file__).parents[2] / "params.yaml").evaluate


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Curves of clips of which the last two are held out."""
    folder = tmp_path_factory.mktemp("curves")
    table = pd.DataFrame(
        {
            "clip_id": [f"clip{i}" for i in range(CLIPS)],
            "caption": ["a red circle moves left to right", "a blue star grows"] * (CLIPS // 2),
            "split": ["train"] * (CLIPS - 2) + ["test"] * 2,
            "fps": 8.0,
            "shard": 0,
            "row": range(CLIPS),
        }
    )
    rng = np.random.default_rng(0)
    arrays = {
        "coefficients": rng.uniform(0.2, 0.8, (CLIPS, FRAMES, 2, 2, 8)).astype(np.float32),
        "visibility": np.ones((CLIPS, FRAMES, 2), np.float32),
    }
    write_shard(shard_path(folder, 0), arrays, table["clip_id"].tolist(), "curves")
    write_table(table, folder / "curves.parquet")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their frames: a square that moves over noise that does not, each frame with a little noise of its own."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(1)
    frames = rng.integers(60, 100, (CLIPS, 1, 32, 32, 3)) + rng.integers(-3, 4, (CLIPS, FRAMES, 32, 32, 3))
    for t in range(FRAMES):
        frames[:, t, 12:20, 3 * t : 3 * t + 8] = (250, 20, 20)
    write_shard(shard_path(folder, 0), {"frames": frames.astype(np.uint8)}, [f"clip{i}" for i in range(CLIPS)], "clips")
    return folder


@pytest.mark.parametrize("source", ["clips", "painted"])
def test_training_clips_are_made_steady_and_can_be_trained_on(
    clips: Path, curves: Path, tiny_pipeline_folder: Path, tmp_path: Path, source: SteadySource
) -> None:
    pipeline = LongVideoPipeline.from_pretrained(tiny_pipeline_folder, fusion_times=(0.9,))
    pipeline.set_progress_bar_config(disable=True)
    for folder in ("one", "two"):
        values = steady_clips(pipeline, SETTINGS, 3, 0, source, clips=clips, curves=curves, output=tmp_path / folder)
    assert values["clips"] == 3
    assert 0 <= values["foreground"] <= 1
    table = read_table(tmp_path / "one" / STEADIED)
    assert set(table["split"]) == {"train"}
    arrays = dict.fromkeys(("latents", "foreground", "coefficients", "visibility"), tmp_path / "one")
    batch = ShardDataset(table, arrays, ["fps"]).batch([0, 1, 2])
    assert batch["latents"].shape == (3, FRAMES, *pipeline.latent_shape)
    assert batch["foreground"].shape == (3, FRAMES, 1, *pipeline.latent_shape[1:])
    assert batch["latents"].isfinite().all()
    for file in (tmp_path / "one").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


@torch.no_grad()
def test_a_clip_keeps_its_object_and_has_the_mean_of_its_backgrounds(clips: Path, tiny_pipeline_folder: Path) -> None:
    pipeline = LongVideoPipeline.from_pretrained(tiny_pipeline_folder, fused_frames=FRAMES)
    frames = ShardReader(clips)("frames", 0, 0)
    steady = fused_clip(pipeline, frames, torch.Generator().manual_seed(0))
    plain = pipeline.normalised(pipeline.encode_pictures(torch.from_numpy(frames).movedim(-1, 1)[None] / 127.5 - 1))[0]
    inside = steady.foreground[:, 0]
    torch.testing.assert_close(steady.latents[0].movedim(1, -1)[inside], plain.movedim(1, -1)[inside])
    always = ~inside.any(0)
    assert 0 < always.float().mean() < 1
    mean = plain.mean(0)[:, always].expand(FRAMES, -1, -1)
    torch.testing.assert_close(steady.latents[0][..., always], mean, atol=1e-4, rtol=1e-4)


def test_without_fusion_there_is_nothing_to_tune_for(curves: Path, tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    pipeline = LongVideoPipeline.from_pretrained(tiny_pipeline_folder, fusion_times=())
    with pytest.raises(UserError, match="fusion_times"):
        steady_clips(pipeline, SETTINGS, 3, 0, "clips", curves=curves, output=tmp_path)
