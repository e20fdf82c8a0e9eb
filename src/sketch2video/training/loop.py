"""The one training loop: Accelerate, AdamW and Muon, a warm-up and cosine schedule, averaged weights, exact resume.

No random state is carried from step to step: the samples of step k and all its noise are functions of (seed, k). An
interrupted training therefore resumes from its checkpoint and ends with exactly the weights of an uninterrupted one (on
the same machine, with the same number of threads and processes).

Processes that ``accelerate launch`` starts share every batch, whose size is that of the parameters. The result is
that of one process up to the order of floating-point sums (:mod:`~sketch2video.networks.processes`); only dropout
masks within networks differ. The main process alone writes checkpoints and pictures, logs, and, unless weights are
sharded, evaluates.
"""

from __future__ import annotations

import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from sketch2video.data.clips.datasets import Dataset
from sketch2video.errors import UserError
from sketch2video.networks.precision import precision
from sketch2video.networks.processes import Share, process_state, sharing
from sketch2video.params import TrainingParams
from sketch2video.training.batches import batches
from sketch2video.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    remove_old_folders,
    restore_training,
    save_checkpoint,
    training_tensors,
)
from sketch2video.training.control_gap import ControlGap, watched_steps
from sketch2video.training.loss_curve import CURVE_POINTS, LossCurve
from sketch2video.training.muon import Muon
from sketch2video.training.schedule import learning_rate, parameter_groups, seed_step
from sketch2video.training.sharding import average_gradients, gathered, shards

Batch = dict[str, torch.Tensor]

log = logging.getLogger(__name__)


class Task(nn.Module, ABC):
    """A network and its loss.

    Subclasses keep frozen auxiliary networks (a text encoder, a perceptual network) as further submodules: they move to
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

        With several processes the batch is this process's share, and the mean of all processes' losses must be the loss
        of the whole batch: see :mod:`~sketch2video.networks.processes` for how noise is drawn and sums are divided.

        Args:
            batch: a batch of the dataset, on the device.
            generator: for all noise; it is on the device (``generator.device``) and seeded for this step.
            progress: share of the training that is done, in [0, 1), for annealing.

        Returns:
            A scalar, and its terms (scalars) by name, which appear beside ``loss`` in the loss curve.
        """

    @property
    def _no_split_modules(self) -> list[str] | None:
        """Classes of blocks, which Accelerate shards one by one unless its configuration names others."""
        return getattr(self.module, "_no_split_modules", None)

    def constant_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters, each once, that do not follow the schedule, and their learning rates; none unless overridden."""
        return []

    def matrices(self) -> list[nn.Parameter]:
        """Weights that :class:`~sketch2video.training.muon.Muon` updates; none unless overridden.

        Each has two axes, or is the kernel of a convolution.
        """
        return []

    def rate_factors(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters, each once, whose learning rates are the schedule's times a factor; none unless overridden."""
        return []

    def optimizer(self, groups: list[dict[str, Any]], settings: TrainingParams) -> torch.optim.Optimizer:
        """The optimizer of parameter groups (:func:`~sketch2video.training.schedule.parameter_groups`)."""
        return Muon(groups, settings.learning_rate, weight_decay=settings.weight_decay)

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Write pictures of what the network can do after ``step`` steps into ``folder``; none unless overridden.

        ``self.module`` holds the averaged weights, in evaluation mode, without gradients.
        """
        return []

    def validation(self) -> dict[str, float]:
        """Held-out values that are recorded with every preview; none unless overridden. See :meth:`preview`."""
        return {}

    def metrics(self) -> dict[str, float]:
        """Held-out metrics of the trained network, deterministic; none unless overridden. See :meth:`preview`."""
        return {}

    def control_gap(self) -> ControlGap | None:
        """Held-out losses with and without control pictures, deterministic and quick; None: there is no control.

        The training compares them while it runs, and warns once if they do not part. See :meth:`preview`.
        """
        return None

    def forward(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor | float]]:
        """The loss; Accelerate wraps this call."""
        return self.loss(batch, generator, progress)


class RunLogger(Protocol):
    """Receives the metrics of a training; :func:`sketch2video.tracking.tracked_run` yields one for MLflow."""

    def begin(self, run_id: str | None) -> str:
        """Start a run, or resume the run ``run_id`` if it still exists; return the id of the run."""
        ...

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Record values after ``step`` steps."""
        ...

    def figure(self, path: Path) -> None:
        """Keep a copy of a picture."""
        ...


