"""Optimizers by name, and what the loop does with frozen weights and rates of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType
from safetensors import safe_open
from torch import nn

from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.errors import UserError
from sketch2video.params import TrainingParams
from sketch2video.training import loop
from sketch2video.training.checkpoints import FILE
from sketch2video.training.loop import Batch, SilentLogger, Task, train
from sketch2video.training.optimizers import make_optimizer
from sketch2video.training.sharding import shards


class Counting(torch.optim.Optimizer):
    """Gradient descent whose state has a plain number, as that of bitsandbytes has."""

    def __init__(self, groups: Any, lr: float, weight_decay: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                state["step"] = state.get("step", 0) + 1
                assert isinstance(state["step"], int)
                weight -= group["lr"] * weight.grad / state["step"]


class Half(Task):
    """Regression by a layer that is frozen and one that is not; the bias has ten times the rate."""

    def __init__(self, name: str = "adamw") -> None:
        torch.manual_seed(0)
        super().__init__(nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 1)))
        self.name, self.rates, self.fail_at = name, set[tuple[float, float]](), -1
        self.calls = 0

    def loss(self, batch: Batch, generator: torch.Generator, progress: float) -> Any:
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("pulled the plug")
        groups = self.made.param_groups
        self.rates.add((groups[0]["lr"], groups[1]["lr"]))
        return (self.module(batch["x"]) - batch["y"]).square().mean(), {}

    def rate_factors(self) -> list[tuple[list[nn.Parameter], float]]:
        return [([self.module[1].bias], 10.0)]

    def optimizer(self, groups: list[dict[str, Any]], settings: TrainingParams) -> torch.optim.Optimizer:
        self.made = make_optimizer(self.name, groups, settings.learning_rate, settings.weight_decay)  # type: ignore
        return self.made

    def validation(self) -> dict[str, float]:
        return {"held_out": float(self.module[1].bias)}


class Recorder(SilentLogger):
    def __init__(self) -> None:
        self.held_out: list[int] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        if "held_out" in values:
            self.held_out.append(step)


def run(task: Task, folder: Path, logger: SilentLogger | None = None) -> Any:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    values = {"steps": 9, "batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.0}
    values |= {"gradient_clip": 1.0, "gradient_accumulation": 1, "ema_decay": 0.5, "checkpoint_every": 4}
    settings = TrainingParams(**values, preview_every=3)
    data = TensorDataset({"x": x, "y": x.sum(1, keepdim=True)})
    return train(task, data, settings, name="half", checkpoint_folder=folder, seed=0, logger=logger or SilentLogger())


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "precision", lambda: "no")


def test_frozen_weights_are_in_no_checkpoint_and_rates_have_factors(tmp_path: Path) -> None:
    task, recorder = Half(), Recorder()
    frozen = task.module[0].weight.clone()
    run(task, tmp_path, recorder)
    assert torch.equal(task.module[0].weight, frozen)
    with safe_open(tmp_path / FILE, "pt") as file:
        names = {name for name in file.keys() if name.startswith("module.")}  # noqa: SIM118
    assert names == {"module.1.weight", "module.1.bias"}
    assert len(task.rates) > 5
    for rate, bias_rate in task.rates:
        assert bias_rate == pytest.approx(10 * rate)
    assert recorder.held_out == [3, 6]


def test_eight_bits_come_from_bitsandbytes_and_resume_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="adamw_8bit needs the package bitsandbytes"):
        make_optimizer("adamw_8bit", [], 0.1, 0.0)
    module, package = ModuleType("bitsandbytes.optim"), ModuleType("bitsandbytes")
    module.AdamW8bit = Counting  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", package)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    expected, interrupted, resumed = Half("adamw_8bit"), Half("adamw_8bit"), Half("adamw_8bit")
    run(expected, tmp_path / "a")
    interrupted.fail_at = 7
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run(interrupted, tmp_path / "b")
    run(resumed, tmp_path / "b")
    assert resumed.calls == 5
    assert torch.equal(resumed.module[1].weight, expected.module[1].weight)


@pytest.mark.parametrize(
    ("kind", "version", "checkpointing", "message"),
    [
        ("DEEPSPEED", 0, False, "half: weights are sharded by FSDP of version 2 alone; set fsdp_version to 2"),
        ("FSDP", 1, False, "half: weights are sharded by FSDP of version 2 alone; set fsdp_version to 2"),
        ("FSDP", 2, True, "half: fsdp_activation_checkpointing renames weights; set it to false"),
        ("FSDP", 2, False, "half: all weights are trained, and only frozen ones can be sharded"),
    ],
)
def test_what_cannot_be_sharded_is_refused(kind: str, version: int, checkpointing: bool, message: str) -> None:
    task = Half()
    task.module.requires_grad_(True)
    plugin = SimpleNamespace(activation_checkpointing=checkpointing)
    accelerator: Any = SimpleNamespace(
        distributed_type=DistributedType[kind], is_fsdp2=version == 2, state=SimpleNamespace(fsdp_plugin=plugin)
    )
    with pytest.raises(UserError, match=message):
        shards(accelerator, task, "half")
