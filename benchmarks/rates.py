"""How fast do the trainings of a profile run here? ``python -m benchmarks.rates captions.csv --profile gpu``.

Each network of the sketch system is trained for a few steps on the videos, by the code of its stage. Then held-out
clips are painted over the curves that were fitted to them: a sheet shows that the whole runs, not what it can learn.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from safetensors.numpy import load_file

from benchmarks.command import run as run_command
from benchmarks.lanes import alone
from benchmarks.limit_experiments import Experiment
from benchmarks.limit_sheet import save_limits_sheet
from benchmarks.limit_training import SHOWN, paint, prepare, save_shown, stages
from benchmarks.step_flop import flop_of_tasks
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.autoencoder.training import AutoencoderTask as FramesTask
from sketch2video.controls import find_control
from sketch2video.curve_vae.autoencoder_task import AutoencoderTask as StrokesTask
from sketch2video.curve_vae.prior_task import PriorTask
from sketch2video.curve_vae.training import train_curve_vae
from sketch2video.data.clips.shards import read_table
from sketch2video.diffusion.training import VideoLDMTask
from sketch2video.errors import UserError
from sketch2video.evaluation.evaluate import Data, evaluated_rows
from sketch2video.networks.precision import device_name, precision
from sketch2video.params import Params, TrainingParams
from sketch2video.text.training import MaskedLanguageModelling
from sketch2video.training.loop import RunLogger, SilentLogger, Task

OUTPUT = Path("reports/bench/rates")
PRODUCT_SIDE = {"cuda": 8192, "cpu": 1024}
"""Of the matrices whose product is the fastest that the machine is asked for."""
PRODUCTS = 20
"""Products that are timed; the fastest counts."""
LATENTS = "latents"
"""The stage that trains nothing."""


@dataclass(frozen=True)
class Training:
    """A training that is measured.

    Attributes:
        title: its section of ``params.yaml``.
        stage: that runs it.
        task: its class.
        prefix: of its metrics, where several trainings are one run.
    """

    title: str
    stage: str
    task: type[Task]
    prefix: str = ""

    def settings(self, params: Params) -> TrainingParams:
        """Its parameters."""
        section, name = self.title.split(".")
        settings: TrainingParams = getattr(getattr(params, section), name)
        return settings


TRAININGS = (
    Training("text_encoder.training", "text_encoder", MaskedLanguageModelling),
    Training("curve_vae.training", "curve_vae", StrokesTask),
    Training("curve_vae.prior_training", "curve_vae", PriorTask, "prior_"),
    Training("autoencoder.training", "autoencoder", FramesTask),
    Training("video_ldm.training", "video_ldm", VideoLDMTask),
)


@dataclass
class StepTimes(SilentLogger):
    """A :class:`~sketch2video.training.loop.RunLogger` that measures the time between points of the loss curve.

    Attributes:
        prefix: of the metrics of the training.
        seconds: a step of each interval, but the first, which also holds what is done once.
        gib: peak memory of the GPU within the intervals; 0 without a GPU.
    """

    prefix: str = ""
    seconds: list[float] = field(default_factory=list)
    gib: float = 0.0
    _last: tuple[int, float] | None = None

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`~sketch2video.training.loop.RunLogger`; points of the curve alone have a learning rate."""
        if not {"learning_rate", f"{self.prefix}loss"} <= set(values):
            return
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append((now - self._last[1]) / (step - self._last[0]))
            self.gib = max(self.gib, peak_gib())
        self._last = step, now
        reset_peak()


@dataclass(frozen=True)
class Rate:
    """What was measured of a training.

    Attributes:
        title: of the training.
        samples: of a step.
        seconds: of a step, the median over intervals.
        flop: of a step, forwards and backwards, without the optimizer.
        gib: peak memory of the GPU; 0 without a GPU.
    """

    title: str
    samples: int
    seconds: float
    flop: int
    gib: float


def shortened(experiment: Experiment, params: Params, steps: int) -> Experiment:
    """An experiment whose trainings take this many steps, and keep and show nothing on the way."""
    differences: dict[str, Any] = {}
    for training in TRAININGS:
        section, name = training.title.split(".")
        differences.setdefault(section, {})[name] = {
            "steps": steps,
            "warmup_steps": min(training.settings(params).warmup_steps, steps),
            "checkpoint_every": steps,
            "preview_every": 0,
        }
    return replace(experiment, differences=differences)


def makers(params: Params, logger: RunLogger, data: Data, folder: Path) -> dict[str, Callable[[], Any]]:
    """The stages by name, in their order, as functions that make their output in ``folder``."""
    found = stages(params, find_control("sketch"), data, folder, logger)
    found["curve_vae"] = partial(
        train_curve_vae,
        params,
        logger,
        folder / "curve_vae",
        curves=data.curves,
        text_encoder=folder / "text_encoder",
        checkpoints=folder / "checkpoints",
    )
    return found


