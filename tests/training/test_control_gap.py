"""The decision whether a control is used, against scipy's paired test, and the warning of a training."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.params import TrainingParams
from sketch2video.training import control_gap as module
from sketch2video.training.control_gap import LEAST_STEPS, ControlGap, control_gap, watched_steps
from sketch2video.training.loop import SilentLogger, Task, TrainResult, train

STEPS = 40


@pytest.mark.parametrize("gain", [0.0, 0.05, 0.2, -0.2])
def test_the_test_is_that_of_scipy(gain: float) -> None:
    rng = np.random.default_rng(1)
    clips = rng.uniform(0.1, 2.0, 40)  # clips differ much more than the two losses of one
    without = clips + gain + 0.05 * rng.normal(size=40)
    gap = control_gap(clips, without)
    expected = stats.ttest_rel(without, clips, alternative="greater")
    assert gap.p == pytest.approx(expected.pvalue)
    assert gap.mean / gap.error == pytest.approx(expected.statistic)
    assert gap.ignored == (expected.pvalue > 0.01)
    assert gap.ignored == (gain <= 0)
    assert gap.metrics() == {"control_gap": gap.mean, "control_gap_error": gap.error}


def test_a_control_without_effect_is_rarely_taken_for_used() -> None:
    rng = np.random.default_rng(2)
    used = [not control_gap(a, a + 0.1 * rng.normal(size=32)).ignored for a in rng.uniform(0, 1, (2000, 32))]
    assert np.mean(used) == pytest.approx(0.01, abs=0.008)


def test_equal_losses_are_of_a_network_that_ignores_its_control() -> None:
    assert control_gap([0.5, 0.7, 0.2], [0.5, 0.7, 0.2]).ignored
    assert not control_gap([0.5, 0.75, 0.25], [1.0, 1.25, 0.75]).ignored
    assert control_gap([0.5, 0.75, 0.25], [0.25, 0.5, 0.0]).ignored


def test_a_single_clip_says_nothing() -> None:
    gap = control_gap([0.5], [0.5])
    assert not gap.ignored
    assert gap.metrics() == {"control_gap": 0.0}


def test_losses_must_be_pairs() -> None:
    for both in (([0.5], [0.5, 0.6]), ([], []), ([[1.0]], [[1.0]])):
        with pytest.raises(ValueError, match="must be"):
            control_gap(*both)


def test_a_training_is_watched_after_shares_of_its_steps_unless_it_is_short() -> None:
    assert watched_steps(1000) == {250, 500, 750}
    assert watched_steps(150) == {113}
    assert watched_steps(LEAST_STEPS) == set()


class Watched(Task):
    """A regression that records when it is asked, and answers as it is asked to."""

    def __init__(self, gaps: list[ControlGap | None]) -> None:
        torch.manual_seed(1)
        super().__init__(nn.Linear(2, 1))
        self.gaps, self.training_when_asked = list(gaps), []

    def loss(self, batch, generator, progress):
        noise = torch.randn(batch["x"].shape, generator=generator)
        return (self.module(batch["x"] + noise) - batch["x"].sum(1, keepdim=True)).square().mean(), {}

    def control_gap(self) -> ControlGap | None:
        torch.rand(5)  # must not disturb the training
        self.training_when_asked.append(self.module.training)
        return self.gaps.pop(0)


class Recorder(SilentLogger):
    def __init__(self) -> None:
        self.values: dict[int, dict[str, float]] = {}

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.values.setdefault(step, {}).update(values)


def run(task: Task, folder: Path, logger: SilentLogger) -> TrainResult:
    settings = TrainingParams(
        steps=STEPS, batch_size=4, learning_rate=1e-2, warmup_steps=0, weight_decay=0.0, gradient_clip=1.0,
        gradient_accumulation=1, ema_decay=0.9, checkpoint_every=STEPS, preview_every=0,
    )  # fmt: skip
    dataset = TensorDataset({"x": torch.randn(20, 2, generator=torch.Generator().manual_seed(0))})
    return train(task, dataset, settings, name="toy", checkpoint_folder=folder, seed=3, logger=logger)


IGNORED, USED = control_gap([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), control_gap([1.0, 2.0, 3.0], [2.0, 3.1, 4.2])


@pytest.mark.parametrize(
    ("gaps", "warned_after"),
    [([IGNORED] * 3, 10), ([USED] * 3, None), ([USED, IGNORED, USED], 20), ([None] * 3, None)],
)
def test_a_training_warns_once_while_it_runs(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    gaps: list[ControlGap | None],
    warned_after: int | None,
) -> None:
    monkeypatch.setattr(module, "LEAST_STEPS", 10)
    task, logger = Watched(gaps), Recorder()
    with caplog.at_level(logging.WARNING):
        result = run(task, tmp_path / "a", logger)
    lines = [line for line in caplog.messages if "control is not used" in line]
    assert len(lines) == (warned_after is not None)
    if warned_after:
        assert lines[0].startswith(
            f"toy: the control is not used after {warned_after} of {STEPS} steps: the loss of 3 "
        )
    assert task.training_when_asked == [False] * 3
    recorded = {step: row["control_gap"] for step, row in logger.values.items() if "control_gap" in row}
    assert recorded == {step: gap.mean for step, gap in zip((10, 20, 30), gaps, strict=True) if gap is not None}

    class Alone(Watched):
        control_gap = Task.control_gap

    assert run(Alone([]), tmp_path / "b", SilentLogger()) == result, "watching does not change a training"
