"""Clips, drawings and captions that are encoded once; each clip that is dropped or cut is reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.bases import encoded_clips
from sketch2video.bases.base import Base
from sketch2video.bases.clip_batches import EncodedClips
from sketch2video.bases.encoded_clips import encode_clips, encode_control, few_frames
from sketch2video.bases.registry import open_base
from sketch2video.bases.wan import Wan
from sketch2video.controls.sketch import SKETCH
from sketch2video.curves.equation.corruption import draw_ink
from sketch2video.data.clips.shards import ShardReader, read_table, write_table
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.media.writing import write_video
from sketch2video.params import Params
from tests.bases.conftest import SIZE, adapted_params

USED = 9
"""Frames of each clip that Wan can use."""


@pytest.fixture(scope="module")
def encoded(clips: Path, bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoded")
    params = adapted_params(bases["wan"], variants=3, sparse=1.0)
    found = encode_clips(folder, params=params, clips=clips / "clips", curves=clips / "curves")
    assert found == {"clips": 8, "cut": 8, "dropped": 0}
    return folder


def test_clips_are_encoded_as_the_base_encodes(encoded: Path, clips: Path, bases: dict[str, Path]) -> None:
    base = open_base(bases["wan"])
    vae, batch = base.load_vae(), EncodedClips(encoded, "train").batch([2])
    row = read_table(clips / "clips" / "clips.parquet").query("split == 'train'").iloc[[2]]
    frames = torch.from_numpy(ShardReader(clips / "clips").batch("frames", row))[:, :USED]
    curves = [torch.from_numpy(ShardReader(clips / "curves").batch(n, row)) for n in ("coefficients", "visibility")]
    with torch.no_grad():
        expected = base.encode(vae, frames.movedim(-1, 2).float() / 127.5 - 1)
        ink = draw_ink(*(array[:, :USED] for array in curves), SIZE, SIZE)
        drawing = encode_control(base, vae, ink, torch.ones(1, USED, dtype=torch.bool))
    torch.testing.assert_close(batch["latents"], expected)
    torch.testing.assert_close(batch["control"][:, 0], drawing)
    assert batch["fps"].item() == row["fps"].item()


def test_variants_show_few_frames(encoded: Path) -> None:
    batch = EncodedClips(encoded, "train").batch([0, 1, 2])
    assert batch["drawn"].shape == (3, 4, USED)
    assert batch["drawn"][:, 0].all()
    counts = batch["drawn"][:, 1:].sum(-1)
    assert 1 <= counts.min() <= counts.max() <= 4
    assert (batch["control"][:, 0] - batch["control"][:, 1]).abs().max() > 0.01


def test_few_frames_are_one_to_four_and_often_the_first() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([few_frames(9, generator) for _ in range(400)])
    assert set(masks.sum(1).tolist()) == {1, 2, 3, 4}
    assert 0.5 < masks[:, 0].float().mean() < 0.8
    assert few_frames(1, generator).tolist() == [True]


def test_captions_are_encoded_once_each(encoded: Path, bases: dict[str, Path]) -> None:
    base = open_base(bases["wan"])
    found, captions = EncodedClips(encoded, "train"), ["a red circle moves left to right"]
    text = base.encode_text(*base.load_text(), captions, torch.device("cpu"))
    torch.testing.assert_close(found.text_of(captions[0]), text.hidden[0][text.mask[0]])
    empty = base.no_text(*base.load_text(), torch.device("cpu"))
    torch.testing.assert_close(found.text_of(None), empty.hidden[0][empty.mask[0]])
    assert len(list((encoded / "text").iterdir())) == 3


def test_every_cut_clip_is_a_row(encoded: Path) -> None:
    table = pd.read_csv(encoded / "left_out.csv")
    assert list(table["clip_id"]) == [f"clip{number}" for number in range(8)]
    assert set(table["reason"]) == {"cut: the first 9 of 10 frames are used"}


class Counted(Wan):
    """Counts the videos that it encodes."""

    videos = 0

    def encode(self, vae: Any, videos: torch.Tensor) -> torch.Tensor:
        Counted.videos += len(videos)
        return super().encode(vae, videos)


def test_what_is_unchanged_is_kept(
    clips: Path, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded_clips, "open_base", Counted)
    source = Path(shutil.copytree(clips, tmp_path / "source"))
    where = {"clips": source / "clips", "curves": source / "curves"}
    params = adapted_params(bases["wan"], variants=0)

    def encoded_again(params: Params) -> int:
        Counted.videos = 0
        encode_clips(tmp_path / "latents", params=params, **where)
        return Counted.videos

    assert encoded_again(params) == 2 * 8, "a clip and its drawing"
    assert encoded_again(params) == 0
    assert encoded_again(adapted_params(bases["wan"], variants=0, rank=7, text_dropout=0.9)) == 0
    table = read_table(source / "curves" / "curves.parquet")
    table.loc[0, "caption"] = "a man hikes"
    write_table(table, source / "curves" / "curves.parquet")
    assert encoded_again(params) == 0, "a caption is text alone"
    assert EncodedClips(tmp_path / "latents", "train").table.loc[0, "caption"] == "a man hikes"
    assert encoded_again(adapted_params(bases["wan"], variants=1)) == 3 * 8


def test_what_cannot_be_encoded_is_one_line(clips: Path, bases: dict[str, Path], tmp_path: Path) -> None:
    where = {"clips": clips / "clips", "curves": clips / "curves"}
    values = adapted_params(bases["wan"]).model_dump(by_alias=True)
    values["base"] |= {"size": 40}
    values["autoencoder"]["halvings"] = values["vqgan"]["halvings"] = 2
    with pytest.raises(UserError, match=r"base.size and base.frames is no video of Wan 2.1.*take 32x32x9"):
        encode_clips(tmp_path, params=Params.model_validate(values), **where)
    with pytest.raises(UserError, match=r"buckets: 40x32x6 is no video of Wan 2.1, .* 4n \+ 1; take 32x32x5"):
        encode_clips(tmp_path, params=adapted_params(bases["wan"], buckets=["40x32x6"]), **where)
    with pytest.raises(UserError, match=r"ingest.source synthetic has no videos"):
        encode_clips(tmp_path, params=adapted_params(bases["wan"], buckets=["32x32x5"]), **where)
    with pytest.raises(UserError, match="none has 0 channels"):
        encode_clips(tmp_path, params=adapted_params(bases["wan"], control="none"), **where)


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """Two wide videos of 20 and 6 frames, a tall one of 20, and a still one of 2, at 10 frames a second."""
    rng = np.random.default_rng(0)
    rows = []
    for number, (count, height, width) in enumerate([(20, 48, 96), (6, 48, 96), (20, 96, 48), (2, 48, 96)]):
        frames = np.full((count, height, width, 3), 230, np.uint8)
        for time in range(count):
            frames[time, 10 : 30 + number, 10 + time : 30 + time] = rng.integers(0, 90)
        write_video(tmp_path / "videos" / f"{number}.mp4", frames, 10.0)
        rows.append(
            {"clip_id": f"clip{number}", "path_to_video": f"{number}.mp4", "caption": "a man hikes"}
            | {"split": "test" if number == 2 else "train", "fps": 10.0, "shard": 0, "row": number}
            | {"source_width": width, "source_height": height, "video_sha256": str(number)}
        )
    table = pd.DataFrame(rows)
    write_table(table, tmp_path / "clips" / "clips.parquet")
    (tmp_path / "videos" / "captions.csv").write_text(
        "path_to_video,caption\n" + "".join(f"{number}.mp4,a man hikes\n" for number in range(4))
    )
    return tmp_path, table


def test_videos_go_to_the_bucket_that_fits_and_none_is_dropped_without_a_reason(
    videos: tuple[Path, pd.DataFrame], bases: dict[str, Path]
) -> None:
    folder, _ = videos
    buckets = ["64x32x5", "64x32x13", "32x64x5"]
    values = adapted_params(bases["wan"], buckets=buckets, fps=10.0, variants=0).model_dump(by_alias=True)
    values["ingest"] |= {"source": "folder", "folder": str(folder / "videos")}
    params = Params.model_validate(values)
    found = encode_clips(folder / "latents", params=params, clips=folder / "clips")
    assert found == {"clips": 3, "cut": 3, "dropped": 1}
    table = read_table(folder / "latents" / "clips.parquet")
    assert dict(zip(table["clip_id"], table["bucket"], strict=True)) == {
        "clip0": "64x32x13", "clip1": "64x32x5", "clip2": "32x64x5",
    }  # fmt: skip
    report = pd.read_csv(folder / "latents" / "left_out.csv").set_index("clip_id")["reason"]
    assert report["clip3"].startswith("dropped: is too short: 0.20 s, and 5 frames at 10 fps need 0.50 s")
    assert report["clip0"] == "cut: 1.20 of 1.90 s are used"
    assert report["clip2"] == "cut: 0.40 of 1.90 s are used"
    assert read_json(folder / "latents" / "latents.json")["buckets"] == ["32x64x5", "64x32x13", "64x32x5"]
    assert EncodedClips(folder / "latents", "test").batch([0])["latents"].shape == (1, 2, 4, 8, 4)


def test_a_bucket_holds_clips_of_one_shape(videos: tuple[Path, pd.DataFrame], bases: dict[str, Path]) -> None:
    folder, _ = videos
    settings = {"buckets": ["64x32x5", "32x64x5"], "fps": 10.0, "variants": 0, "cut": "pieces"}
    values = adapted_params(bases["wan"], **settings).model_dump(by_alias=True)
    values["ingest"] |= {"source": "folder", "folder": str(folder / "videos")}
    table = read_table(folder / "clips" / "clips.parquet")
    write_table(table.assign(split="train"), folder / "clips" / "clips.parquet")
    found = encode_clips(folder / "latents", params=Params.model_validate(values), clips=folder / "clips")
    assert found["clips"] == 4 + 1 + 4
    dataset = EncodedClips(folder / "latents", "train")
    seen = []
    for position in range(6):  # three batches of two for each shape
        batch = dataset.batch_at(0, position, 2)
        assert len(dataset.table.iloc[batch["index"].tolist()]["bucket"].unique()) == 1
        seen += batch["index"].tolist()
    assert set(seen) == set(range(9))
    again = dataset.batch_at(0, 3, 2)
    assert all(torch.equal(again[name], tensor) for name, tensor in dataset.batch_at(0, 3, 2).items())


def test_the_control_of_a_clip_has_its_size(bases: dict[str, Path]) -> None:
    base: Base = open_base(bases["wan"])
    pictures = torch.rand(1, 5, 3, 32, 48)
    with torch.no_grad():
        latents = encode_control(base, base.load_vae(), pictures, torch.ones(1, 5, dtype=torch.bool))
    assert latents.shape == (1, 2, 4, 4, 6)
    assert SKETCH.channels == 1
