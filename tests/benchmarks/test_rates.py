"""The rates of a profile's trainings: counted operations, measured times, and a run with tiny networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import rates
from benchmarks.rates import TRAININGS, Rate, StepTimes, main, markdown, product_rate
from benchmarks.step_flop import flop_of_tasks
from sketch2video.data.clips import jobs
from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.media.writing import write_video
from sketch2video.params import load_params
from sketch2video.training.loop import Batch, SilentLogger, Task, train
from tests.benchmarks.cells import cells_of

SAMPLES, INNER, WIDTH = 4, 8, 16
CLIPS = 6


class TwoLayers(Task):
    """A task whose operations are known; its metrics also use the network."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Linear(INNER, WIDTH), nn.ReLU(), nn.Linear(WIDTH, INNER)))

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        error = (self.module(batch["x"].float()) - batch["x"]).square().mean()
        return error, {"error": error}

    def matrices(self) -> list[nn.Parameter]:
        return [weight for weight in self.module.parameters() if weight.ndim == 2]

    def metrics(self) -> dict[str, float]:
        return {"held_out": float(self.module(torch.ones(100, INNER)).mean())}


def run(steps: int, accumulation: int, folder: Path, logger: SilentLogger, task: Task | None = None) -> None:
    """Train the task."""
    changes = {"steps": steps, "batch_size": SAMPLES, "gradient_accumulation": accumulation, "warmup_steps": 0}
    settings = load_params().video_ldm.training.model_copy(update=changes | {"preview_every": 0})
    dataset = TensorDataset({"x": torch.randn(SAMPLES * accumulation * 2, INNER)})
    train(task or TwoLayers(), dataset, settings, name="two", checkpoint_folder=folder, seed=0, logger=logger)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_operations_of_a_step_are_those_of_the_network_forwards_and_backwards(
    accumulation: int, tmp_path: Path
) -> None:
    found = flop_of_tasks(lambda: run(1, accumulation, tmp_path, SilentLogger()))
    layer = 2 * SAMPLES * INNER * WIDTH  # a multiplication and an addition for each weight and sample
    # Backwards the first layer has the gradient of its weights alone, as its input needs none.
    assert found == {"TwoLayers": accumulation * (2 * layer + 3 * layer)}


class Attention(TwoLayers):
    """The same with attention between two projections."""

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        hidden = self.module[0](batch["x"].float())[None, None]  # one head of all samples
        mixed = functional.scaled_dot_product_attention(hidden, hidden, hidden)
        return self.module[2](mixed).square().mean(), {}


def test_operations_of_attention_are_counted(tmp_path: Path) -> None:
    found = flop_of_tasks(lambda: run(1, 1, tmp_path, SilentLogger(), Attention()))
    layer, products = 2 * SAMPLES * INNER * WIDTH, 2 * SAMPLES * SAMPLES * WIDTH
    # Backwards the weights of attention are computed again: 5 products instead of 2 (Dao et al. 2022).
    assert found == {"Attention": 5 * layer + (2 + 5) * products}


def test_times_are_those_of_the_intervals_of_the_loss_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([100.0, 101.0, 107.0])
    monkeypatch.setattr(rates.time, "perf_counter", lambda: next(readings))
    times = StepTimes("prior_")
    times.metrics({"learning_rate": 1.0, "loss": 0.0}, 1)  # of the other training of the run
    times.metrics({"learning_rate": 1.0, "prior_loss": 0.0}, 4)
    times.metrics({"prior_control_gap": 0.0}, 5)
    times.metrics({"learning_rate": 1.0, "prior_loss": 0.0}, 6)
    times.metrics({"learning_rate": 1.0, "prior_loss": 0.0}, 8)
    times.metrics({"prior_loss": 0.0}, 8)  # final metrics
    assert times.seconds == [0.5, 3.0]


def test_every_training_is_one_of_the_parameters() -> None:
    params = load_params()
    for training in TRAININGS:
        assert training.settings(params).steps >= 1
        assert training.task.__module__.startswith("sketch2video.")


def test_a_rate_is_steps_and_operations_a_second() -> None:
    assert product_rate(torch.device("cpu")) > 1e9
    text = markdown([Rate("video_ldm.training", 32, 0.5, 2 * 10**12, 0.0)], 1e13, {"profile": "`x`"})
    cells = cells_of(text.splitlines()[2])
    assert cells == ["`video_ldm.training`", "32", "2", "2", "4", "40.0%", "–"]


def test_all_trainings_of_a_profile_are_measured_and_held_out_clips_painted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "number_of_workers", lambda workers: 1)
    lines = ["path_to_video,caption,split"]
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        frames = np.full((8, 48, 48, 3), 230, np.uint8)
        left, top = rng.integers(4, 16, 2)
        for index, frame in enumerate(frames):
            frame[top : top + 16, left + index : left + index + 16] = 40
        write_video(tmp_path / f"{number}.mp4", frames, 8.0)
        lines.append(f"{number}.mp4,clip number {number},{'train' if number < CLIPS - 2 else 'test'}")
    (tmp_path / "captions.csv").write_text("\n".join(lines) + "\n")
    output = tmp_path / "rates"
    main(tmp_path / "captions.csv", profile="smoke", steps=4, output=output)

    found: dict[str, Any] = read_json(output / "rates.json")
    assert [rate["title"] for rate in found["rates"]] == [training.title for training in TRAININGS]
    for rate in found["rates"]:
        assert rate["flop"] > 0
        assert rate["seconds"] > 0
    rows = (output / "rates.md").read_text().splitlines()[2 : 2 + len(TRAININGS)]
    assert [cells_of(row)[0] for row in rows] == [f"`{training.title}`" for training in TRAININGS]
    assert np.asarray(Image.open(output / "sheet.png")).std() > 0


def test_a_network_that_does_not_fit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(rates, "makers", lambda *_: {"text_encoder": fail})
    with pytest.raises(UserError, match=r"text_encoder does not fit .* lower text_encoder.training.batch_size"):
        rates.measure(load_params(), load_params(), None, tmp_path)  # type: ignore[arg-type]