class SilentLogger:
    """A :class:`RunLogger` that records nothing."""

    def begin(self, run_id: str | None) -> str:
        """See :class:`RunLogger`."""
        return run_id or ""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`RunLogger`."""

    def figure(self, path: Path) -> None:
        """See :class:`RunLogger`."""


@dataclass(frozen=True)
class TrainResult:
    """Metrics and loss curve of a training.

    Attributes:
        metrics: final values: ``loss`` (the mean at the end of the loss curve) and those of :meth:`Task.metrics`.
        history: the loss curve: ``step``, ``learning_rate``, ``loss`` and its terms.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)


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
        dataset: samples for ``task.loss``; shuffled in every epoch.
        settings: ``<section>.training`` of the parameters.
        name: for the progress bar and messages; the section's name.
        checkpoint_folder: from :func:`~sketch2video.training.checkpoints.folder_for`; training resumes from the
            checkpoint in it and writes the final one to it. All processes read it.
        seed: for order and noise.
        logger: receives the loss curve and pictures, in the main process.

    Returns:
        The same in all processes.

    Raises:
        UserError: the loss is not finite, or the disk is full; the last checkpoint is kept. Or
            several processes cannot train this network, or share its batches, or shard its weights.
    """
    process_state()  # before Accelerate makes one with a shorter timeout
    accelerator = Accelerator(
        mixed_precision=precision(),
        gradient_accumulation_steps=settings.gradient_accumulation,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # a discriminator's, at first
    )
    sharded = shards(accelerator, task, name)
    share = Share(accelerator.process_index, accelerator.num_processes)
    _require_shareable(task.module, share, name)
    main = accelerator.is_main_process
    evaluates = main or sharded  # all processes hold parts of the weights
    logger = logger if main else SilentLogger()
    parameters = [p for p in task.module.parameters() if p.requires_grad]
    groups = parameter_groups(parameters, task.constant_rates(), task.matrices(), task.rate_factors())
    optimizer = task.optimizer(groups, settings)
    prepared, stepper = accelerator.prepare(task, optimizer)
    ema = EMAModel(parameters, decay=settings.ema_decay, foreach=True)
    generator = torch.Generator(accelerator.device)

    if main:
        remove_old_folders(checkpoint_folder)
    checkpoint = load_checkpoint(checkpoint_folder)
    curve = LossCurve(every=max(1, settings.steps // CURVE_POINTS))
    start = 0
    if checkpoint is not None:
        start = checkpoint.step
        restore_training(task.module, ema, optimizer, checkpoint.tensors)
        ema.optimization_step = start
        curve = LossCurve(**checkpoint.state["curve"])
    _require_same(accelerator, start, checkpoint_folder)  # all have read before the main process writes
    run_id = logger.begin(checkpoint.state["run_id"] if checkpoint else None)

    def save(step: int) -> None:
        if main:
            state = {"run_id": run_id, "curve": vars(curve)}
            tensors = training_tensors(task.module, ema, optimizer)
            save_checkpoint(checkpoint_folder, Checkpoint(step, tensors, state))

    if checkpoint is None:
        save(0)  # fails early on a full disk, and stores the id of the run for a resumed training

    watched, warned = watched_steps(settings.steps) if evaluates else set(), False
    _training_mode(task)
    often = float(os.environ.get("TQDM_MININTERVAL", 1.0))  # tqdm's own default is ten times a second
    bar = tqdm(total=settings.steps, initial=start, desc=name, unit="step", mininterval=often, disable=not main)
    with bar, batches(dataset, settings, seed, start, share) as parts:
        for step in range(start, settings.steps):
            seed_step(seed, step, generator, share.index)
            rate = learning_rate(step, settings)
            for group in optimizer.param_groups:
                if group["scheduled"]:
                    group["lr"] = rate * group.get("factor", 1.0)
            values: list[dict[str, float]] = []
            for _ in range(settings.gradient_accumulation):
                batch = {key: tensor.to(accelerator.device) for key, tensor in next(parts).items()}
                with accelerator.accumulate(prepared), sharing(share):
                    with accelerator.autocast():
                        loss, terms = prepared(batch, generator, step / settings.steps)
                    accelerator.backward(loss)
                values.append({key: _number(value) for key, value in {"loss": loss, **terms}.items()})
            if sharded:
                average_gradients(parameters)
            norm = float(accelerator.clip_grad_norm_(parameters, settings.gradient_clip))
            means = {key: sum(value[key] for value in values) / len(values) for key in values[0]}
            means = _over_processes(accelerator, means)
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
            if evaluates and settings.preview_every and done % settings.preview_every == 0 and done < settings.steps:
                with averaged(task, ema, parameters):
                    _preview(task, checkpoint_folder if main else None, done, logger)
                    if held_out := task.validation():
                        logger.metrics(held_out, done)
            if done in watched:
                with averaged(task, ema, parameters):
                    gap = task.control_gap()
                if gap is not None:
                    logger.metrics(gap.metrics(), done)
                    if gap.ignored and main and not warned:
                        log.warning(gap.warning(name, done, settings.steps))
                        warned = True
            if done % settings.checkpoint_every == 0 or done == settings.steps:
                save(done)

    accelerator.unwrap_model(task, keep_fp32_wrapper=False)
    ema.copy_to(parameters)
    task.eval()
    seed_step(seed, settings.steps, generator)
    metrics: dict[str, float] = {}
    if evaluates:
        with torch.no_grad(), gathered(task):
            _preview(task, checkpoint_folder if main else None, settings.steps, logger)
            metrics = {"loss": curve.points[-1]["loss"], **task.metrics()}
        logger.metrics(metrics, settings.steps)
    if share.count > 1:
        (metrics,) = broadcast_object_list([metrics])
    return TrainResult(metrics, curve.points)


def _require_shareable(module: nn.Module, share: Share, name: str) -> None:
    """Refuse networks with layers that depend on the whole batch, which processes cannot share."""
    layers = {type(layer).__name__ for layer in module.modules() if isinstance(layer, _BatchNorm)}
    if layers and share.count > 1:
        raise UserError(
            f"{name}: {', '.join(sorted(layers))} normalises by the whole batch, of which each of {share.count}"
            " processes sees a part; train this network with one process"
        )


def _require_same(accelerator: Accelerator, start: int, folder: Path) -> None:
    """Wait for all processes, and raise if they have read different checkpoints."""
    starts = accelerator.gather(torch.tensor([start], device=accelerator.device)).tolist()
    if len(set(starts)) > 1:
        raise UserError(f"processes read checkpoints of steps {starts} in {folder}; it must be a folder that all share")


def _over_processes(accelerator: Accelerator, values: dict[str, float]) -> dict[str, float]:
    """The means over all processes, the same in each of them."""
    if accelerator.num_processes == 1:
        return values
    means = torch.tensor([*values.values()], dtype=torch.float64, device=accelerator.device)
    return dict(zip(values, accelerator.reduce(means, "mean").tolist(), strict=True))


@contextmanager
def averaged(task: Task, ema: EMAModel, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Within the block ``task.module`` holds the averaged weights, in evaluation mode, without gradients."""
    ema.store(parameters)
    ema.copy_to(parameters)
    task.eval()
    try:
        with torch.no_grad(), gathered(task):
            yield
    finally:
        ema.restore(parameters)
        _training_mode(task)


def _number(value: torch.Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)


def _training_mode(task: Task) -> None:
    task.eval()  # the frozen helpers: no dropout in a text encoder
    task.module.train()


def _preview(task: Task, folder: Path | None, step: int, logger: RunLogger) -> None:
    """Make pictures in a folder; None: they are discarded."""
    if folder is None:
        with TemporaryDirectory() as discarded:
            task.preview(Path(discarded), step)
        return
    pictures = folder / "previews"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in task.preview(pictures, step):
        logger.figure(picture)
