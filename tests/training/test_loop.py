from pathlib import Path

import pytest
import torch
from torch import nn

from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.errors import UserError
from sketch2video.params import TrainingParams
from sketch2video.training.checkpoints import FILE, load_checkpoint
from sketch2video.training.loop import Batch, SilentLogger, Task, train
from sketch2video.training.schedule import learning_rate


def settings(**changes: object) -> TrainingParams:
    values = {
        "steps": 30,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "warmup_steps": 5,
        "weight_decay": 0.01,
        "gradient_clip": 1.0,
        "gradient_accumulation": 1,
        "ema_decay": 0.9,
        "checkpoint_every": 7,
        "preview_every": 10,
    }
    return TrainingParams(**(values | changes))


class Regression(Task):
    """Noise from the generator, dropout from the global one, and a way to fail at a chosen step."""

    def __init__(self, module: nn.Module, noise: float = 0.1, fail_at: int | None = None) -> None:
        super().__init__(module)
        self.noise = noise
        self.fail_at = fail_at
        self.weights: list[torch.Tensor] = []
        self.seen: list[tuple[bool, torch.Tensor]] = []

    def loss(self, batch: Batch, generator: torch.Generator, progress: float):
        self.weights.append(torch.cat([p.detach().flatten().clone() for p in self.module.parameters()]))
        if len(self.weights) == self.fail_at:
            raise RuntimeError("pulled the plug")
        x = batch["x"] + self.noise * torch.randn(batch["x"].shape, generator=generator, device=generator.device)
        with torch.autocast(x.device.type, enabled=False):
            error = (self.module(x) - batch["y"]).square().mean()
        return error, {"error": error.detach(), "progress": progress}

    def preview(self, folder: Path, step: int) -> list[Path]:
        self.seen.append((self.module.training, torch.cat([p.detach().flatten() for p in self.module.parameters()])))
        torch.rand(3)  # a preview must not disturb the training
        path = folder / f"{step}.txt"
        path.write_text("a picture")
        return [path]

    def metrics(self) -> dict[str, float]:
        return {"size": sum(float(p.abs().sum()) for p in self.module.parameters())}


class Recorder(SilentLogger):
    def __init__(self) -> None:
        self.run_ids: list[str] = []
        self.figures: list[str] = []
        self.values: dict[int, dict[str, float]] = {}

    def begin(self, run_id: str | None) -> str:
        self.run_ids.append(run_id or f"run-{id(self)}")
        return self.run_ids[-1]

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.values.setdefault(step, {}).update(values)

    def figure(self, path: Path) -> None:
        self.figures.append(path.name)


def network(dropout: float = 0.1) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 1))


@pytest.fixture
def data() -> TensorDataset:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    return TensorDataset({"x": x, "y": x.sum(1, keepdim=True)})


def run(task: Task, data: TensorDataset, folder: Path, logger: SilentLogger | None = None, **changes: object):
    return train(
        task,
        data,
        settings(**changes),
        name="regression",
        checkpoint_folder=folder,
        seed=3,
        logger=logger or SilentLogger(),
    )


def weights(task: Task) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in task.module.state_dict().values()]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_interrupted_training_ends_like_an_undisturbed_one(tmp_path, data, accumulation):
    undisturbed = Regression(network())
    expected = run(undisturbed, data, tmp_path / "a", gradient_accumulation=accumulation)

    first, second = Recorder(), Recorder()
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run(Regression(network(), fail_at=17 * accumulation), data, tmp_path / "b", first,
            gradient_accumulation=accumulation)  # fmt: skip
    resumed = Regression(network())
    result = run(resumed, data, tmp_path / "b", second, gradient_accumulation=accumulation)

    assert len(resumed.weights) == (30 - 14) * accumulation  # from the checkpoint, not from the start
    assert all(torch.equal(a, b) for a, b in zip(weights(undisturbed), weights(resumed), strict=True))
    assert result == expected
    assert second.run_ids == first.run_ids


def test_a_finished_training_is_not_done_again(tmp_path, data):
    first, second = Regression(network()), Regression(network())
    expected = run(first, data, tmp_path / "a")
    assert run(second, data, tmp_path / "a") == expected
    assert second.weights == []
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def test_a_damaged_checkpoint_is_ignored_with_a_warning(tmp_path, data, caplog):
    expected = run(Regression(network()), data, tmp_path / "a")
    file = tmp_path / "a" / FILE
    file.write_bytes(file.read_bytes()[:-100])
    assert run(Regression(network()), data, tmp_path / "a") == expected
    assert "is damaged" in caplog.text


def test_the_result_is_the_exponential_moving_average_of_the_weights(tmp_path, data):
    task = Regression(network())
    run(task, data, tmp_path / "a", preview_every=0, checkpoint_every=100)
    # `weights` holds those before each step; those after the last one are in the checkpoint alone, so average 29 of 30
    # steps by hand and finish by the definition, average = decay * average + (1 - decay) * weights.
    checkpoint = load_checkpoint(tmp_path / "a")
    assert checkpoint is not None
    names = [f"module.{name}" for name, _ in task.module.named_parameters()]
    trajectory = [*task.weights[1:], torch.cat([checkpoint.tensors[name].flatten() for name in names])]
    average = task.weights[0]
    for step, value in enumerate(trajectory):
        decay = 0.0 if step == 0 else min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
    torch.testing.assert_close(torch.cat([p.detach().flatten() for p in task.module.parameters()]), average)


