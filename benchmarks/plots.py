"""Pictures of the comparison, as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.clips import Clip
from benchmarks.methods import Drawn
from sketch2video.curves import CurveSequence
from sketch2video.files import replacing

COEFFICIENTS, TRAJECTORIES = 4, 8
"""Coefficients, and strokes, of which the way through time is shown."""

HISTOGRAM_BINS = 40

PANELS = {
    "ink_to_curve_px": "ink→curve, px",
    "displacement_px": "moved between frames, px",
    "beyond_flow_px": "moved beyond optical flow, px",
    "cpu_ms": "CPU ms a frame (log)",
}

STEADINESS = {
    "flicker": "flicker",
    "background_drift": "drift of the background",
    "sharpness": "sharpness",
    "motion": "motion",
    "object_motion": "object's motion",
}


def save_comparison(path: Path, rows: Mapping[str, Any]) -> None:
    """One panel a measure, one bar a method."""
    figure = Figure(figsize=(14, 3.6), layout="constrained")
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for axis, (column, title) in zip(axes, PANELS.items(), strict=True):
        values = [row[column] or 0.0 for row in rows.values()]
        bars = axis.barh(list(rows), values, color=["tab:orange" if "this" in name else "tab:grey" for name in rows])
        axis.bar_label(bars, labels=[f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in values], padding=3)
        axis.set_title(title)
        axis.margins(x=0.25)
        if column == "cpu_ms":
            axis.set_xscale("log")
    axes[0].invert_yaxis()
    _save(figure, path)


def save_race(path: Path, race: Mapping[str, Any]) -> None:
    """Error against CPU time, of this fit by its rounds and of gradient descent by its schedules."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for (steps, points), grey in zip(race["descent"].items(), ("0.7", "0.5", "0.2"), strict=True):
        axis.plot(*np.transpose(points), color=grey, label=f"gradient descent, planned for {steps} steps")
    ms, error = np.transpose(race["fit"])
    axis.plot(ms, error, "o-", color="tab:orange", label=f"this fit, 1 to {len(ms)} rounds")
    axis.axhline(error[-1], color="tab:orange", linewidth=0.8, linestyle=":")
    axis.set(xscale="log", yscale="log", xlabel="CPU ms a frame, one core", ylabel="ink→curve, px")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    _save(figure, path)


def save_drawings(path: Path, clip: Clip, drawings: Mapping[str, Drawn]) -> None:
    """The second frame of a clip, its ink, and what each method drew: a colour a stroke, a dot where it starts.

    Shown is the part of the frame that has ink.
    """
    t = min(1, len(clip.ink) - 1)
    _, height, width = clip.ink.shape
    rows, columns = np.nonzero(clip.ink[t] if clip.ink[t].any() else clip.ink[t] == 0)
    margin = width / 16
    left, right = columns.min() - margin, columns.max() + margin
    top, bottom = rows.min() - margin, rows.max() + margin
    figure = Figure(figsize=(13, 7), layout="constrained")
    axes = figure.subplots(2, (len(drawings) + 3) // 2)
    panels = iter(axes.ravel())
    for picture, title in ((clip.frames[t], clip.name), (255 - clip.ink[t], "ink")):
        axis = next(panels)
        axis.imshow(picture, cmap="gray", extent=(0, width, height, 0))
        axis.set_title(title)
    for name, drawn in drawings.items():
        axis = next(panels)
        for stroke in drawn.points[t][drawn.visible[t]]:
            (line,) = axis.plot(stroke[:, 0], stroke[:, 1], linewidth=1)
            axis.plot(*stroke[0], "o", color=line.get_color(), markersize=4)
        axis.set_title(name)
    for axis in axes.ravel():
        axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    _save(figure, path)


def save_trajectories(path: Path, title: str, before: CurveSequence, after: CurveSequence) -> None:
    """Coefficients over time, before strokes are tracked and after: how a clip moves through coefficient space.

    The lowest coefficients of x, in frame widths, of the strokes that are seen most; a colour a stroke. The line is
    broken where a stroke is not seen.
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(COEFFICIENTS, 2, sharex=True, sharey="row")
    for column, (name, sequence) in enumerate((("every frame alone", before), ("tracked", after))):
        visible = sequence.visible
        for slot in np.argsort(-visible.sum(0), kind="stable")[:TRAJECTORIES]:
            seen = np.where(visible[:, slot, None], sequence.coefficients[:, slot, 0, :COEFFICIENTS], np.nan)
            for row, axis in enumerate(axes[:, column]):
                axis.plot(seen[:, row], linewidth=1.2)
        axes[0, column].set_title(f"{title}: {name}")
        axes[-1, column].set_xlabel("frame")
    for row, axis in enumerate(axes[:, 0]):
        axis.set_ylabel(f"$a_{{s,{row}}}$")
    _save(figure, path)


def save_loader(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Frames a second of every way to random frames, one panel a distance of key frames."""
    groups = sorted({row["group"] for row in rows})
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, sharex=True)
    for axis, group in zip(axes, groups, strict=True):
        of_group = [row for row in rows if row["group"] == group]
        colours = ["tab:grey" if row["method"] == "decode all" else "tab:orange" for row in of_group]
        speeds = [row["frames_a_second"] for row in of_group]
        bars = axis.barh([row["method"] for row in of_group], speeds, color=colours)
        axis.bar_label(bars, labels=[f"{speed:.0f}" for speed in speeds], padding=3)
        axis.set(title=f"a key frame every {group} frames", xlabel="frames/s of CPU time, one core")
        axis.margins(x=0.15)
    axes[0].invert_yaxis()
    _save(figure, path)


