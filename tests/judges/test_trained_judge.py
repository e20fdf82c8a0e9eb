"""The judge of videos that is trained for labels: training, description, choice; on squares that move."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.judges.faithfulness import JOINT, Share, faithfulness, shows_all_asked
from sketch2video.judges.label_judge import LabelJudge, evenly, strength_of_edges
from sketch2video.judges.label_judge_scenes import videos_of_two
from sketch2video.judges.labels import UNKNOWN
from sketch2video.judges.shipped import WEIGHTS
from sketch2video.judges.trained.description import read_description
from sketch2video.judges.trained.training import (
    LabelledClips,
    ShardClips,
    corrupted_clips,
    is_usable,
    labels_to_learn,
    needless,
    train_video_judge,
)
from sketch2video.judges.trained.video_judge import VideoJudge, short_name, video_judge
from sketch2video.judges.verdict import Verdict
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES
from sketch2video.training.loop import SilentLogger
from tests.judges.untrained import untrained_judge
from tests.small_data import small_params

CLIPS, FRAMES, SIZE = 120, 5, 64
RGB = {"red": (220, 40, 40), "blue": (40, 60, 220)}
SHORT = {"least_accuracy": 0.85, "frames": 4, "scenes": 0, "width": 8, "feature_dim": 32}


def moving_squares(folder):
    """Clips of a square: every third is of the test split; ``label.luck`` has nothing to do with the frames."""
    rng = np.random.default_rng(0)
    frames = np.full((CLIPS, FRAMES, SIZE, SIZE, 3), 128, np.uint8)
    rows = []
    for index in range(CLIPS):
        colour, right = str(rng.choice([*RGB])), bool(rng.integers(2))
        row, columns = rng.integers(4, 44), np.linspace(4, 44, FRAMES).astype(int)
        for frame, column in zip(frames[index], columns if right else columns[::-1], strict=True):
            frame[row : row + 14, column : column + 14] = RGB[colour]
        rows.append(
            {
                "clip_id": f"clip{index:03d}",
                "caption": f"a {colour} square",
                "label": f"clip number {index}",
                "split": "test" if index % 3 == 2 else "train",
                "fps": 8.0,
                "shard": 0,
                "row": index,
                "label.colour": None if index % 10 == 2 else colour,
                "label.way": "right" if right else "left",
                "label.luck": "good" if rng.random() < 0.5 else "bad",
            }
        )
    table = pd.DataFrame(rows)
    write_shard(shard_path(folder, 0), {"frames": frames}, table["clip_id"].tolist(), "squares")
    write_table(table, folder / "clips.parquet")
    return table, frames


def params(steps=60):
    return small_params("judge", steps, **SHORT)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Clips, their table, and the judge that was trained on them."""
    folder = tmp_path_factory.mktemp("squares")
    table, frames = moving_squares(folder / "clips")
    result = train_video_judge(
        params(), SilentLogger(), folder / "judge", clips=folder / "clips", checkpoints=folder / "checkpoints"
    )
    return SimpleNamespace(folder=folder, table=table, frames=frames, metrics=result.metrics)


def test_a_judge_learns_what_the_clips_show_and_says_what_it_cannot_judge(world):
    about = read_description(world.folder / "judge")
    assert about.trained
    assert about.usable == ["label.colour", "label.way"]
    assert about.labels["label.way"].total == 40
    assert about.labels["label.colour"].total == world.table.query("split == 'test'")["label.colour"].notna().sum() < 40
    assert not about.labels["label.luck"].usable
    assert about.name == f"judge-{sha256_of_file(world.folder / 'judge' / WEIGHTS)[:12]}"
    assert world.metrics["trained"] == 1
    assert world.metrics["usable_labels"] == 2
    assert world.metrics["accuracy_luck"] < 0.8 < world.metrics["accuracy_joint"]
    for name in ("colour", "way"):
        accuracy = about.labels[f"label.{name}"]
        assert world.metrics[f"accuracy_{name}_low"] == accuracy.low >= 0.85
        assert world.metrics[f"accuracy_{name}"] == accuracy.right / accuracy.total


