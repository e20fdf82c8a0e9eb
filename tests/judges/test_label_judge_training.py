"""How judges of labels are trained, chosen and kept, on clips of a line that moves one way or the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.shards import read_table
from sketch2video.errors import UserError
from sketch2video.judges.faithfulness import JOINT, faithfulness
from sketch2video.judges.label_judge import LabelJudge
from sketch2video.judges.label_judge_training import (
    SIZE,
    TRAINING,
    LabelTask,
    drawings_of,
    judge_of_drawings,
)
from sketch2video.judges.labels import SHIFT, UNKNOWN, moved, targets_of, words_of
from sketch2video.judges.verdict import Verdict, judge_clips
from sketch2video.scenes.synthetic import MOTIONS, SHAPES
from tests.evaluation.moving_lines import FRAMES, moving_lines

SHORT = TRAINING.model_copy(update={"steps": 80, "batch_size": 16, "warmup_steps": 8, "ema_decay": 0.9})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with 60 clips, 40 of them for training, their table, and the judge of them."""
    folder = tmp_path_factory.mktemp("lines")
    table = moving_lines(folder, 60)
    return folder, table, judge_of_drawings(folder / "curves", table, None, folder / "judges", settings=SHORT)


def test_a_judge_learns_two_motions_from_forty_clips(world):
    _, _, judge = world
    assert judge.accuracy["label.motion"].value == 1
    assert judge.accuracy["label.motion"].total == judge.accuracy[JOINT].total == 18
    assert judge.judge.vocabulary == {"label.motion": ["to the left", "to the right"]}


def test_a_label_that_drawings_do_not_show_is_said_to_be_unseen(world):
    _, _, judge = world
    assert list(judge.unseen) == ["label.colour"]
    assert judge.unseen["label.colour"].total == 20
    assert judge.unseen["label.colour"].value < 0.9


def test_a_trained_judge_is_kept_and_not_trained_again(world, monkeypatch):
    folder, table, judge = world
    monkeypatch.setattr("sketch2video.judges.label_judge_training.train_label_judge", None)
    again = judge_of_drawings(folder / "curves", table, None, folder / "judges", settings=SHORT)
    assert (again.name, again.accuracy, again.unseen) == (judge.name, judge.accuracy, judge.unseen)
    assert (folder / "judges" / judge.name / "config.json").is_file()
    ink = drawings_of(folder / "curves", table.head(4))
    assert judge_clips(again.judge, ink).words("label.motion") == judge_clips(judge.judge, ink).words("label.motion")
    with pytest.raises(TypeError, match="not callable"):  # other labels need another judge
        judge_of_drawings(folder / "curves", table, ["label.motion"], folder / "judges", settings=SHORT)


def test_features_have_unit_deviation_over_training_drawings(world):
    folder, table, judge = world
    ink = drawings_of(folder / "curves", table[table["split"] == "train"])
    deviation = judge_clips(judge.judge, ink).features.std(0)
    assert deviation.max() <= 1.001
    assert np.median(deviation) == pytest.approx(1, abs=0.01)


def test_labels_that_are_named_must_be_there(world):
    folder, table, _ = world
    with pytest.raises(UserError, match=r"label\.size.*name some of label\.colour, label\.motion"):
        judge_of_drawings(folder / "curves", table, ["label.size"], folder / "judges", settings=SHORT)


def test_clips_without_labels_have_no_judge(world):
    folder, table, _ = world
    bare = table.drop(columns=["label", "label.motion", "label.colour"])
    judge = judge_of_drawings(folder / "curves", bare, None, folder / "judges", settings=SHORT)
    assert judge.judge is None
    assert not judge.accuracy


def test_embedded_scenes_are_judged_by_the_frozen_judge(world):
    folder, table, _ = world
    scenes = table.assign(shape="circle", motion="left to right")
    judge = judge_of_drawings(folder / "curves", scenes, None, folder / "judges")
    assert judge.name.startswith("sketch-")
    assert set(judge.accuracy) == {"shape", "motion", JOINT}


