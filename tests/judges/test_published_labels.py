"""Classes of UCF-101 and categories of MSR-VTT as labels of a judge, from their layouts to what evaluation scores."""

import json

import numpy as np
import pandas as pd
import pytest

from sketch2video.data.clips.shards import ShardReader
from sketch2video.data.ingest.stage import ingest
from sketch2video.judges.faithfulness import JOINT, faithfulness
from sketch2video.judges.trained.accuracy_score import labels_to_classify
from sketch2video.judges.trained.description import read_description
from sketch2video.judges.trained.training import needless, train_video_judge
from sketch2video.judges.trained.video_judge import VideoJudge, video_judge
from sketch2video.training.loop import SilentLogger
from tests.media.small_videos import encode
from tests.small_data import small_params

SIZE, FRAMES = 32, 6
GREY = {"dark": 40, "light": 210}
NUMBERS = {"train": 10, "test": 10}
"""Videos of each class; of 20 held-out clips that are all right the interval begins at 0.84."""


def video(path, brightness, number):
    """A video of one brightness with noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(-15, 16, (FRAMES, SIZE, SIZE, 3))
    encode(path, [(brightness + frame).clip(0, 255).astype(np.uint8) for frame in noise])


def ucf101(folder):
    """UCF-101's layout with the classes ApplyEyeMakeup (dark) and YoYo (light)."""
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    classes = {"ApplyEyeMakeup": "dark", "YoYo": "light"}
    numbers = {name: number for number, name in enumerate(classes, 1)}
    (lists / "classInd.txt").write_text("\n".join(f"{number} {name}" for name, number in numbers.items()))
    for side, count in NUMBERS.items():
        lines = []
        for name, grey in classes.items():
            for number in range(count):
                path = f"{name}/v_{name}_{side}_g{number:02d}_c01.avi"
                video(folder / "UCF-101" / path, GREY[grey], 2 * number + numbers[name])
                lines.append(f"{path} {numbers[name]}" if side == "train" else path)
        (lists / f"{side}list01.txt").write_text("\n".join(lines))
    return {"ApplyEyeMakeup", "YoYo"}


def msrvtt(folder):
    """MSR-VTT's layout with videos of the categories music (dark) and cooking (light)."""
    videos, sentences = [], []
    for split, count in NUMBERS.items():
        for number in range(2 * count):
            name, category, grey = f"video{len(videos)}", *((0, "dark") if number % 2 else (17, "light"))
            videos.append({"video_id": name, "split": split, "category": category})
            sentences.append({"video_id": name, "caption": f"somebody does something, number {number}"})
            video(folder / "videos" / "all" / f"{name}.mp4", GREY[grey], len(videos))
    (folder / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    return {"music", "cooking"}


@pytest.mark.parametrize(("source", "make"), [("ucf101", ucf101), ("msrvtt", msrvtt)])
def test_published_classes_reach_the_judge_and_the_scores(tmp_path, source, make):
    folder = tmp_path / source
    folder.mkdir()
    words = make(folder)
    params = small_params("judge", 30, least_accuracy=0.8, frames=4, scenes=0, width=8, feature_dim=32)
    changes = {"source": source, "folder": str(folder), "min_frames": 4, "max_rejected": 0}
    params = params.model_copy(
        update={
            "ingest": params.ingest.model_copy(update=changes),
            "base": params.base.model_copy(update={"workers": 1}),
        }
    )
    ingest(params, tmp_path / "clips")
    table = pd.read_parquet(tmp_path / "clips" / "clips.parquet")
    assert set(table["label"]) == words
    assert needless(table) is None
    assert labels_to_classify(table) == ["label"]
    train_video_judge(
        params, SilentLogger(), tmp_path / "judge", clips=tmp_path / "clips", checkpoints=tmp_path / "checkpoints"
    )
    about = read_description(tmp_path / "judge")
    assert about.usable == ["label"]
    assert about.labels["label"].total == 2 * NUMBERS["test"]
    held_out = table[table["split"] == "test"]
    judge = video_judge(held_out, tmp_path / "judge")
    assert isinstance(judge, VideoJudge)
    verdict = judge.verdict(ShardReader(tmp_path / "clips").batch("frames", held_out))
    shares = faithfulness(verdict, judge.requested(held_out), joint_of_asked=True)
    assert set(shares) == {"label", JOINT}
    assert shares["label"].value > 0.9