def test_features_have_unit_spread_over_real_clips_for_distances(world):
    judge = video_judge(world.table, world.folder / "judge")
    held_out = judge.verdict(world.frames[world.table["split"] == "test"])
    spread = held_out.features.std(0)
    varied = spread > 0.999
    assert varied.sum() > len(spread) / 2
    np.testing.assert_allclose(spread[varied], 1, rtol=1e-3)
    assert spread[~varied].max(initial=0) < 1, "nearly constant features are not amplified"


def test_only_usable_labels_are_scored(world):
    judge = video_judge(world.table, world.folder / "judge")
    assert isinstance(judge, VideoJudge)
    assert judge.columns == {"colour": "label.colour", "way": "label.way"}
    assert judge.labels == "colour and way"
    test = world.table["split"] == "test"
    verdict, asked = judge.verdict(world.frames[test]), judge.requested(world.table[test])
    shares = faithfulness(verdict, asked, joint_of_asked=True)
    assert set(shares) == {"colour", "way", JOINT}
    about = judge.about.labels
    assert shares["colour"] == (about["label.colour"].right, about["label.colour"].total)
    assert shares[JOINT].total == 40, "a clip without a colour is asked for its way alone"
    swapped = judge.verdict(world.frames[test][:, ::-1])
    assert faithfulness(swapped, asked)["way"].value < 0.2


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(world, tmp_path):
    class Killer(SilentLogger):
        def metrics(self, values, step):
            if step == 5:
                raise KeyboardInterrupt

    settings = params(6)
    section = settings.judge
    training = section.training.model_copy(update={"checkpoint_every": 2})
    settings = settings.model_copy(update={"judge": section.model_copy(update={"training": training})})

    def train_in(name, logger=None):
        train_video_judge(
            settings,
            logger or SilentLogger(),
            tmp_path / name / "judge",
            clips=world.folder / "clips",
            checkpoints=tmp_path / name / "checkpoints",
        )
        return read_description(tmp_path / name / "judge").name

    with pytest.raises(KeyboardInterrupt):
        train_in("killed", Killer())
    assert not (tmp_path / "killed" / "judge").exists()
    assert train_in("killed") == train_in("undisturbed")


def test_clips_without_labels_get_a_note_instead_of_a_judge(world, tmp_path):
    clips = tmp_path / "clips"
    bare = world.table.drop(columns=["label.colour", "label.way", "label.luck"])
    write_table(bare, clips / "clips.parquet")  # titles, one a clip, are no labels
    result = train_video_judge(params(), SilentLogger(), tmp_path / "judge", clips=clips)
    assert result.metrics == {"trained": 0}
    assert [path.name for path in (tmp_path / "judge").iterdir()] == ["judge.json"]
    about = read_description(tmp_path / "judge")
    assert (about.trained, about.usable) == (False, [])
    reason = video_judge(world.table, tmp_path / "judge")
    assert isinstance(reason, str)
    assert about.reason in reason


def test_scenes_with_one_object_need_no_judge(tmp_path):
    rows = pd.DataFrame({"shape": SHAPES, "colour": COLOURS, "motion": MOTIONS, "split": "test", "label.x": ["a"] * 6})
    assert "package" in needless(rows)
    judge = video_judge(rows, tmp_path / "nowhere")
    assert judge.about is None
    assert judge.name.startswith("video-")
    assert judge.labels == "shape, colour and motion"
    pd.testing.assert_frame_equal(judge.requested(rows), rows[["shape", "colour", "motion"]], check_dtype=False)


