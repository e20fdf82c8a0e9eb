"""The one training loop: Accelerate, AdamW and Muon, a warm-up and cosine schedule, averaged weights, exact resume.

Nothing random is carried from step to step: the samples of step k and all its noise are functions of (seed, k). A
training that was interrupted therefore goes on from its checkpoint to the very weights of an undisturbed one (on the
same machine, with as many threads).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn
from tqdm import tqdm

from sketch2video.data.clips.datasets import Dataset, batch_at
from sketch2video.errors import UserError
from sketch2video.networks.precision import precision
from sketch2video.params import TrainingParams
from sketch2video.training.checkpoints import Checkpoint, load_checkpoint, remove_old_folders, save_checkpoint
from sketch2video.training.muon import Muon

ALIKE = {"step", "learning_rate"}
"""Columns of a loss curve that two trainings of a stage share."""
CURVE_POINTS = 100
"""Points of a loss curve; each is the mean over the steps since the one before."""

Batch = dict[str, torch.Tensor]


class Task(nn.Module, ABC):
    """What is trained, and towards what.

    Subclasses keep networks that only help (a text encoder, a perceptual network) as further submodules: they travel to
    the device with the task, stay in evaluation mode, and must be frozen by ``requires_grad_(False)``.

    Args:
        module: the network that is trained; its parameters are optimized, averaged and saved.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    @abstractmethod
    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor | float]]:
        """The loss of a batch, under autocast.

        Args:
            batch: what the dataset gave, on the device.
            generator: for all noise; it lives on the device (``generator.device``) and is seeded for this step.
            progress: share of the training that is done, in [0, 1), for annealing.

        Returns:
            A scalar, and its terms (scalars) by name, which appear beside ``loss`` in the loss curve.
        """

    def constant_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters, each once, that do not follow the schedule, and their learning rates; none unless overridden."""
        return []

    def matrices(self) -> list[nn.Parameter]:
        """Weights, each of two axes, that :class:`~sketch2video.training.muon.Muon` updates; none unless overridden."""
        return []

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Write pictures of what the network can do after ``step`` steps into ``folder``; none unless overridden.

        ``self.module`` holds the averaged weights, in evaluation mode, without gradients.
        """
        return []

    def metrics(self) -> dict[str, float]:
        """Held-out metrics of the trained network, deterministic; none unless overridden. See :meth:`preview`."""
        return {}

    def forward(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor | float]]:
        """The loss; Accelerate wraps this call."""
        return self.loss(batch, generator, progress)


class RunLogger(Protocol):
    """Where a training reports; :func:`sketch2video.tracking.tracked_run` gives one that writes to MLflow."""

    def begin(self, run_id: str | None) -> str:
        """Start a run, or go on with the run ``run_id`` if it still exists; return the id of the run."""
        ...

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Record values after ``step`` steps."""
        ...

    def figure(self, path: Path) -> None:
        """Keep a copy of a picture."""
        ...


class SilentLogger:
    """A :class:`RunLogger` that keeps nothing."""

    def begin(self, run_id: str | None) -> str:
        """See :class:`RunLogger`."""
        return run_id or ""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`RunLogger`."""

    def figure(self, path: Path) -> None:
        """See :class:`RunLogger`."""


@dataclass(frozen=True)
class TrainResult:
    """What a training gives besides the weights.

    Attributes:
        metrics: final values: ``loss`` (the mean at the end of the loss curve) and those of :meth:`Task.metrics`.
        history: the loss curve: ``step``, ``learning_rate``, ``loss`` and its terms.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)


class _SameRun:
    """A logger that goes on with the run of an earlier training."""

    def __init__(self, logger: RunLogger, after: int, prefix: str) -> None:
        self.logger, self.after, self.prefix = logger, after, prefix

    def begin(self, run_id: str | None) -> str:
        """Nothing begins: the run is that of the earlier training."""
        return run_id or ""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`RunLogger`."""
        named = {key if key in ALIKE else f"{self.prefix}{key}": value for key, value in values.items()}
        self.logger.metrics(named, self.after + step)

    def figure(self, path: Path) -> None:
        """See :class:`RunLogger`."""
        self.logger.figure(path)


def in_same_run(logger: RunLogger, after: int, prefix: str) -> RunLogger:
    """A logger for a second training of a stage, in the run that the first one has begun.

    Args:
        logger: of the first training, which began its run, from its checkpoint at least.
        after: steps of the first training, added to those of the second.
        prefix: of the names of the second training's values.
    """
    return _SameRun(logger, after, prefix)