def test_scenes_of_two_objects_are_drawn_in_addition(world, monkeypatch, tmp_path):
    folder, table, _ = world
    shown = {}

    def spy(examples, labels, further, **_):
        shown.update(labels=labels, further=further)
        raise KeyboardInterrupt

    module = "sketch2video.judges.label_judge_training"
    monkeypatch.setattr(f"{module}.train_label_judge", spy)
    monkeypatch.setattr(f"{module}.SCENES", 3)
    pairs = {"label.shapes": [f"{a} and {b}" for a in SHAPES for b in SHAPES[:2]]}
    pairs |= {"label.motions": [f"{a} and {a}" for a in MOTIONS for _ in range(2)]}
    scenes = table.drop(columns=["label.colour", "label.motion"])
    scenes = scenes.assign(**{name: np.resize(words, len(table)) for name, words in pairs.items()})
    with pytest.raises(KeyboardInterrupt):
        judge_of_drawings(folder / "curves", scenes, None, tmp_path)
    assert shown["labels"] == ["label.motions", "label.shapes"]
    assert shown["further"].ink.shape == (3, FRAMES, SIZE, SIZE)
    with pytest.raises(KeyboardInterrupt):
        judge_of_drawings(folder / "curves", table, None, tmp_path)
    assert shown["further"] is None
    assert not list(tmp_path.iterdir()), "a training that was stopped leaves nothing"


def test_words_are_those_of_the_table_and_a_constant_is_no_label(world):
    folder, _, _ = world
    table = read_table(folder / "curves" / "curves.parquet").assign(constant="always")
    words = words_of(table, ["label.motion", "constant"])
    assert words == {"label.motion": ["to the left", "to the right"]}
    targets = targets_of(table, words)["label.motion"]
    assert (targets == UNKNOWN).tolist() == table["label.motion"].isna().tolist()
    assert [words["label.motion"][i] for i in targets[targets != UNKNOWN]] == table["label.motion"].dropna().tolist()


def test_clips_without_a_label_add_nothing_to_its_loss():
    torch.manual_seed(0)
    task = LabelTask(LabelJudge(1, {"a": ["x", "y"], "b": ["x", "y"]}, size=32, width=8, feature_dim=16)).eval()
    ink = torch.randint(0, 256, (3, FRAMES, 32, 32), dtype=torch.uint8)
    batch = {"ink": ink, "a": torch.tensor([0, UNKNOWN, 1]), "b": torch.full((3,), UNKNOWN)}
    other = batch | {"ink": ink.clone()}
    other["ink"][1] = 0
    with torch.no_grad():
        loss, terms = task.loss(batch, torch.Generator().manual_seed(0), 0.0)
        same, _ = task.loss(other, torch.Generator().manual_seed(0), 0.0)
    assert float(terms["b"]) == 0
    assert float(loss) == float(terms["a"]) == pytest.approx(float(same), rel=1e-5)


def test_a_clip_without_a_word_does_not_count():
    probabilities = {"a": np.array([[1.0, 0], [1, 0], [0, 1]]), "b": np.array([[1.0, 0], [0, 1], [1, 0]])}
    verdict = Verdict(probabilities, np.zeros((3, 1)), {"a": ["x", "y"], "b": ["x", "y"]})
    shares = faithfulness(verdict, pd.DataFrame({"a": ["x", None, "x"], "b": ["x", "y", "x"]}))
    assert shares == {"a": (1, 2), "b": (3, 3), JOINT: (1, 2)}
    assert set(faithfulness(verdict, pd.DataFrame({"a": [None] * 3, "b": ["x"] * 3}))) == {"b"}


def test_drawings_are_of_the_fitted_curves(world):
    folder, table, _ = world
    ink = drawings_of(folder / "curves", table)
    assert ink.shape == (60, FRAMES, SIZE, SIZE)
    assert ink.dtype == np.uint8
    columns = (ink > 127).any(2).argmax(-1)
    right = (table["label"] == "to the right").to_numpy()
    assert (np.diff(columns.astype(int), axis=1)[right] > 0).all()
    assert (np.diff(columns.astype(int), axis=1)[~right] < 0).all()


def test_training_drawings_are_moved_but_a_clip_stays_one_picture_through_time():
    ink = torch.zeros(6, 3, 64, 64)
    ink[:, :, 30:34, 20:44] = 1
    changed = moved(ink, torch.Generator().manual_seed(0))
    assert changed.shape == ink.shape
    torch.testing.assert_close(changed[:, 0], changed[:, 2])
    weight = changed[:, 0] / changed[:, 0].sum((1, 2), keepdim=True)
    middle = torch.stack([weight.sum(axis) @ (torch.arange(64) + 0.5) for axis in (1, 2)], 1)
    assert (middle - 32).abs().max() < 64 * SHIFT * 1.3
    assert middle.std(0).min() > 0.5, "every clip by its own step"
    assert 0.7 < float(changed.sum() / ink.sum()) < 1.4
