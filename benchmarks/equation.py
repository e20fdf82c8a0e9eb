"""Comparison of the equation with other methods: ``python -m benchmarks.equation [CLIPS]``.

All methods have the same input (ink, see :mod:`benchmarks.clips`) and the same budget of numbers a frame. Slow methods
use the first frames of each clip alone; this fit is then measured on those frames, too. Times are
CPU time on one core: what else the machine does hardly counts.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from benchmarks import methods, plots
from benchmarks.clips import Clip, chosen_clips
from benchmarks.clock import clocked, weighed
from benchmarks.command import run as run_command
from benchmarks.methods import Drawn
from benchmarks.race import race
from benchmarks.tables import Write, as_table, page_of, publish
from benchmarks.truth import agreement, motion_residual, outline_distances, start_and_direction, strokes_an_outline
from sketch2video.curves.equation.measure import displacement, distances, kept
from sketch2video.params import FitParams, load_params
from sketch2video.scenes.synthetic import SHAPES

RACING_CLIPS = 6

COLUMNS = {
    "frames": "frames",
    "ink_to_curve_px": "ink→curve px",
    "curve_to_ink_px": "curve→ink px",
    "displacement_px": "moved px",
    "displacement_p95_px": "moved p95",
    "beyond_flow_px": "beyond flow px",
    "beyond_flow_p95_px": "beyond flow p95",
    "across_flow_px": "across flow px",
    "across_flow_p95_px": "across flow p95",
    "kept": "kept",
    "numbers": "numbers",
    "cpu_ms": "CPU ms/frame",
    "peak_mib": "peak MiB",
    "to_outline_px": "curve→outline px",
    "from_outline_px": "outline→curve px",
    "residual_px": "off true motion px",
    "strokes_an_outline": "strokes/outline",
    "canonical": "start agrees",
}
"""Columns of the table; the last five are of embedded scenes alone."""

Fit = Callable[[Clip, FitParams], Callable[[], Drawn]]
"""Prepares a method for a clip; what it gives back is run by the clock."""


class Run(NamedTuple):
    """What a method drew of a clip, and CPU ms a frame."""

    drawn: Drawn
    cpu_ms: float


def _tracked(clip: Clip, fit: FitParams) -> Callable[[], Drawn]:
    return partial(methods.tracked, clip.ink, fit)


def _refined(clip: Clip, fit: FitParams) -> Callable[[], Drawn]:
    return partial(methods.refined, clip.ink, fit)


def _frame_by_frame(clip: Clip, fit: FitParams) -> Callable[[], Drawn]:
    return partial(methods.frame_by_frame, clip.ink, fit)


def _elliptic(clip: Clip, fit: FitParams) -> Callable[[], Drawn]:
    contours, mode = methods.elliptic_settings(clip.ink, fit.budget)
    return partial(methods.elliptic_fourier, clip.ink, fit.budget, contours, mode)


def _descent(clip: Clip, fit: FitParams) -> Callable[[], Drawn]:
    return partial(methods.by_descent, clip.ink, fit)


def compared(few: int) -> dict[str, tuple[Fit, int | None]]:
    """The methods by name, and the number of frames of a clip for each; None: all."""
    return {
        "this fit": (_tracked, None),
        "frame by frame": (_frame_by_frame, None),
        "elliptic Fourier": (_elliptic, None),
        f"this fit, {few} frames": (_tracked, few),
        "… and refined": (_refined, few),
        "gradient descent": (_descent, few),
    }


def run(method: Fit, clips: Sequence[Clip], fit: FitParams) -> list[Run]:
    """Let a method draw clips, one after the other; what is only done once in a process is not timed."""
    method(clips[0], fit)()
    runs = []
    for clip in clips:
        drawn, seconds = clocked(method(clip, fit))
        runs.append(Run(drawn, 1e3 * seconds / len(clip.ink)))
    return runs


def measured(clips: Sequence[Clip], runs: Sequence[Run]) -> dict[str, float | int | None]:
    """The row of a method: one number for each key of :data:`COLUMNS`, those of the truth where it is known.

    Displacements, and what is kept, are pooled over strokes and pairs of frames of all clips, and None where no stroke
    is seen twice; numbers are the most of any frame; the rest are means over clips. Memory is not known here.
    """
    both = list(zip(clips, (run.drawn for run in runs), strict=True))
    misses = np.mean([distances(drawn.points, drawn.visible, clip.ink) for clip, drawn in both], axis=0)
    moved = np.concatenate([displacement(drawn.points, drawn.visible, clip.together) for clip, drawn in both])
    beyond, across = (
        np.concatenate(
            [displacement(drawn.points, drawn.visible, clip.together, clip.flow, across=a) for clip, drawn in both]
        )
        for a in (False, True)
    )
    shown = [max(int(drawn.visible[:-1][clip.together].sum()), 1) for clip, drawn in both]
    row: dict[str, float | int | None] = {
        "frames": sum(len(clip.ink) for clip in clips),
        "ink_to_curve_px": float(misses[0]),
        "curve_to_ink_px": float(misses[1]),
        "displacement_px": _mean(moved),
        "displacement_p95_px": _percentile(moved),
        "beyond_flow_px": _mean(beyond),
        "beyond_flow_p95_px": _percentile(beyond),
        "across_flow_px": _mean(across),
        "across_flow_p95_px": _percentile(across),
        "kept": float(np.average([kept(drawn.visible, clip.together) for clip, drawn in both], weights=shown)),
        "numbers": max(run.drawn.numbers for run in runs),
        "cpu_ms": float(np.mean([run.cpu_ms for run in runs])),
    }
    known = [(drawn, clip.outlines, clip.shape) for clip, drawn in both if clip.outlines is not None]
    if known:
        residuals = [motion_residual(drawn.points, drawn.visible, outlines) for drawn, outlines, _ in known]
        starts = [
            [start_and_direction(d.points, d.visible, outlines[:, 0]) for d, outlines, shape in known if shape == one]
            for one in SHAPES
        ]
        outlined = np.nanmean([outline_distances(d.points, d.visible, outlines) for d, outlines, _ in known], axis=0)
        row |= {
            "to_outline_px": float(outlined[0]),
            "from_outline_px": float(outlined[1]),
            "residual_px": _mean(np.concatenate(residuals)),
            "strokes_an_outline": float(np.mean([strokes_an_outline(d.visible, outlines) for d, outlines, _ in known])),
            "canonical": _mean(np.array([agreement(of_shape) for of_shape in starts if len(of_shape) > 1])),
        }
    return row


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _percentile(values: np.ndarray) -> float | None:
    return float(np.percentile(values, 95)) if len(values) else None


def compare(
    clips: Sequence[Clip], fit: FitParams, few: int, output: Path, name: str, page: Path | None = None
) -> dict[str, Any]:
    """Run all methods on all clips, each in a process of its own; publish the results, and write four pictures.

    Args:
        clips: at least one.
        fit: settings of the fit.
        few: frames of each clip for slow methods.
        output: folder of the results.
        name: of the table and of ``<name>.json`` and ``.md``; it begins the names of the pictures.
        page: see :func:`benchmarks.tables.publish`.
    """
    rows: dict[str, Any] = {}
    by_clip: dict[str, Any] = {clip.name: {} for clip in clips}
    drawings: dict[str, Drawn] = {}
    shown = len(clips) // 3
    for way, (method, frames) in compared(few).items():
        seen = [clip.first(frames) for clip in clips]
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            runs, peak = alone.submit(weighed, partial(run, method, seen, fit)).result()
        rows[way] = {**measured(seen, runs), "peak_mib": peak}
        for clip, one in zip(seen, runs, strict=True):
            by_clip[clip.name][way] = measured([clip], [one])
        drawings[way] = runs[shown].drawn
        print(f"{way}: {rows[way]['ink_to_curve_px']:.2f} px, {rows[way]['cpu_ms']:.1f} ms of CPU a frame")
    chosen = [clips[i] for i in np.linspace(0, len(clips) - 1, min(RACING_CLIPS, len(clips))).round().astype(int)]
    results = {"methods": rows, "clips": by_clip, "race": race(chosen, fit), "fit": fit.model_dump()}
    publish(name, markdown(results), results, output, page)
    plots.save_comparison(output / f"{name}_comparison.png", rows)
    plots.save_race(output / f"{name}_error_against_time.png", results["race"])
    plots.save_drawings(output / f"{name}_drawings.png", clips[shown], drawings)
    before, after = methods.fitted_alone(clips[shown].ink, fit), methods.fitted(clips[shown].ink, fit)
    plots.save_trajectories(output / f"{name}_trajectories.png", clips[shown].name, before, after)
    print(f"written to {output}/{name}_*.png")
    return results


def cells(row: dict[str, Any], columns: Sequence[str]) -> list[str]:
    """A row's numbers as text, three digits where there are decimals; a dash for what is not known."""
    texts = []
    for column in columns:
        value = row.get(column)
        texts.append("–" if value is None else f"{value}" if isinstance(value, int) else f"{value:.{_digits(value)}f}")
    return texts


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2