def test_accumulated_batches_equal_one_large_batch(tmp_path, data):
    large, small = Regression(network(dropout=0.0), noise=0.0), Regression(network(dropout=0.0), noise=0.0)
    run(large, data, tmp_path / "a", batch_size=16)
    run(small, data, tmp_path / "b", batch_size=4, gradient_accumulation=4)
    assert len(small.weights) == 4 * len(large.weights)
    for a, b in zip(weights(large), weights(small), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_it_learns(tmp_path, data):
    task = Regression(network(dropout=0.0), noise=0.0)
    result = run(task, data, tmp_path / "a", steps=300, learning_rate=3e-2)
    assert result.metrics["loss"] < 0.01 * result.history[0]["loss"]


def test_a_loss_that_is_not_a_number_is_refused_and_the_last_checkpoint_kept(tmp_path, data):
    class Breaking(Regression):
        def loss(self, batch, generator, progress):
            error, terms = super().loss(batch, generator, progress)
            return error / (0.0 if progress >= 0.5 else 1.0), terms

    with pytest.raises(UserError, match=r"step 16 of 30; lower regression\.training\.learning_rate \(0\.01\)"):
        run(Breaking(network()), data, tmp_path / "a")
    task = Regression(network())
    run(task, data, tmp_path / "a")
    assert len(task.weights) == 30 - 14


def test_previews_see_averaged_weights_in_evaluation_mode(tmp_path, data):
    task, logger = Regression(network()), Recorder()
    run(task, data, tmp_path / "a", logger)
    assert logger.figures == ["10.txt", "20.txt", "30.txt"]
    assert not any(training for training, _ in task.seen)
    before_step_10 = task.weights[10]  # 10 steps done
    assert not torch.equal(task.seen[0][1], before_step_10)
    assert torch.equal(task.seen[-1][1], torch.cat([p.detach().flatten() for p in task.module.parameters()]))


def test_frozen_helpers_stay_in_evaluation_mode_and_unchanged(tmp_path, data):
    class Helped(Regression):
        def __init__(self, module: nn.Module, helper: nn.Module) -> None:
            super().__init__(module)
            self.helper = helper.requires_grad_(False)

        def loss(self, batch, generator, progress):
            assert self.module.training
            assert not self.helper.training
            return super().loss({**batch, "y": self.helper(batch["x"])}, generator, progress)

    helper = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))
    before = helper[1].weight.clone()
    run(Helped(network(), helper), data, tmp_path / "a")
    assert torch.equal(helper[1].weight, before)


def test_the_loss_curve_is_the_mean_of_each_window_and_reaches_the_logger(tmp_path, data):
    logger = Recorder()
    result = run(Regression(network()), data, tmp_path / "a", logger, steps=250, checkpoint_every=99)
    assert [point["step"] for point in result.history] == list(range(2, 251, 2))
    assert result.history[3]["progress"] == pytest.approx((6 / 250 + 7 / 250) / 2)
    assert {step: values["loss"] for step, values in logger.values.items()} == {
        point["step"]: point["loss"] for point in result.history
    }
    assert logger.values[250]["size"] == result.metrics["size"]


def test_the_rate_rises_linearly_and_falls_to_zero():
    chosen = settings(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(step, chosen) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert max(rates) == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


def test_a_full_disk_is_one_clear_line(tmp_path, data, monkeypatch):
    def no_space(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(UserError, match=r"checkpoint\.safetensors cannot be written: No space left on device"):
        run(Regression(network()), data, tmp_path / "a")


class TwoRates(Regression):
    """The bias keeps its rate."""

    def constant_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        return [([self.module.bias], 1e-3)]

    def loss(self, batch: Batch, generator: torch.Generator, progress: float):
        self.weights.append(torch.cat([p.detach().flatten().clone() for p in self.module.parameters()]))
        return sum(p.sum() for p in self.module.parameters()), {}  # Adam moves each by its rate


def test_a_constant_rate_does_not_follow_the_schedule(tmp_path: Path) -> None:
    task = TwoRates(nn.Linear(1, 1))
    dataset = TensorDataset({"x": torch.zeros(8, 1)})
    chosen = settings(weight_decay=0.0, gradient_clip=100.0, preview_every=0)
    train(task, dataset, chosen, name="toy", checkpoint_folder=tmp_path, seed=0, logger=SilentLogger())
    moved = -torch.stack(task.weights).diff(dim=0)
    scheduled = torch.tensor([learning_rate(step, chosen) for step in range(chosen.steps - 1)])
    torch.testing.assert_close(moved[:, 0], scheduled, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(moved[:, 1], torch.full_like(scheduled, 1e-3), rtol=1e-3, atol=1e-6)