def test_labels_that_can_be_learned(world):
    table = world.table
    assert labels_to_learn(table) == ["label.colour", "label.luck", "label.way"]
    assert labels_to_learn(table.drop(columns="label.luck").assign(**{"label.way": "right"})) == ["label.colour"]
    only_training = table.assign(**{"label.way": table["label.way"].where(table["split"] == "train")})
    assert "label.way" not in labels_to_learn(only_training)
    plain = table.drop(columns=["label.colour", "label.way", "label.luck"]).assign(label=table["label.way"])
    assert labels_to_learn(plain) == ["label"]


def test_without_a_trained_judge_the_reason_names_the_fix(world, tmp_path):
    assert "dvc repro train_judge" in video_judge(world.table, tmp_path)
    bare = world.table[["clip_id"]].assign(label=None)
    assert "clips with labels" in video_judge(bare, tmp_path)
    name = untrained_judge(tmp_path / "a", {"label.colour": ["blue", "red"]}, usable=[])
    reason = video_judge(world.table, tmp_path / "a")
    assert name in reason
    assert "0.9" in reason


def test_a_damaged_judge_is_a_users_mistake(world, tmp_path):
    words = {"label.colour": ["blue", "red"]}
    untrained_judge(tmp_path / "a", words, [*words])
    assert isinstance(video_judge(world.table, tmp_path / "a"), VideoJudge)
    about = json.loads((tmp_path / "a" / "judge.json").read_text())
    (tmp_path / "a" / "judge.json").write_text(json.dumps(about | {"name": "judge-000000000000"}))
    with pytest.raises(UserError, match="not judge-000000000000"):
        video_judge(world.table, tmp_path / "a")
    (tmp_path / "a" / "judge.json").write_text(json.dumps({"trained": True}))
    with pytest.raises(UserError, match="train_judge"):
        video_judge(world.table, tmp_path / "a")
    untrained_judge(tmp_path / "b", words, [*words])
    (tmp_path / "b" / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be loaded"):
        video_judge(world.table, tmp_path / "b")


def test_words_that_the_judge_does_not_know_are_not_asked_for(world, tmp_path):
    untrained_judge(tmp_path, {"label.colour": ["blue", "green"]}, ["label.colour"])
    asked = video_judge(world.table, tmp_path).requested(world.table)["colour"]
    assert set(asked.dropna()) == {"blue"}
    assert asked.notna().sum() == (world.table["label.colour"] == "blue").sum()


def test_a_clip_is_asked_for_the_words_that_it_has():
    probabilities = {"a": np.array([[1.0, 0], [1, 0], [0, 1]]), "b": np.array([[1.0, 0], [0, 1], [1, 0]])}
    verdict = Verdict(probabilities, np.zeros((3, 1)), {"a": ["x", "y"], "b": ["x", "y"]})
    asked = pd.DataFrame({"a": ["x", None, None], "b": ["y", "y", None]})
    assert shows_all_asked(verdict, asked).tolist() == [False, True, True]
    assert faithfulness(verdict, asked, joint_of_asked=True) == {"a": (1, 1), "b": (1, 2), JOINT: (1, 2)}
    assert faithfulness(verdict, asked)[JOINT] == (0, 1)
    complete = pd.DataFrame({"a": ["x", "y", "y"], "b": ["x", "y", "x"]})
    assert faithfulness(verdict, complete, joint_of_asked=True) == faithfulness(verdict, complete)


@pytest.mark.parametrize(
    ("right", "words", "usable"),
    [
        (100, ["x"] * 50 + ["y"] * 50, True),
        (95, ["x"] * 50 + ["y"] * 50, False),  # the interval begins at 0.888
        (97, ["x"] * 97 + ["y"] * 3, False),  # a constant answer is as good
        (99, ["x"] * 97 + ["y"] * 3, True),
    ],
)
def test_a_label_is_usable_if_it_is_accurate_for_certain_and_no_constant_is(right, words, usable):
    assert is_usable(Share(right, 100), pd.Series(words), 0.9) is usable


def test_frames_are_spread_evenly_with_both_ends():
    assert evenly(5, None) == evenly(5, 5) == evenly(5, 9) == [0, 1, 2, 3, 4]
    assert evenly(16, 2) == [0, 15]
    for most in range(2, 16):
        chosen = evenly(16, most)
        assert (len(chosen), chosen[0], chosen[-1]) == (most, 0, 15)
        assert np.ptp(np.diff(chosen)) <= 1


def test_a_judge_sees_the_frames_that_its_config_names():
    torch.manual_seed(0)
    judge = LabelJudge(3, {"a": ["x", "y"]}, 32, 8, 16, frames=3, edges=True).eval()
    clips = torch.rand(2, 9, 3, 32, 32)
    other = clips.clone()
    other[:, [1, 2, 3, 5, 6, 7]] = 0
    assert torch.equal(judge(clips)[0]["a"], judge(other)[0]["a"])
    other[:, 4] = 0
    assert not torch.equal(judge(clips)[0]["a"], judge(other)[0]["a"])


def test_edges_are_the_length_of_the_gradient():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    ramp = torch.stack([3 * x, 4 * y, 0 * x])[None]
    edges = strength_of_edges(ramp)
    assert edges.shape == (1, 1, 6, 7)
    torch.testing.assert_close(edges[0, 0, 1:-1, 1:-1], torch.full((4, 5), 5.0))
    assert float(edges[0, 0, 0].abs().max()) == 0


def test_samples_are_clips_with_their_words_and_then_generated_scenes(world):
    words = {"label.colour": ["blue", "red"], "label.way": ["left", "right"]}
    training = world.table[world.table["split"] == "train"].reset_index(drop=True)
    clips = LabelledClips(ShardClips(world.folder / "clips", training), training, words, 3)
    batch = clips.batch([0, 5])
    assert len(clips) == len(training)
    expected = world.frames[training["row"].iloc[[0, 5]]][:, evenly(FRAMES, 3)]
    np.testing.assert_array_equal(batch["clips"].movedim(2, -1).numpy(), expected)
    for label, known in words.items():
        for target, word in zip(batch[label].tolist(), training[label].iloc[[0, 5]], strict=True):
            assert known[target] == word if isinstance(word, str) else target == UNKNOWN


def test_generated_videos_show_all_combinations_and_depend_on_their_number():
    times = np.linspace(0, 1, 3)
    frames, table = videos_of_two(24, 16, times)
    again, same = videos_of_two(4, 16, times)
    np.testing.assert_array_equal(frames[:4], again)
    pd.testing.assert_frame_equal(table.head(4)[same.columns], same)
    assert set(table) == {f"label.{name}" for name in ("shapes", "colours", "motions", "front_shape", "front_colour")}
    ordered = table.dropna()
    assert 0 < len(ordered) < 24
    for _, row in ordered.iterrows():
        assert row["label.front_shape"] in row["label.shapes"].split(" and ")
        assert row["label.front_colour"] in row["label.colours"].split(" and ")


def test_corruptions_keep_hue_and_size():
    clips = torch.zeros(16, 3, 3, 16, 16)
    clips[:, :, 0], clips[:, :, 1], clips[:, :, 2] = 0.75, 0.5, 0.25
    changed = corrupted_clips(clips, torch.Generator().manual_seed(0))
    assert changed.shape == clips.shape
    red, green, blue = changed.mean((1, 3, 4)).unbind(1)
    assert ((red > green + 0.1) & (green > blue + 0.1)).all()
    assert float(changed.mean((1, 2, 3, 4)).std()) > 0.02, "every clip has its own light"
    assert torch.equal(changed, corrupted_clips(clips, torch.Generator().manual_seed(0)))


def test_short_names_leave_the_name_of_all_at_once_alone():
    assert [short_name(name) for name in ("label.action", "label", "label.joint")] == ["action", "label", "label.joint"]