def joined(first: TrainResult, second: TrainResult, after: int, prefix: str) -> TrainResult:
    """The results of two trainings of a stage; see :func:`in_same_run` for the arguments."""
    metrics = first.metrics | {f"{prefix}{key}": value for key, value in second.metrics.items()}
    history = [
        {key if key in ALIKE else f"{prefix}{key}": value for key, value in point.items()}
        | {"step": point["step"] + after}
        for point in second.history
    ]
    return TrainResult(metrics, first.history + history)


def train(
    task: Task,
    dataset: Dataset,
    settings: TrainingParams,
    *,
    name: str,
    checkpoint_folder: Path,
    seed: int,
    logger: RunLogger,
) -> TrainResult:
    """Train ``task.module``; afterwards it holds the averaged weights, in evaluation mode.

    One step is ``settings.gradient_accumulation`` batches of ``settings.batch_size`` samples.

    Args:
        task: the network and its loss.
        dataset: samples for ``task.loss``; shuffled anew in every epoch.
        settings: ``<section>.training`` of the parameters.
        name: for the progress bar and messages; the section's name.
        checkpoint_folder: from :func:`~sketch2video.training.checkpoints.folder_for`; training goes on from the
            checkpoint in it and leaves the final one there.
        seed: for order and noise.
        logger: told about the loss curve and pictures.

    Raises:
        UserError: the loss is not a number any more, or the disk is full; the last checkpoint is still there.
    """
    accelerator = Accelerator(mixed_precision=precision(), gradient_accumulation_steps=settings.gradient_accumulation)
    parameters = [p for p in task.module.parameters() if p.requires_grad]
    optimizer = Muon(_groups(task, parameters), settings.learning_rate, weight_decay=settings.weight_decay)
    prepared, stepper = accelerator.prepare(task, optimizer)
    ema = EMAModel(parameters, decay=settings.ema_decay, foreach=True)
    generator = torch.Generator(accelerator.device)

    remove_old_folders(checkpoint_folder)
    checkpoint = load_checkpoint(checkpoint_folder)
    curve = _LossCurve(every=max(1, settings.steps // CURVE_POINTS))
    start = 0
    if checkpoint is not None:
        start = checkpoint.step
        _restore(task.module, ema, optimizer, checkpoint.tensors)
        ema.optimization_step = start
        curve = _LossCurve(**checkpoint.state["curve"])
    run_id = logger.begin(checkpoint.state["run_id"] if checkpoint else None)

    def save(step: int) -> None:
        state = {"run_id": run_id, "curve": vars(curve)}
        save_checkpoint(checkpoint_folder, Checkpoint(step, _tensors(task.module, ema, optimizer), state))

    if checkpoint is None:
        save(0)  # a full disk shows before the work, and a killed training finds its run again

    _training_mode(task)
    batches = _batches(dataset, settings, seed, start)
    bar = tqdm(total=settings.steps, initial=start, desc=name, unit="step", mininterval=1.0)
    with bar, batches as parts:
        for step in range(start, settings.steps):
            seed_step(seed, step, generator)
            rate = learning_rate(step, settings)
            for group in optimizer.param_groups:
                if group["scheduled"]:
                    group["lr"] = rate
            values: list[dict[str, float]] = []
            for _ in range(settings.gradient_accumulation):
                batch = {key: tensor.to(accelerator.device) for key, tensor in next(parts).items()}
                with accelerator.accumulate(prepared):
                    loss, terms = prepared(batch, generator, step / settings.steps)
                    accelerator.backward(loss)
                values.append({key: _number(value) for key, value in {"loss": loss, **terms}.items()})
            norm = float(accelerator.clip_grad_norm_(parameters, settings.gradient_clip))
            means = {key: sum(value[key] for value in values) / len(values) for key in values[0]}
            if not (math.isfinite(means["loss"]) and math.isfinite(norm)):
                raise UserError(
                    f"{name}: the loss is not a finite number at step {step + 1} of {settings.steps};"
                    f" lower {name}.training.learning_rate ({settings.learning_rate:g}) or"
                    f" {name}.training.gradient_clip ({settings.gradient_clip:g})"
                )
            stepper.step()
            stepper.zero_grad()
            ema.step(parameters)

            done = step + 1
            if point := curve.add(done, means, rate, last=done == settings.steps):
                logger.metrics({key: value for key, value in point.items() if key != "step"}, done)
            bar.set_postfix(loss=f"{means['loss']:.4g}", refresh=False)
            bar.update()
            if settings.preview_every and done % settings.preview_every == 0 and done < settings.steps:
                with averaged(task, ema, parameters):
                    _preview(task, checkpoint_folder, done, logger)
            if done % settings.checkpoint_every == 0 or done == settings.steps:
                save(done)

    accelerator.unwrap_model(task, keep_fp32_wrapper=False)
    ema.copy_to(parameters)
    task.eval()
    seed_step(seed, settings.steps, generator)
    with torch.no_grad():
        _preview(task, checkpoint_folder, settings.steps, logger)
        metrics = {"loss": curve.points[-1]["loss"], **task.metrics()}
    logger.metrics(metrics, settings.steps)
    return TrainResult(metrics, curve.points)


def _groups(task: Task, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """The optimizer's groups: what follows the schedule, by AdamW and by Muon, and what has a rate of its own."""
    apart, matrices = task.constant_rates(), {id(parameter) for parameter in task.matrices()}
    constant = {id(parameter) for group, _ in apart for parameter in group}
    scheduled = [parameter for parameter in parameters if id(parameter) not in constant | matrices]
    hidden = [parameter for parameter in parameters if id(parameter) in matrices]
    return [
        {"params": scheduled, "scheduled": True},
        *([{"params": hidden, "scheduled": True, "matrices": True}] if hidden else []),
        *({"params": group, "lr": rate, "scheduled": False} for group, rate in apart),
    ]


def learning_rate(step: int, settings: TrainingParams) -> float:
    """The rate of step ``step`` (from 0): linear warm-up, then half a cosine to zero after the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def seed_step(seed: int, step: int, generator: torch.Generator) -> None:
    """Make a step's randomness (``generator``, and the global one that dropout uses) a function of (seed, step)."""
    value = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0])
    torch.manual_seed(value)
    generator.manual_seed(value)


@contextmanager
def averaged(task: Task, ema: EMAModel, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Within the block ``task.module`` holds the averaged weights, in evaluation mode, without gradients."""
    ema.store(parameters)
    ema.copy_to(parameters)
    task.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        ema.restore(parameters)
        _training_mode(task)


@dataclass
class _LossCurve:
    """Means over windows of ``every`` steps; a checkpoint holds the window that is under way, too."""

    every: int
    points: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, step: int, values: dict[str, float], rate: float, *, last: bool) -> dict[str, float] | None:
        """Add a step's values; a new point when a window is full or the training ends."""
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.count += 1
        if step % self.every and not last:
            return None
        point = {"step": step, "learning_rate": rate} | {key: total / self.count for key, total in self.sums.items()}
        self.points.append(point)
        self.sums, self.count = {}, 0
        return point


@contextmanager
def _batches(dataset: Dataset, settings: TrainingParams, seed: int, start: int) -> Iterator[Iterator[Batch]]:
    """Batches from step ``start`` on; the next one is read while the present one is worked on."""
    size, per_step = settings.batch_size, settings.gradient_accumulation

    def read(position: int) -> Batch:
        return batch_at(dataset, seed, position, size)

    def stream(reader: ThreadPoolExecutor) -> Iterator[Batch]:
        end = settings.steps * per_step
        upcoming = reader.submit(read, start * per_step)
        for position in range(start * per_step, end):
            batch = upcoming.result()
            if position + 1 < end:
                upcoming = reader.submit(read, position + 1)
            yield batch

    with ThreadPoolExecutor(1) as reader:
        yield stream(reader)


def _number(value: torch.Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)


def _training_mode(task: Task) -> None:
    task.eval()  # the frozen helpers: no dropout in a text encoder
    task.module.train()


def _preview(task: Task, folder: Path, step: int, logger: RunLogger) -> None:
    pictures = folder / "previews"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in task.preview(pictures, step):
        logger.figure(picture)


def _tensors(module: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Everything that a training's next step depends on, by name."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    tensors |= {f"ema.{place}": tensor for place, tensor in enumerate(ema.shadow_params)}
    for place, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{place}.{name}": tensor for name, tensor in moments.items()}
    return tensors


def _restore(
    module: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    module.load_state_dict(
        {name.removeprefix("module."): t for name, t in tensors.items() if name.startswith("module.")}
    )
    for place, shadow in enumerate(ema.shadow_params):
        shadow.copy_(tensors[f"ema.{place}"])
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
