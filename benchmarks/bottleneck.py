"""Quality against the size of the latent, with and without a sketch: ``python -m benchmarks.bottleneck``.

The paper claims that a sketch allows a tighter bottleneck for long sequences. Here the sketch system and the text-only
system are trained in the same way: same data, networks, steps, clips in a step, and evaluation; the sketch in decoder
and denoiser, or in neither; each with the noise along time that suits it. Bottlenecks are tightened in space, by the
autoencoder, and in time, where the denoiser's frames share latents (``benchmarks/axes.py``). Clips have 16 or 48 frames
of the same actions; there are several seeds of training and sampling. See ``benchmarks/claim.py`` for the comparison.

One experiment is one bottleneck, length and seed, with both systems; ``benchmarks/lanes.py`` runs it. Its result is
``<reports>/<experiment>.json``. Existing results of the committed code and parameters are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.axes import Bottleneck
from benchmarks.claim import Result, as_json, estimate, table
from benchmarks.claim_plot import save_plot
from benchmarks.claim_words import summary
from benchmarks.command import log
from benchmarks.command import run as run_command
from benchmarks.lanes import Lanes, alone, code_version, committed, last_commit
from benchmarks.tables import Write, page_of, publish
from sketch2video.data.clips.shards import read_table
from sketch2video.errors import UserError
from sketch2video.files import read_json, replacing, sha256_of_value, write_json
from sketch2video.params import Params, load_params
from sketch2video.profiles import apply_profile, edit_params
from sketch2video.systems.spec import report_folder
from sketch2video.tracking.runs import prepare_store
from sketch2video.tracking.store import tracking_uri

LENGTHS = (16, 48)
"""Frames of a clip; batch sizes are those of the first, and are scaled to as many frames for the others."""

BOTTLENECKS = (Bottleneck(3), Bottleneck(3, 16), Bottleneck(3, 4), Bottleneck(5), Bottleneck(4))
"""Those of one autoencoder one after another, as DVC trains it again after another one; among them the extremes first,
as they are most informative if a run ends early."""

AUTOENCODER_STEPS = {5: 3}
"""By halvings: how many times as many steps the autoencoder is trained, where that is not once. After as many as the
others, f = 32 does not carry colours yet."""

REPORTS = Path("reports/bottleneck")
LANES = Path(".dvc/tmp/bottleneck")
SYSTEMS = {name: report_folder(name) for name in ("sketch_ldm", "text_ldm")}
"""Folders of the scores of each system."""


@dataclass(frozen=True)
class Point:
    """One experiment.

    Attributes:
        frames: T, of every clip.
        bottleneck: of both systems.
        seed: of all trainings, and of sampling.
    """

    frames: int
    bottleneck: Bottleneck
    seed: int

    @property
    def lane(self) -> str:
        """Points of one lane share data, text encoder, curve VAE, and autoencoders with their latents."""
        return f"{self.frames}-frames-seed-{self.seed}"

    def name(self, profile: str) -> str:
        """Name of the experiment."""
        return f"{profile}-{self.bottleneck}-{self.lane}"

    def differences(self, params: Params) -> dict[str, Any]:
        """What is changed of the profile's parameters."""

        def batch(training_of: str, key: str = "training") -> dict[str, Any]:
            size = getattr(getattr(params, training_of), key).batch_size
            return {key: {"batch_size": max(size * LENGTHS[0] // self.frames, 1)}}

        halvings = self.bottleneck.halvings
        return {
            "base": {"frames": self.frames, "seed": self.seed},
            "curve_vae": batch("curve_vae") | batch("curve_vae", "prior_training"),
            "autoencoder": {
                "halvings": halvings,
                "fold": self.bottleneck.fold,
                "training": {"steps": params.autoencoder.training.steps * AUTOENCODER_STEPS.get(halvings, 1)},
            },
            "video_ldm": {
                "frames_per_latent": self.bottleneck.frames_per_latent,
                "patch": self.bottleneck.patch,
                "lapped": False,  # patches of one position cannot be lapped, so none are
                **batch("video_ldm"),
            },
            # Known and single frames need a latent each, so none are trained on.
            "text_ldm": {"known_frames": 0.0, "half_rate": 0.0, "image_share": 0.0, "image_steps": 0},
        }


def points(seeds: int) -> list[Point]:
    """All points; those of the first seed come first."""
    return [
        Point(frames, bottleneck, seed) for seed in range(seeds) for frames in LENGTHS for bottleneck in BOTTLENECKS
    ]


def by_lane(selected: Sequence[Point]) -> dict[str, list[Point]]:
    """Points in the order given, by their lanes."""
    lanes: dict[str, list[Point]] = {}
    for point in selected:
        lanes.setdefault(point.lane, []).append(point)
    return lanes


def longest_first(lanes: Mapping[str, list[Point]]) -> dict[str, list[Point]]:
    """Lanes by their frames, the most first: a long lane that begins last would run alone at the end."""
    frames = {name: sum(point.frames for point in lane) for name, lane in lanes.items()}
    return dict(sorted(lanes.items(), key=lambda lane: -frames[lane[0]]))


def is_done(path: Path, key: dict[str, str]) -> bool:
    """Whether a result exists for the code and the parameters of ``key``."""
    return path.exists() and read_json(path)["key"] == key


def read_results(reports: Path, selected: Sequence[Point], profile: str) -> list[Result]:
    """The existing results of any code."""
    paths = [(point, reports / f"{point.name(profile)}.json") for point in selected]
    return [Result(p.frames, p.bottleneck, p.seed, read_json(path)) for p, path in paths if path.exists()]


def write_params(path: Path, point: Point, profile: str, commit: str) -> Params:
    """Write a point's ``params.yaml``: that of a commit, with the profile's differences and the point's.

    Raises:
        UserError: there is no such profile, or what comes out is not valid.
    """
    with replacing(path) as draft:
        draft.write_text(committed(Path(), "params.yaml", commit), encoding="utf-8")
        apply_profile(profile, draft)
        edit_params(point.differences(load_params(draft)), draft, source=point.name(profile))
        return load_params(draft)


class Experiments:
    """The experiments and their results, all of the commit that was the last one at the start.

    Args:
        selected: the points.
        profile: a profile of ``profiles/``.
        reports: folder of the results.
        folder: folder of lanes, logs and parameter files.
    """

    def __init__(self, selected: Sequence[Point], profile: str, reports: Path, folder: Path) -> None:
        self.profile, self.reports, self.folder = profile, reports, folder
        self.commit = last_commit(Path())
        code = sha256_of_value(code_version(Path(), self.commit))
        self.params = {point: write_params(self.params_of(point), point, profile, self.commit) for point in selected}
        self.keys = {
            point: {"code": code, "params": sha256_of_value(params.model_dump(by_alias=True))}
            for point, params in self.params.items()
        }
        self.failed: dict[Point, str] = {}

    def params_of(self, point: Point) -> Path:
        """A point's ``params.yaml``."""
        return self.folder / f"{point.name(self.profile)}.yaml"

    def left(self) -> list[Point]:
        """Points without a result of this code and these parameters."""
        return [
            point
            for point, key in self.keys.items()
            if not is_done(self.reports / f"{point.name(self.profile)}.json", key)
        ]

    def run(self, jobs: int) -> None:
        """Run the remaining points, several lanes at a time; a failing point does not end the others."""
        lanes = longest_first(by_lane(self.left()))
        jobs = min(jobs, len(lanes))
        prepare_store()
        environment = {
            "MLFLOW_TRACKING_URI": tracking_uri(),  # this project's, so that runs outlive their lane
            "OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // jobs, 1)),
        }
        runner = Lanes(Path(), self.commit, self.folder, environment)
        runner.run([[partial(self._run_point, runner, point) for point in lane] for lane in lanes.values()], jobs)
        for lane in lanes.keys() - {point.lane for point in self.left()}:
            runner.remove(lane)

    def _run_point(self, runner: Lanes, point: Point) -> None:
        name, begin = point.name(self.profile), time.monotonic()
        log(f"{name} begins, with {self.params_of(point)}; log: {self.folder / name}.log")
        try:
            checkout = runner.reproduce(point.lane, name, self.params_of(point))
        except UserError as error:
            self.failed[point] = str(error)
            log(f"{name} failed: {error}")
            return
        seconds, params = time.monotonic() - begin, self.params[point]
        found = {
            "key": self.keys[point],
            "point": {"frames": point.frames, **point.bottleneck._asdict(), "seed": point.seed},
            "numbers": point.bottleneck.numbers(params.autoencoder.latent_channels, params.base.size),
            "rate": float(read_table(checkout / "data/clips/clips.parquet")["fps"].median()),
            "seconds": seconds,
            "systems": {
                system: read_json(checkout / folder / "evaluation.json")
                | {"autoencoder": read_json(checkout / folder / "train_autoencoder.json")}
                for system, folder in SYSTEMS.items()
            },
        }
        write_json(self.reports / f"{name}.json", found)
        log(f"{name} is done after {seconds / 60:.1f} min; {len(self.left())} left")


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of every point.")] = 2,
    jobs: Annotated[int, typer.Option(min=0, help="Experiments at a time; 0: one a core.")] = 0,
    profile: Annotated[str, typer.Option(help="Of profiles/: how large everything is.")] = "bottleneck",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many experiments.")] = None,
    only_report: Annotated[bool, typer.Option("--only-report", help="Run nothing; compare what is there.")] = False,
    reports: Annotated[Path, typer.Option(help="Where results, table, plot and text go.")] = REPORTS,
    write: Write = False,
) -> None:
    """Run the experiments that are left, and compare systems with and without the sketch behind tighter bottlenecks."""
    page = page_of("bottleneck", write)
    selected, problems = points(seeds)[:limit], []
    if not only_report:
        with alone(LANES):
            experiments = Experiments(selected, profile, reports, LANES)
            left = experiments.left()
            log(f"{len(selected) - len(left)} of {len(selected)} experiments are done, {len(left)} left")
            if left:
                experiments.run(jobs or os.cpu_count() or 1)
            problems = [f"{p.name(profile)}: {reason}" for p, reason in experiments.failed.items()]
    results = read_results(reports, selected, profile)
    if results:
        there = {Point(result.frames, result.bottleneck, result.seed) for result in results}
        missing = [point.name(profile) for point in selected if point not in there]
        report(reports, results, missing, page)
    if problems:
        again = "the others are compared; the same command tries again"
        raise UserError(f"{len(problems)} of {len(selected)} experiments failed ({again})", *problems)
    if not results:
        raise UserError(f"{reports} holds no result of the profile {profile}; run `make bottleneck`")


def report(reports: Path, results: Sequence[Result], missing: Sequence[str], page: Path | None = None) -> None:
    """Write and show a summary of the results: ``bottleneck.json``, ``.md`` and ``.png`` in the same folder."""
    estimates = estimate(results)
    words = summary(results, estimates, missing)
    text = f"{table(results, estimates)}\n{words}\n"
    publish("bottleneck", text, as_json(results, estimates, words), reports, page)
    save_plot(reports / "bottleneck.png", results, estimates)
    print(f"written to {reports}/bottleneck.png")


if __name__ == "__main__":
    run_command(main)
