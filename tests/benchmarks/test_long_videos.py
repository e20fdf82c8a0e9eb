"""The benchmark of long videos: what it takes a real clip for, and how a video is cut so that a model can learn it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import long_videos
from benchmarks.cut import main as cut
from benchmarks.long_videos import Subject, Video, measured, real_subject, report, scenes, tuned_on_one_window
from benchmarks.plots import save_steadiness
from sketch2video.errors import UserError
from sketch2video.evaluation.consistency import steadiness
from sketch2video.media.codec import read_frames
from sketch2video.media.writing import write_video
from sketch2video.params import load_params
from sketch2video.systems import LongVideoPipeline
from tests.benchmarks.cells import cells_of

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
ROWS = pd.DataFrame(
    {"shape": ["circle", "star"], "colour": ["red", "blue"], "motion": ["left to right", "growing"]},
)


@pytest.fixture(scope="module")
def real() -> list[Video]:
    return scenes(ROWS, 64, 32, 0)


@pytest.fixture
def walk(tmp_path: Path, real: list[Video]) -> Path:
    write_video(tmp_path / "walk.mp4", real[0].frames, 8.0)
    return tmp_path / "walk.mp4"


def test_scenes_know_where_their_object_is(real) -> None:
    for video in real:
        assert video.where.shape == video.frames.shape[:3]
        assert 0.005 < video.where.mean() < 0.5
    row = measured(real, None, [0, 8, 16], 16)
    expected = steadiness(np.stack([video.frames for video in real])).means()
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["object_motion"] > 2 * row["motion"], "only the object moves"
    assert "joint" not in row


def test_a_wavering_ground_is_motion_of_the_frame_and_not_of_the_object(real) -> None:
    rng = np.random.default_rng(0)
    waves = rng.integers(-12, 13, (32, 8, 8, 1)).repeat(8, 1).repeat(8, 2)
    spoiled = []
    for video in real:
        frames = np.where(video.where[..., None], video.frames, np.clip(video.frames.astype(int) + waves, 0, 255))
        spoiled.append(Video(frames.astype(np.uint8), video.where))
    plain, wavering = (measured(videos, None, [0], 32) for videos in (real, spoiled))
    assert wavering["motion"] > 1.5 * plain["motion"]
    assert wavering["object_motion"] == pytest.approx(plain["object_motion"], rel=0.2)


def test_a_real_clip_is_drawn_and_asked_for_by_its_caption(walk: Path) -> None:
    truth, subject = real_subject(walk, PARAMS, 16, pd.Series(["other", "a walk", "a walk"]))
    assert truth.frames.shape == (16, 64, 64, 3)
    assert truth.where.any()
    assert subject.caption == "a walk"
    assert subject.curves is not None
    assert len(subject.curves) == 16
    with pytest.raises(UserError, match=r"walk\.mp4.*fewer --frames"):
        real_subject(walk, PARAMS, 64, pd.Series(["a walk"]))


def test_a_video_is_cut_into_overlapping_pieces(walk: Path, tmp_path: Path) -> None:
    cut(walk, tmp_path / "pieces", "a walk", 32, 8, 4)
    table = pd.read_csv(tmp_path / "pieces" / "captions.csv")
    assert len(table) == 7
    assert set(table["split"]) == {"train", "test"}
    pieces = [np.stack(list(read_frames(tmp_path / "pieces" / name))) for name in table["path_to_video"]]
    assert {len(piece) for piece in pieces} == {8}
    for earlier, later in pairwise(pieces):
        assert np.abs(earlier[4:].astype(int) - later[:4]).mean() < 3
    with pytest.raises(UserError, match="caption"):
        cut(walk, tmp_path / "none", "  ", 32, 8, 4)
    with pytest.raises(UserError, match=r"walk\.mp4"):
        cut(walk, tmp_path / "none", "a walk", 640, 8, 4)
    with pytest.raises(UserError, match="--length"):
        cut(walk, tmp_path / "none", "a walk", 4, 8, 4)


def test_what_is_found_is_a_table_and_a_plot(tmp_path: Path, real) -> None:
    rows = [
        {"way": name, **measured(real, None, [0], 32), "background_drift": float("nan")} for name in ("real", "other")
    ]
    rows[1]["seconds"] = 2.0
    report(tmp_path, "long", rows)
    save_steadiness(tmp_path / "long.png", rows)
    assert [row["way"] for row in json.loads((tmp_path / "long.json").read_text())["rows"]] == ["real", "other"]
    table = (tmp_path / "long.md").read_text()
    assert "object's motion" in table
    assert "nan" not in table
    assert cells_of(table.splitlines()[-1])[-1] == "2"
    assert (tmp_path / "long.png").read_bytes().startswith(b"\x89PNG")


NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def test_a_copy_of_the_network_is_tuned_where_the_pipeline_is(
    tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(long_videos, "ONE_SHOT_STEPS", 2)
    pipeline = LongVideoPipeline.from_pretrained(tiny_pipeline_folder, window=4, fusion_times=()).to(device)
    pipeline.set_progress_bar_config(disable=True)
    subject = Subject("a red circle moves left to right", 8.0, seed=0)
    before = {name: weight.clone() for name, weight in pipeline.transformer.state_dict().items()}
    output = pipeline(
        [subject.caption],
        num_frames=6,
        num_inference_steps=1,
        generator=[torch.Generator().manual_seed(subject.seed)],
        output_type="latent",
    )
    tuned = tuned_on_one_window(pipeline, subject, output)
    assert tuned.device.type == device
    assert not any(weight.requires_grad for weight in tuned.parameters())
    assert any(not torch.equal(weight, before[name]) for name, weight in tuned.state_dict().items())
    for name, weight in pipeline.transformer.state_dict().items():
        torch.testing.assert_close(weight, before[name], atol=0, rtol=0)
