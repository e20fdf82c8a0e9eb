"""What limits the sketch system on videos of your own? ``python -m benchmarks.limits captions.csv``.

The system is trained on the videos once with the parameters of ``params.yaml``, and once for each limit that is changed
(``benchmarks/limit_experiments.py``). All experiments have the same held-out clips, which are painted over the curves
that were fitted to them. Results of the same code, parameters and videos are kept.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from safetensors.numpy import load_file

from benchmarks import drawing_control, limit_experiments, limit_training
from benchmarks.command import log
from benchmarks.command import run as run_command
from benchmarks.lanes import alone
from benchmarks.limit_experiments import Experiment, experiments
from benchmarks.limit_sheet import save_limits_sheet
from benchmarks.limit_training import RESULT, SHOWN, prepare, run_experiment
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.code import code_digest
from sketch2video.data.clips.shards import read_table
from sketch2video.errors import UserError
from sketch2video.evaluation.consistency import mean
from sketch2video.evaluation.evaluate import Data
from sketch2video.evaluation.scores import spread
from sketch2video.files import read_json, sha256_of_value
from sketch2video.guard import guarded
from sketch2video.params import Params, load_params

OUTPUT = Path("reports/bench/limits")
LOG = "log.txt"
EXPENSIVE = ("fine", "longer")
"""Experiments that take longest, and begin first."""

Results = dict[str, dict[str, Any]]
"""Content of ``result.json`` by experiment."""

Value = Callable[[dict[str, Any]], float | None]


class Planned(NamedTuple):
    """An experiment that is to be run.

    Attributes:
        experiment: the changed limit.
        params: its parameters.
        data: its clips, drawings and curves.
        folder: of its parts and its result; named by all that the result depends on.
        small: side, px, at which experiments of different sizes are compared, too.
    """

    experiment: Experiment
    params: Params
    data: Data
    folder: Path
    small: int

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return (self.folder / RESULT).exists()

    def run(self) -> None:
        """Run it in this process; see :func:`run_experiment`."""
        with alone(self.folder):
            run_experiment(self.experiment, self.params, self.data, self.folder, self.small)


def plan(clips: Path, names: Sequence[str], profile: str | None, output: Path) -> list[Planned]:
    """Prepare the experiments of these names, and their data.

    Raises:
        UserError: there is no such experiment, or the videos cannot be read.
    """
    first = Experiment("default", "").written_params(output / "params" / "default.yaml", clips, profile)
    known = experiments(first)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"there is no experiment {unknown[0]!r}; choose from {', '.join(known)}")
    code = code_digest(*(str(module.__file__) for module in (drawing_control, limit_experiments, limit_training)))
    planned: list[Planned] = []
    made: set[Path] = set()
    for name, experiment in known.items():
        if names and name not in names:
            continue
        params = experiment.written_params(output / "params" / f"{name}.yaml", clips, profile)
        data = prepare(experiment, params, output / "data", made)
        table = read_table(data.clips / "clips.parquet")[["clip_id", "video_sha256", "split"]]
        key = {
            "code": code,
            "experiment": asdict(experiment),
            "params": params.model_dump(by_alias=True),
            "clips": table.to_dict("list"),
            "small": first.base.size,
        }
        folder = output / "runs" / f"{name}-{sha256_of_value(key)[:8]}"
        planned.append(Planned(experiment, params, data, folder, first.base.size))
    return planned


def run_all(planned: Sequence[Planned], jobs: int) -> dict[str, str]:
    """Run what has no result, several experiments at a time; the cores are divided between them.

    Returns:
        Reasons by experiment, of those that failed.
    """
    left = sorted((one for one in planned if not one.is_done), key=lambda one: one.experiment.name not in EXPENSIVE)
    for one in left:  # runs of other code, parameters or videos
        for old in one.folder.parent.glob(f"{one.experiment.name}-*"):
            if old != one.folder:
                shutil.rmtree(old)
    log(f"{len(planned) - len(left)} of {len(planned)} experiments are done, {len(left)} left")
    jobs = min(jobs, len(left))
    if jobs <= 1:
        return _gathered((one, one.run) for one in left)
    threads = max((os.cpu_count() or 1) // jobs, 1)
    os.environ.update(guarded(os.environ | {"OMP_NUM_THREADS": str(threads)}))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,)) as pool:
        running = {pool.submit(_run_with_log, one): one for one in left}
        try:
            return _gathered((running[future], future.result) for future in as_completed(running))
        except BrokenProcessPool as error:
            raise UserError("a process was killed, often for want of memory; lower --jobs") from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _gathered(runs: Iterator[tuple[Planned, Callable[[], None]]]) -> dict[str, str]:
    failed = {}
    for one, run in runs:
        try:
            run()
        except UserError as error:
            failed[one.experiment.name] = str(error)
            log(f"{one.experiment.name} failed: {error}")
        else:
            log(f"{one.experiment.name} is done after {minutes(read_json(one.folder / RESULT)):.1f} min")
    return failed


def _run_with_log(one: Planned) -> None:
    """Run an experiment in a process of its own, which prints to a log."""
    one.folder.mkdir(parents=True, exist_ok=True)
    with (
        (one.folder / LOG).open("a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        one.run()


def minutes(result: Mapping[str, Any]) -> float:
    """Wall time of trainings, painting and scoring."""
    return float(sum(result["seconds"].values())) / 60


def _score(name: str) -> Value:
    return lambda result: result["scores"].get(name, {}).get("value")


def _fit(name: str) -> Value:
    return lambda result: result["fit"].get(name)


COLUMNS: dict[str, tuple[Value, str]] = {
    "clips": (lambda result: result["training_clips"], ".0f"),
    "px": (lambda result: result["size"], ".0f"),
    "strokes": (_fit("strokes"), ".1f"),
    "numbers": (_fit("num_parameters"), ".0f"),
    "ink→curve px": (_fit("ink_to_curve_px"), ".2f"),
    "curve→ink px": (_fit("curve_to_ink_px"), ".2f"),
    "PSNR, decoded": (lambda result: result["autoencoder"]["psnr"], ".1f"),
    "PSNR, painted": (_score("psnr"), ".1f"),
    "sharpness": (_score("sharpness_ratio"), ".2f"),
    "motion": (_score("motion_ratio"), ".2f"),
    "flicker": (_score("flicker"), ".4f"),
    "px off": (_score("control_px"), ".2f"),
    "F1": (_score("control_f1"), ".3f"),
    "F1, drawing": (_score("drawing_f1"), ".3f"),
    "min": (minutes, ".1f"),
}
"""Columns of the table: value and format."""


def table(results: Results) -> str:
    """The table with its notes: a row for each experiment."""
    some = next(iter(results.values()))
    reference, small = results.get("default"), some["scores"]["psnr_small"]["protocol"]["side"]
    rows = []
    for result in results.values():
        values = [(value(result), form) for value, form in COLUMNS.values()]
        cells = ["–" if value is None else format(value, form) for value, form in values]
        rows.append([result["experiment"]["title"], *cells[:-1], gain(result, reference), cells[-1]])
    *columns, last = COLUMNS
    real = {
        name: score["floor"]
        for name in ("flicker", "control_px", "control_f1", "drawing_f1")
        if (score := some["scores"].get(name)) and score["floor"] is not None
    }
    floors = ", ".join(f"`{name}` {value:.4g}" for name, value in real.items())
    about = f"{some['clips']} clips of the {some['split']} split; real clips, first row: {floors}."
    head = ["changed", *columns, f"dB gained at {small} px", last]
    return f"{as_table(head, rows)}\n\n{about}"


def gain(result: Mapping[str, Any], reference: Mapping[str, Any] | None, resamples: int = 1000) -> str:
    """What an experiment gains over the reference, in PSNR of the same clips at one size, with its 95% interval."""
    if reference is None or result is reference:
        return "–"
    name = "psnr_small_of_clips"
    differences = np.array([value - reference[name][clip] for clip, value in result[name].items()])
    interval = spread(mean, differences, resamples)
    within = f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else ""
    return f"{differences.mean():+.2f}{within}"


def report(planned: Sequence[Planned], output: Path, name: str, page: Path | None) -> None:
    """Write and show the results that there are: ``<name>.json``, ``<name>.md`` and ``sheet.png``."""
    done = {one.experiment.name: one for one in planned if one.is_done}
    results = {experiment: read_json(one.folder / RESULT) for experiment, one in done.items()}
    made = "; ".join(dict.fromkeys(result["made"] for result in results.values()))
    publish(name, table(results), results, output, page, made)
    save_limits_sheet(output / "sheet.png", {key: load_file(one.folder / SHOWN) for key, one in done.items()})
    print(f"written to {output}/sheet.png")


def main(
    clips: Annotated[Path, typer.Argument(help="A CSV of captioned videos: path_to_video,caption[,label][,split].")],
    only: Annotated[list[str] | None, typer.Option(help="An experiment; repeat it for several. Default: all.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Experiments at a time; 0: one a core.")] = 0,
    profile: Annotated[str | None, typer.Option(help="Of profiles/, for all experiments.")] = None,
    data: Annotated[str, typer.Option(help="Name of the data: ends the names of table and folder.")] = "",
    output: Annotated[Path, typer.Option(help="Folder of data, runs, table and sheet.")] = OUTPUT,
    write: Write = False,
) -> None:
    """Train the sketch system on captioned videos with one limit changed at a time."""
    name = f"limits_{data}" if data else "limits"
    page = page_of(name, write)
    output = output.with_name(f"{output.name}_{data}") if data else output
    load_params()  # raises for faults before anything is written
    with alone(output):
        planned = plan(clips, only or [], profile, output)
        failed = run_all(planned, jobs or os.cpu_count() or 1)
        if any(one.is_done for one in planned):
            report(planned, output, name, page)
    if failed:
        reasons = (f"{experiment}: {reason}" for experiment, reason in failed.items())
        raise UserError(f"{len(failed)} of {len(planned)} experiments failed; the same command tries again", *reasons)


if __name__ == "__main__":
    run_command(main)
