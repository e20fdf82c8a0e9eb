from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.datasets import Scheduled, ShardDataset, batch_at, image_table
from sketch2video.data.clips.shards import ShardReader, shard_path, write_shard, write_table
from sketch2video.diffusion.mixed_data import MixedDataset
from sketch2video.params import MixtureParams

CLIPS, IMAGES, FRAMES = 5, 3, 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clips whose latents hold 10 * clip + frame, with control videos, and images whose latents hold 100 + image."""
    numbers = 10.0 * np.arange(CLIPS)[:, None] + np.arange(FRAMES)
    latents = np.broadcast_to(numbers[..., None, None, None], (CLIPS, FRAMES, 2, 2, 2)).astype(np.float32)
    control = np.full((CLIPS, FRAMES, 8, 8, 3), 7, np.uint8)
    ids = [str(number) for number in range(CLIPS)]
    write_shard(shard_path(tmp_path, 0), {"latents": latents, "control": control}, ids, "clips")
    pictures = np.broadcast_to(100.0 + np.arange(IMAGES)[:, None, None, None, None], (IMAGES, 1, 2, 2, 2))
    write_shard(shard_path(tmp_path / "images", 3), {"latents": pictures.astype(np.float32)}, ids[:IMAGES], "images")
    rows = {"caption": list("abc"), "split": ["train", "test", "train"], "shard": 3, "row": range(IMAGES)}
    write_table(pd.DataFrame(rows), tmp_path / "images.parquet")
    return tmp_path


def mixed(folder: Path, *, images: bool = True, accumulation: int = 1, **changes: float) -> MixedDataset:
    table = pd.DataFrame({"shard": 0, "row": range(CLIPS), "fps": 8.0})
    clips = ShardDataset(table, {"latents": folder, "control": folder}, ["fps"])
    mixture = {"known_frames": 0.0, "half_rate": 0.0, "image_share": 0.0, "image_steps": 0} | changes
    pictures = image_table(folder if images else None)
    reader = ShardReader(folder / "images")
    return MixedDataset(clips, pictures, reader, MixtureParams.model_validate(mixture), FRAMES, accumulation)


def test_images_of_the_training_split_alone_are_taken(folder: Path) -> None:
    assert image_table(folder)["caption"].tolist() == ["a", "c"]
    assert image_table(None).empty


def test_a_step_on_single_frames_sees_as_many_frames_as_one_on_clips(folder: Path) -> None:
    data = mixed(folder, image_share=0.5)
    assert isinstance(data, Scheduled)
    kinds = {True: 0, False: 0}
    for position in range(40):
        batch = batch_at(data, 0, position, 2)
        single = data.is_on_single_frames(0, position)
        kinds[single] += 1
        assert batch["latents"].shape == ((8, 1, 2, 2, 2) if single else (2, FRAMES, 2, 2, 2))
        assert batch["control"].shape[:2] == batch["latents"].shape[:2]
        assert len(batch["fps"]) == len(batch["index"]) == len(batch["latents"])
        assert torch.equal(batch["fps"], 8.0 * batch.get("pictured", torch.ones(2)))
    assert min(kinds.values()) >= 10


def test_frames_belong_to_their_captions_and_all_come_up(folder: Path) -> None:
    data, seen = mixed(folder, image_steps=100), set()
    for position in range(60):
        batch = batch_at(data, 0, position, 2)
        for number, index, pictured in zip(
            batch["latents"][:, 0, 0, 0, 0], batch["index"], batch["pictured"], strict=True
        ):
            assert pictured == (index < CLIPS)
            assert int(number) // 10 == index if pictured else number == {CLIPS: 100, CLIPS + 1: 102}[int(index)]
            seen.add(int(number))
        assert (batch["control"][batch["pictured"]] == 7).all()
        assert not batch["control"][~batch["pictured"]].any()
    assert seen == {10 * clip + frame for clip in range(CLIPS) for frame in range(FRAMES)} | {100, 102}


def test_no_more_than_one_frame_of_a_clip_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mixed(folder, image_steps=1)
    monkeypatch.setattr(ShardReader, "__call__", lambda *_: pytest.fail("a whole clip was read"))
    assert batch_at(data, 0, 0, 2)["latents"].shape[1] == 1


def test_the_first_steps_see_single_frames_and_accumulated_batches_are_alike(folder: Path) -> None:
    data = mixed(folder, image_steps=3, image_share=0.3, accumulation=2)
    kinds = [data.is_on_single_frames(0, position) for position in range(400)]
    assert kinds[0::2] == kinds[1::2]
    assert all(kinds[:6])
    assert np.mean(kinds[6:]) == pytest.approx(0.3, abs=0.08)
    assert not any(mixed(folder, image_steps=3).is_on_single_frames(0, position) for position in range(3, 99))


def test_a_batch_is_a_function_of_seed_and_position(folder: Path) -> None:
    first, again, other = (batch_at(mixed(folder, image_steps=9), seed, 4, 2) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["latents"], other["latents"])


def test_without_images_there_are_frames_of_clips(folder: Path) -> None:
    assert batch_at(mixed(folder, images=False, image_steps=1), 0, 0, 2)["pictured"].all()
