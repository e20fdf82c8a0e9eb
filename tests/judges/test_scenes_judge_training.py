import numpy as np
import pytest
import torch

from sketch2video.judges.scenes_judge import Judge
from sketch2video.judges.scenes_judge_training import MAKERS, JudgeScenes, JudgeTask
from sketch2video.judges.verdict import ATTRIBUTES
from sketch2video.scenes.synthetic import Combination, combinations


@pytest.mark.parametrize("kind", ["video", "sketch"])
def test_batches_are_functions_of_their_indices(kind):
    scenes = JudgeScenes(kind, 432, size=32, frames=4, seed=5)
    batch, again = scenes.batch([3, 40, 216]), JudgeScenes(kind, 432, 32, 4, 5).batch([3, 40, 216])
    assert batch["clips"].shape == (3, 4, 3 if kind == "video" else 1, 32, 32)
    assert batch["masks"].shape == (3, 4, 32, 32)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert not torch.equal(batch["clips"], JudgeScenes(kind, 432, 32, 4, 6).batch([3, 40, 216])["clips"])


def test_every_combination_is_shown_equally_often_and_named_rightly():
    scenes = JudgeScenes("sketch", 432, size=16, frames=2, seed=0)
    shown = [(combinations()[i % 216], scenes[i].what) for i in range(0, 432, 9)]
    assert all((asked.shape, asked.colour) == (what.shape, what.colour) for asked, what in shown)
    words = scenes.batch([0])
    assert {name: int(words[name][0]) for name in ATTRIBUTES} == {
        name: values.index(getattr(scenes[0].what, name)) for name, values in ATTRIBUTES.items()
    }


@pytest.mark.parametrize("kind", ["video", "sketch"])
@pytest.mark.parametrize(
    ("motion", "direction"),
    [("left to right", (1, 0)), ("right to left", (-1, 0)), ("top to bottom", (0, 1)), ("bottom to top", (0, -1))],
)
def test_spoilt_and_mirrored_clips_still_move_as_their_word_says(kind, motion, direction):
    words = set()
    for seed in range(12):
        sample = MAKERS[kind](np.random.default_rng(seed), Combination("heart", "red", motion), 32, 4)
        words.add(sample.what.motion)
        place = [np.argwhere(mask).mean(0)[::-1] for mask in sample.mask]
        sign = 1 if sample.what.motion == motion else -1
        assert sign * np.dot(place[-1] - place[0], direction) > 5
    assert len(words) == (2 if direction[0] else 1)


@pytest.mark.parametrize("colour", ATTRIBUTES["colour"])
def test_spoilt_colours_stay_nearest_to_their_word(colour):
    hues = {"red": 0, "yellow": 52, "green": 125, "cyan": 183, "blue": 225, "purple": 288}
    for seed in range(10):
        sample = MAKERS["video"](np.random.default_rng(seed), Combination("square", colour, "growing"), 64, 3)
        inside = sample.clip[-1][sample.mask[-1] > 0].mean(0).astype(float)
        chroma = complex(inside @ [1, -0.5, -0.5], inside @ [0, np.sqrt(3) / 2, -np.sqrt(3) / 2])
        hue = np.degrees(np.angle(chroma)) % 360
        distance = {word: abs((hue - h + 180) % 360 - 180) for word, h in hues.items()}
        assert min(distance, key=distance.get) == colour


def test_a_few_steps_teach_a_judge_something():
    torch.manual_seed(0)
    scenes = JudgeScenes("sketch", 216, size=32, frames=3, seed=0)
    task = JudgeTask(Judge(1, ["shape", "motion"], size=32, window=16, width=8), scenes, scenes)
    batch = scenes.batch(range(0, 216, 9))
    optimizer = torch.optim.Adam(task.parameters(), 1e-2)
    losses = []
    for step in range(12):
        loss, terms = task.loss(batch, torch.Generator(), step / 12)
        assert float(loss.detach()) == pytest.approx(sum(float(v) for v in terms.values()), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