def columns_of(rows: dict[str, Any]) -> list[str]:
    """The columns that some row has."""
    return [column for column in COLUMNS if any(column in row for row in rows.values())]


def markdown(results: dict[str, Any]) -> str:
    """The table, a method a row, and the verdict."""
    rows = results["methods"]
    columns = columns_of(rows)
    lines = [[name, *cells(row, columns)] for name, row in rows.items()]
    table = as_table(["", *(COLUMNS[column] for column in columns)], lines)
    return f"{table}\n\n{verdict(results['race'])}\n"


def verdict(results: dict[str, Any]) -> str:
    """How much longer gradient descent takes, in a sentence."""
    ratios = results["times_longer"]
    reached = [ratio for ratio in ratios if ratio is not None]
    text = (
        f"With as many numbers, gradient descent is as near to the ink as this fit in {len(reached)} of {len(ratios)}"
    )
    if reached:
        text += f" clips, after {np.median(reached):.0f} times the CPU time (median)"
    if len(reached) < len(ratios):
        text += f"{',' if reached else ':'} not within {results['limit_s']:.1f} s a frame in the others"
    return text + "."


def main(
    clips: Annotated[
        Path | None, typer.Argument(help="A CSV of captions or a folder of videos; none: the embedded scenes.")
    ] = None,
    few: Annotated[int, typer.Option(min=1, help="Frames of each clip for slow methods.")] = 2,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Compare the equation with other methods."""
    name = "equation" if clips is None else f"equation_{clips.stem}"
    page = page_of(name, write)
    params = load_params()
    chosen = chosen_clips(clips, params)
    compare(chosen, params.fit, few, output, name, page)


if __name__ == "__main__":
    run_command(main)