def save_steadiness(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One panel a measure that any row has, one bar a way to make long videos; the first is also a line."""
    shown = {column: title for column, title in STEADINESS.items() if not all(math.isnan(row[column]) for row in rows)}
    figure = Figure(figsize=(3.2 * len(shown), 3.4), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    names = [row["way"] for row in rows]
    for axis, (column, title) in zip(axes, shown.items(), strict=True):
        values = [row[column] for row in rows]
        bars = axis.barh(names, values, color=["tab:green", *["tab:orange"] * (len(rows) - 1)])
        axis.bar_label(bars, labels=[f"{value:.4f}" for value in values], padding=3)
        axis.axvline(values[0], color="tab:green", linewidth=0.8, linestyle=":")
        axis.locator_params(axis="x", nbins=4)
        axis.set_title(title)
        axis.margins(x=0.3)
    axes[0].invert_yaxis()
    _save(figure, path)


def save_distributions(
    path: Path,
    samples: Mapping[str, Mapping[str, np.ndarray]],
    titles: Mapping[str, str],
    apart: Mapping[str, np.ndarray],
) -> None:
    """Histograms of what drawings are like, and how far drawings are from the real ones by frame.

    Args:
        path: ends in ``.png``.
        samples: for every way to draw, real drawings first, the samples of each measure of ``titles``.
        titles: of the measures.
        apart: for these ways, or some and others, px by frame (T,); four ways in all at most.
    """
    ways = list(dict.fromkeys([*samples, *apart]))
    colours = dict(zip(ways, ("0.7", "tab:orange", "tab:blue", "tab:green"), strict=False))
    figure = Figure(figsize=(3.6 * (len(titles) + 1), 3.4), layout="constrained")
    axes = figure.subplots(1, len(titles) + 1)
    for axis, (name, title) in zip(axes, titles.items(), strict=False):
        bins = _bins(np.concatenate([of[name] for of in samples.values()]))
        for way, of in samples.items():
            shares = np.full(len(of[name]), 1 / max(len(of[name]), 1))
            filled = "stepfilled" if way == next(iter(samples)) else "step"
            axis.hist(of[name], bins, weights=shares, histtype=filled, color=colours[way], linewidth=1.4, label=way)
        axis.set(xlabel=title, ylabel="share" if axis is axes[0] else None)
    axes[0].legend(fontsize=8)
    for way, distances in apart.items():
        axes[-1].plot(distances, "o-", markersize=3, color=colours[way], label=way)
    axes[-1].set(xlabel="frame", title="ink off the real drawing, px", ylim=(0, None))
    axes[-1].grid(alpha=0.25)
    axes[-1].legend(fontsize=8)
    _save(figure, path)


def _bins(values: np.ndarray) -> np.ndarray:
    """Edges that show nearly all values: whole numbers between them where all are whole."""
    top = float(np.quantile(values, 0.995)) if len(values) else 1.0
    low = float(values.min(initial=top))
    if (values == values.round()).all() and top - low < HISTOGRAM_BINS:
        return np.arange(low - 0.5, top + 1)
    return np.linspace(low, max(top, low + 1e-6), HISTOGRAM_BINS + 1)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
