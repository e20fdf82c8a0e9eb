"""The classification accuracy score, on squares that move and on generators whose score is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sketch2video.judges.faithfulness import JOINT
from sketch2video.judges.trained.accuracy_score import classification_accuracy, labels_to_classify
from sketch2video.judges.trained.training import ShardClips, train_video_judge
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES
from sketch2video.training.loop import SilentLogger
from tests.judges.test_trained_judge import moving_squares, params

LABELS = ["label.colour", "label.way"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    table, frames = moving_squares(folder / "clips")
    parts = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "test"))
    training, held_out = parts
    return SimpleNamespace(clips=folder / "clips", frames=frames, training=training, held_out=held_out, table=table)


def accuracy(world, clips, folder, steps=60, labels=LABELS):
    settings = params(steps)
    return classification_accuracy(
        clips,
        world.training,
        labels,
        world.clips,
        world.held_out,
        settings.judge,
        name="classifier",
        checkpoint_folder=folder / "checkpoints",
        seed=settings.base.seed,
    )


def test_a_perfect_generator_scores_what_real_clips_score(world, tmp_path):
    real = accuracy(world, ShardClips(world.clips, world.training), tmp_path / "real", 10)
    assert list(real) == [*LABELS, JOINT]
    assert real["label.way"].total == len(world.held_out) == 40
    assert real["label.colour"].total == world.held_out["label.colour"].notna().sum()
    copies = world.frames[world.training["row"]]
    assert accuracy(world, lambda index: copies[index], tmp_path / "copied", 10) == real


def test_a_generator_that_errs_in_one_label_loses_that_one(world, tmp_path):
    backwards = world.frames[world.training["row"]][:, ::-1]
    found = accuracy(world, lambda index: backwards[index], tmp_path)
    assert found["label.way"].value < 0.15, "it learned the opposite of the labels"
    assert found["label.colour"].value > 0.85


def test_words_that_no_training_clip_has_do_not_count(world, tmp_path):
    held_out = world.held_out.copy()
    held_out.loc[:9, "label.way"] = "up"
    other = SimpleNamespace(**{**vars(world), "held_out": held_out})
    found = accuracy(other, ShardClips(world.clips, world.training), tmp_path, 2)
    assert found["label.way"].total == 30


def test_the_classifier_is_that_of_the_judge(world, tmp_path):
    """Trained on real clips with all labels, it has the judge's accuracies."""
    real = accuracy(
        world, ShardClips(world.clips, world.training), tmp_path, 8, ["label.colour", "label.luck", "label.way"]
    )
    result = train_video_judge(
        params(8), SilentLogger(), tmp_path / "judge", clips=world.clips, checkpoints=tmp_path / "judges"
    )
    for label, share in real.items():
        if label != JOINT:
            assert result.metrics[f"accuracy_{label.removeprefix('label.')}"] == share.value


def test_embedded_scenes_are_classified_by_their_attributes(world):
    rows = pd.DataFrame({"shape": SHAPES, "colour": COLOURS, "motion": MOTIONS, "split": "test", "label.x": ["a"] * 6})
    assert labels_to_classify(rows) == ["shape", "colour", "motion"]
    assert labels_to_classify(world.table) == ["label.colour", "label.luck", "label.way"]
    assert labels_to_classify(world.table[["clip_id", "split", "label"]].assign(label=np.nan)) == []