def measure(params: Params, one_step: Params, data: Data, folder: Path) -> list[Rate]:
    """Run all stages, and measure their trainings; models are left in ``folder``.

    Args:
        params: of the trainings that are timed.
        one_step: the same with a single step, whose operations are counted.
        data: clips, drawings and curves.
        folder: of the models.

    Raises:
        UserError: a training fails, or does not fit into the memory of the GPU.
    """
    rates = []
    for stage in dict.fromkeys(training.stage for training in TRAININGS):
        if stage == "video_ldm":
            makers(params, SilentLogger(), data, folder)[LATENTS]()
        trainings = [training for training in TRAININGS if training.stage == stage]
        try:
            flop = flop_of_tasks(makers(one_step, SilentLogger(), data, folder)[stage])
            times = Several([StepTimes(training.prefix) for training in trainings])
            makers(params, times, data, folder)[stage]()
        except torch.cuda.OutOfMemoryError as error:
            sizes = " and ".join(f"{one.title}.batch_size" for one in trainings)
            raise UserError(f"{stage} does not fit into the memory of this GPU; lower {sizes}") from error
        for training, measured in zip(trainings, times.loggers, strict=True):
            settings = training.settings(params)
            samples = settings.batch_size * settings.gradient_accumulation
            seconds = statistics.median(measured.seconds)
            rates.append(Rate(training.title, samples, seconds, flop[training.task.__name__], measured.gib))
    return rates


@dataclass
class Several(SilentLogger):
    """A :class:`~sketch2video.training.loop.RunLogger` that passes metrics on to others."""

    loggers: list[StepTimes]

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`~sketch2video.training.loop.RunLogger`."""
        for logger in self.loggers:
            logger.metrics(values, step)


def product_rate(device: torch.device) -> float:
    """FLOP/s of a product of large square matrices, in the precision of the trainings."""
    dtype = torch.bfloat16 if precision() == "bf16" else torch.float32
    side = PRODUCT_SIDE[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(PRODUCTS):
        begin = time.perf_counter()
        _ = left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - begin)
    return 2 * side**3 / fastest


def peak_gib() -> float:
    """Peak memory of the GPU since :func:`reset_peak`, GiB; 0 without a GPU."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


def reset_peak() -> None:
    """Forget the peak memory."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def markdown(rates: Sequence[Rate], product: float, about: Mapping[str, str]) -> str:
    """The table and its notes.

    Args:
        rates: of the trainings.
        product: FLOP/s of :func:`product_rate`.
        about: what else is known, by name.
    """
    columns = ["training", "samples a step", "steps/s", "TFLOP a step", "TFLOP/s", "MFU", "peak memory, GiB"]
    rows = [
        [
            f"`{rate.title}`",
            f"{rate.samples:,}",
            f"{1 / rate.seconds:.3g}",
            f"{rate.flop / 1e12:.3g}",
            f"{rate.flop / rate.seconds / 1e12:.3g}",
            f"{rate.flop / rate.seconds / product:.1%}",
            f"{rate.gib:.1f}" if rate.gib else "–",
        ]
        for rate in rates
    ]
    notes = "; ".join(f"{name} {value}" for name, value in about.items())
    fastest = f"MFU is relative to {product / 1e12:.3g} TFLOP/s, those of a product of large matrices ({precision()})"
    return f"{as_table(columns, rows)}\n\n{fastest}; {notes}.\n"


def main(
    clips: Annotated[Path, typer.Argument(help="A CSV of captioned videos: path_to_video,caption[,label][,split].")],
    profile: Annotated[str, typer.Option(help="Of profiles/.")] = "gpu",
    steps: Annotated[int, typer.Option(min=3, help="Of each training.")] = 50,
    output: Annotated[Path, typer.Option(help="Folder of data, models, results and sheet.")] = OUTPUT,
    write: Write = False,
) -> None:
    """Measure the rate of each training of a profile on captioned videos."""
    page = page_of("rates", write)
    whole = Experiment(profile, f"profile `{profile}`", profile=profile)
    with alone(output):
        path, folder = output / "params.yaml", output / "models"
        full = whole.written_params(path, clips)
        one_step, params = (shortened(whole, full, count).written_params(path, clips) for count in (1, steps))
        shutil.rmtree(folder, ignore_errors=True)  # checkpoints of an earlier run would shorten the trainings
        data = prepare(whole, params, output / "data", set())
        device = torch.device(device_name())
        product = product_rate(device)
        rates = measure(params, one_step, data, folder)
        control = find_control("sketch")
        rows, _ = evaluated_rows(read_table(data.clips / "clips.parquet"), params.evaluate.clips)
        painted = paint(params, control, rows, data, folder)
        save_shown(folder / SHOWN, painted, rows, data, control)
        save_limits_sheet(output / "sheet.png", {profile: load_file(folder / SHOWN)})
        about = {
            "profile": f"`{profile}`",
            "frames": f"{full.base.frames} of {full.base.size} px",
            "on": torch.cuda.get_device_name() if device.type == "cuda" else "the CPU",
        }
        results = {"product": product, "rates": [vars(rate) for rate in rates], **about}
        publish("rates", markdown(rates, product, about), results, output, page)
        print(f"written to {output}/sheet.png")


if __name__ == "__main__":
    run_command(main)
