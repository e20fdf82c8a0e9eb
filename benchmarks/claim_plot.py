"""Plot of the scores against the latent numbers a frame, along each axis, with and without the sketch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.axes import AXES, Bottleneck
from benchmarks.claim import (
    LABELS,
    SCORES,
    SERIES,
    Cell,
    Estimate,
    Estimates,
    Result,
    ScoreKind,
    lengths_of,
    numbers_of,
)
from sketch2video.files import replacing

COLOURS = {"without": "tab:blue", "with": "tab:orange", "given": "tab:grey"}
LINES = {"space": "o-", "time": "s--"}
"""Marker and line of each axis."""
PLOT_TITLE = "Scores against the latent numbers a frame, with and without the sketch"
BESIDE = 1.03
"""Ratio of the positions of points with equally many numbers, so that their intervals are seen."""


def save_plot(path: Path, results: Sequence[Result], estimates: Estimates) -> None:
    """One row a length, one column a score; PNG."""
    lengths, numbers = lengths_of(results), numbers_of(results)
    lines = list(product(SERIES, AXES))
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(3.8 * len(SCORES), 2.9 * len(lengths) + 0.6), layout="constrained")
        grid = figure.subplots(len(lengths), len(SCORES), squeeze=False, sharex=True)
        for row, frames in zip(grid, lengths, strict=True):
            for panel, (name, kind) in zip(row, SCORES.items(), strict=True):
                for index, (series, axis) in enumerate(lines):
                    cells = {b: estimates.get(Cell(name, series, frames, b)) for b in AXES[axis]}
                    shown = {numbers[b]: kind.unscaled(one) for b, one in cells.items() if one}
                    _draw(panel, axis, series, shown, BESIDE ** (index - (len(lines) - 1) / 2))
                panel.set_title(f"{kind.title}, {frames} frames", loc="left")
                _dress(panel, kind, numbers)
        for panel in grid[-1]:
            panel.set_xlabel("latent numbers a frame (bottlenecks)")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(SERIES), frameon=False)
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format="png")


def _draw(panel: Axes, axis: str, series: str, points: Mapping[int, Estimate], shift: float) -> None:
    x = [number * shift for number in points]
    y = [one.value for one in points.values()]
    spread = [[one.value - one.low for one in points.values()], [one.high - one.value for one in points.values()]]
    label, colour = f"{LABELS[series]}, along {axis}", COLOURS[series]
    panel.errorbar(x, y, spread, label=label, color=colour, fmt=LINES[axis], markersize=4, capsize=3)


def _dress(panel: Axes, kind: ScoreKind, numbers: Mapping[Bottleneck, int]) -> None:
    named: dict[int, list[str]] = {}
    for bottleneck, number in numbers.items():
        named.setdefault(number, []).append(str(bottleneck))
    panel.set_xscale("log", base=2)
    panel.set_xticks(list(named), [f"{number}\n{', '.join(names)}" for number, names in named.items()])
    panel.minorticks_off()
    panel.set_ylabel("higher is better" if kind.more_is_better else "lower is better")
    if kind.share:
        panel.set_ylim(0, 1)
        panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    else:
        panel.set_yscale("log")
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
