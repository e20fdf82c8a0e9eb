"""Summary of the bottleneck experiments: estimates with intervals, a table, a plot, and a paragraph in words.

An estimate is the mean over seeds. Its 95% interval has two parts, whose half-widths are added as squares:

- the chance in a training: t · s / √n, with the standard deviation s over seeds, pooled over all factors and lengths of
  a score and a system, since two seeds alone hardly determine it;
- the chance in the clips: the mean half-width of the scores' own intervals (Wilson's, or bootstrap). It is not divided
  by √n, because all seeds are judged on the same captions and real clips.

Distances are compared by their logarithms: means are geometric, and what is worse is so by a factor. From seed to seed
a distance varies in proportion to itself, by about a third, be it 200 or 2,000. (On the scale of the distances one
standard deviation would hold for all of them, and give the small ones intervals down to far below zero.)

The second is partly contained in the first, so intervals are rather too wide. With one seed the first is missing, which
the text mentions. Differences are those of independent numbers: half-widths are added as squares again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tables import as_table
from sketch2video.files import replacing


class ScoreKind(NamedTuple):
    """How a score is read: its name in sentences, whether more is better, and whether it is a share, not a distance."""

    title: str
    more_is_better: bool
    share: bool

    def scaled(self, value: float) -> float:
        """A score on the scale on which scores are compared: a distance's logarithm."""
        return value if self.share else math.log(max(value, LEAST))

    def unscaled(self, one: Estimate) -> Estimate:
        """An estimate back in the score's own units; of a difference of distances, the factor between them."""
        if self.share:
            return one
        return Estimate(math.exp(one.value), math.exp(one.low), math.exp(one.high), one.seeds)


SCORES = {
    "faithfulness_joint": ScoreKind("faithfulness", True, True),
    "fvd_embedded": ScoreKind("fvd_embedded", False, False),
    "kvd_embedded": ScoreKind("kvd_embedded", False, False),
}
SERIES = {"without": ("text_ldm", ""), "with": ("sketch_ldm", ""), "given": ("sketch_ldm", "_fitted")}
"""Whose scores are compared, and how their names end."""
LABELS = {"without": "without the sketch", "with": "with the sketch", "given": "with the real clip's sketch"}
COLOURS = {"without": "tab:blue", "with": "tab:orange", "given": "tab:grey"}
PLOT_TITLE = "Scores against the latent's size, with and without the sketch"
LEVEL = 0.95
LEAST = 1.0
"""Lower bound of distances before the logarithm: floors are about zero, and may be negative."""
LITTLE = 0.25
"""With a smaller share than this, there is little to lose."""

VERDICTS = {
    frozenset({1}): "these numbers bear the claim out",
    frozenset({1, 0}): "these numbers speak for the claim, though not by every score",
    frozenset({0}): "these numbers neither bear the claim out nor contradict it",
    frozenset({-1}): "these numbers contradict the claim",
    frozenset({-1, 0}): "these numbers speak against the claim, though not by every score",
    frozenset({1, -1}): "the scores contradict each other, and the claim stays open",
    frozenset({1, 0, -1}): "the scores contradict each other, and the claim stays open",
}
"""By the signs of what the sketch saves, score by score."""


@dataclass(frozen=True)
class Result:
    """One experiment: both systems behind one factor, on clips of one length, with one seed.

    Attributes:
        found: ``systems``: for each its ``scores`` and ``protocol``; ``numbers``: latent numbers a frame; ``key``: of
            code and parameters.
    """

    frames: int
    halvings: int
    seed: int
    found: Mapping[str, Any]

    def score(self, series: str, name: str) -> Mapping[str, Any] | None:
        """A score as ``evaluation.json`` has it; None where it was left out."""
        system, suffix = SERIES[series]
        score: Mapping[str, Any] | None = self.found["systems"][system]["scores"].get(name + suffix)
        return score


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval, on the scale of :meth:`ScoreKind.scaled` unless it is marked as unscaled.

    Attributes:
        seeds: how many trainings it is the mean of.
    """

    value: float
    low: float
    high: float
    seeds: int = 1

    def minus(self, other: Estimate) -> Estimate:
        """The difference to an independent estimate."""
        value = self.value - other.value
        low = math.hypot(self.value - self.low, other.high - other.value)
        high = math.hypot(self.high - self.value, other.value - other.low)
        return Estimate(value, value - low, value + high, min(self.seeds, other.seeds))

    @property
    def sign(self) -> int:
        """1 or -1 where the interval is on one side of zero; 0 where it is not."""
        return int(self.low > 0) - int(self.high < 0)


class Cell(NamedTuple):
    """What an estimate is of."""

    score: str
    series: str
    frames: int
    halvings: int


Estimates = dict[Cell, Estimate]


def estimate(results: Sequence[Result]) -> Estimates:
    """The estimates of all cells that have a result, on the scale of :meth:`ScoreKind.scaled`."""
    cells: dict[Cell, list[Mapping[str, Any]]] = {}
    for result in results:
        for score in SCORES:
            for series in SERIES:
                if (found := result.score(series, score)) is not None:
                    scale = SCORES[score].scaled
                    ends = found["interval"] and [scale(end) for end in found["interval"]]
                    scaled = {"value": scale(found["value"]), "interval": ends}
                    cells.setdefault(Cell(score, series, result.frames, result.halvings), []).append(scaled)
    groups: dict[tuple[str, str], list[list[Mapping[str, Any]]]] = {}
    for cell, scores in cells.items():
        groups.setdefault((cell.score, cell.series), []).append(scores)
    chance = {group: chance_of_training(scores) for group, scores in groups.items()}
    return {
        cell: _estimate(scores, chance[cell.score, cell.series], SCORES[cell.score].share)
        for cell, scores in cells.items()
    }


def chance_of_training(cells: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    """t · s of a score, s pooled over its cells; 0 where no cell has two seeds."""
    values = [[one["value"] for one in cell] for cell in cells if len(cell) > 1]
    freedom = sum(len(cell) - 1 for cell in values)
    if not freedom:
        return 0.0
    squares = sum(float(np.var(cell)) * len(cell) for cell in values)
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(squares / freedom)


def _estimate(scores: Sequence[Mapping[str, Any]], chance: float, share: bool) -> Estimate:
    value = float(np.mean([one["value"] for one in scores]))
    halves = [[abs(end - one["value"]) for end in one["interval"] or [one["value"]] * 2] for one in scores]
    below, above = (math.hypot(chance / math.sqrt(len(scores)), half) for half in np.mean(halves, axis=0).tolist())
    low, high = value - below, value + above
    return Estimate(value, max(low, 0.0) if share else low, min(high, 1.0) if share else high, len(scores))


def table(results: Sequence[Result], estimates: Estimates) -> str:
    """All estimates as a Markdown table: one row a factor and length."""
    head = ["frames", "f", "numbers a frame", *(f"{name}, {LABELS[series]}" for name in SCORES for series in SERIES)]
    rows = []
    for frames in lengths_of(results):
        for halvings, numbers in numbers_of(results).items():
            cells = [estimates.get(Cell(name, series, frames, halvings)) for name in SCORES for series in SERIES]
            shown = [
                _with_interval(one, SCORES[name]) if one else "–"
                for one, name in zip(cells, [name for name in SCORES for _ in SERIES], strict=True)
            ]
            rows.append([str(frames), str(2**halvings), str(numbers), *shown])
    return as_table(head, rows) + "\n"


def lengths_of(results: Sequence[Result]) -> list[int]:
    """Lengths that there are results of, in frames."""
    return sorted({result.frames for result in results})


def numbers_of(results: Sequence[Result]) -> dict[int, int]:
    """Latent numbers a frame of each number of halvings that there are results of."""
    return {r.halvings: int(r.found["numbers"]) for r in sorted(results, key=lambda r: r.halvings)}


def paragraph(results: Sequence[Result], estimates: Estimates, missing: Sequence[str] = ()) -> str:
    """What the estimates show, in words that follow from them by rule.

    Args:
        results, estimates: see :func:`estimate`.
        missing: names of the experiments without a result.
    """
    parts = [_setting(results, missing)]
    lengths, halvings = lengths_of(results), list(numbers_of(results))
    for frames in lengths:
        parts.append(_losses(estimates, frames, halvings))
        parts.append(_advantages(estimates, frames, halvings))
        parts.append(_substitution(estimates, frames, halvings))
    parts.append(_verdict(estimates, lengths, halvings))
    return " ".join(part for part in parts if part)


def _setting(results: Sequence[Result], missing: Sequence[str]) -> str:
    protocol = results[0].found["systems"]["text_ldm"]["protocol"]
    seeds = sorted({result.seed for result in results})
    text = (
        f"Both systems were trained alike, with {_count(len(seeds), 'seed')}, and each generated {protocol['clips']} "
        "clips for the same held-out captions; brackets hold 95% intervals over the chance in clips and in trainings."
    )
    if len(seeds) == 1:
        text += " With one seed that of trainings is left out, and they are too narrow."
    if missing:
        text += f" Not all is there, and what follows may change: {', '.join(missing)} missing."
    if len({result.found["key"]["code"] for result in results}) > 1:
        text += " The points were not all made by the same code."
    return text


def _losses(estimates: Estimates, frames: int, halvings: Sequence[int]) -> str:
    """The loss of quality by the tightest bottleneck, with the sketch and without."""
    phrases = {1: "less with the sketch", 0: "without a significant difference", -1: "more with the sketch"}
    clauses, little = [], ""
    for name, kind in SCORES.items():
        losses = losses_of(estimates, name, frames, halvings)
        if losses is None:
            continue
        saved = losses["without"].minus(losses["with"])
        clauses.append(
            f"{kind.title} by {_difference(losses['without'], kind)} without the sketch and by "
            f"{_difference(losses['with'], kind)} with it ({phrases[saved.sign]}: {_difference(saved, kind)})"
        )
        widest = estimates[Cell(name, "without", frames, halvings[0])]
        if kind.share and widest.value < LITTLE:
            where = f"at f = {2 ** halvings[0]} {kind.title} is {widest.value:.0%}"
            little = f" Without the sketch there was little to lose: {where}."
    if not clauses:
        return ""
    ends = f"f = {2 ** halvings[0]} to f = {2 ** halvings[-1]}"
    return f"In clips of {frames} frames these get worse from {ends}: {'; '.join(clauses)}.{little}"


def _advantages(estimates: Estimates, frames: int, halvings: Sequence[int]) -> str:
    """Where a score is better with the sketch than without, behind the same bottleneck."""
    groups: dict[int, list[str]] = {}
    for name, kind in SCORES.items():
        factors: dict[int, list[str]] = {}
        for h in halvings:
            pair = [estimates.get(Cell(name, series, frames, h)) for series in ("with", "without")]
            if pair[0] and pair[1]:
                factors.setdefault(_gain(kind, pair[0].minus(pair[1])).sign, []).append(str(2**h))
        for sign, found in factors.items():
            groups.setdefault(sign, []).append(f"{kind.title} at {_and(found)}")
    phrases = {1: "better with it", 0: "not significantly different", -1: "worse with it"}
    clauses = [f"{words}: {', '.join(groups[sign])}" for sign, words in phrases.items() if sign in groups]
    return f"Behind the same f, {'; '.join(clauses)}." if clauses else ""


def losses_of(estimates: Estimates, name: str, frames: int, halvings: Sequence[int]) -> dict[str, Estimate] | None:
    """How much worse a score is behind the tightest bottleneck than behind the widest, for each system."""
    losses = {}
    for series in ("without", "with"):
        ends = [estimates.get(Cell(name, series, frames, h)) for h in (halvings[0], halvings[-1])]
        if len(halvings) < 2 or ends[0] is None or ends[1] is None:
            return None
        losses[series] = _gain(SCORES[name], ends[0].minus(ends[1]))
    return losses


def _substitution(estimates: Estimates, frames: int, halvings: Sequence[int]) -> str:
    """Whether the tightest bottleneck with the sketch is as good as the widest one without."""
    phrases = {1: "better by", 0: "not significantly different by", -1: "worse by"}
    groups: dict[int, list[str]] = {}
    for name, kind in SCORES.items():
        tight = estimates.get(Cell(name, "with", frames, halvings[-1]))
        wide = estimates.get(Cell(name, "without", frames, halvings[0]))
        if tight and wide and len(halvings) > 1:
            groups.setdefault(_gain(kind, tight.minus(wide)).sign, []).append(kind.title)
    clauses = [f"{words} {_and(groups[sign])}" for sign, words in phrases.items() if sign in groups]
    ends = f"f = {2 ** halvings[-1]} with the sketch is, beside f = {2 ** halvings[0]} without it"
    return f"And {ends}, {_and(clauses, ', ')}." if clauses else ""


def _verdict(estimates: Estimates, lengths: Sequence[int], halvings: Sequence[int]) -> str:
    """Whether the claim holds of the longest clips, and whether length matters."""
    saved = saved_of(estimates, lengths[-1], halvings)
    if not saved or lengths[-1] == min(lengths):
        return "Whether the claim holds for long sequences is unknown: points are missing."
    signs = {one.sign for one in saved.values()}
    groups = {sign: [SCORES[n].title for n, one in saved.items() if one.sign == sign] for sign in signs}
    phrases = {1: "it does", -1: "it costs more", 0: "the difference is not significant"}
    clauses = [f"by {_and(groups[sign])} {words}" for sign, words in phrases.items() if sign in groups]
    text = (
        "The paper's claim, that a sketch allows a tighter bottleneck for long sequences, requires that a tighter one "
        f"cost less with the sketch than without. In clips of {lengths[-1]} frames {_and(clauses, ', ')}: "
        f"{VERDICTS[frozenset(signs)]}."
    )
    return f"{text} {_length_matters(saved, saved_of(estimates, lengths[0], halvings), lengths)}".strip()


def saved_of(estimates: Estimates, frames: int, halvings: Sequence[int]) -> dict[str, Estimate]:
    """By how much less the tightest bottleneck costs with the sketch than without, for each score."""
    losses = {name: losses_of(estimates, name, frames, halvings) for name in SCORES}
    return {name: one["without"].minus(one["with"]) for name, one in losses.items() if one}


def _length_matters(long: Mapping[str, Estimate], short: Mapping[str, Estimate], lengths: Sequence[int]) -> str:
    groups: dict[int, list[str]] = {}
    for name in long.keys() & short.keys():
        more = long[name].minus(short[name])
        groups.setdefault(more.sign, []).append(f"{SCORES[name].title} ({_difference(more, SCORES[name])})")
    phrases = {1: "more", -1: "less", 0: "neither more nor less than the intervals allow for"}
    clauses = [f"{words} by {_and(sorted(groups[sign]))}" for sign, words in phrases.items() if sign in groups]
    if not clauses:
        return ""
    return f"What the sketch saves is, in clips of {lengths[-1]} frames against {lengths[0]}, {_and(clauses, ', ')}."


def as_json(results: Sequence[Result], estimates: Estimates, text: str) -> dict[str, Any]:
    """All numbers, for programs."""
    numbers = numbers_of(results)
    rows = [
        {
            **cell._asdict(),
            "f": 2**cell.halvings,
            "numbers": numbers[cell.halvings],
            **asdict(SCORES[cell.score].unscaled(one)),
        }
        for cell, one in estimates.items()
    ]
    return {"estimates": rows, "paragraph": text, "experiments": len(results)}


def save_plot(path: Path, results: Sequence[Result], estimates: Estimates) -> None:
    """One row a length, one column a score; PNG."""
    lengths, numbers = lengths_of(results), numbers_of(results)
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(3.8 * len(SCORES), 2.9 * len(lengths) + 0.4), layout="constrained")
        grid = figure.subplots(len(lengths), len(SCORES), squeeze=False, sharex=True)
        for row, frames in zip(grid, lengths, strict=True):
            for axis, (name, kind) in zip(row, SCORES.items(), strict=True):
                for index, series in enumerate(SERIES):
                    cells = {h: estimates.get(Cell(name, series, frames, h)) for h in numbers}
                    shown = {numbers[h]: kind.unscaled(one) for h, one in cells.items() if one}
                    _draw(axis, series, shown, index - 1)
                axis.set_title(f"{kind.title}, {frames} frames", loc="left")
                _dress(axis, kind, numbers)
        for axis in grid[-1]:
            axis.set_xlabel("latent numbers a frame (f)")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(SERIES), frameon=False)
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format="png")


def _draw(axis: Axes, series: str, points: Mapping[int, Estimate], offset: int) -> None:
    x = [number * 1.04**offset for number in points]  # beside each other
    y = [one.value for one in points.values()]
    spread = [[one.value - one.low for one in points.values()], [one.high - one.value for one in points.values()]]
    line = "--" if series == "given" else "-"
    axis.errorbar(x, y, spread, label=LABELS[series], color=COLOURS[series], fmt=f"o{line}", markersize=4, capsize=3)


def _dress(axis: Axes, kind: ScoreKind, numbers: Mapping[int, int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(numbers.values()), [f"{number}\n(f = {2**h})" for h, number in numbers.items()])
    axis.minorticks_off()
    axis.set_ylabel("higher is better" if kind.more_is_better else "lower is better")
    if kind.share:
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    else:
        axis.set_yscale("log")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _gain(kind: ScoreKind, difference: Estimate) -> Estimate:
    """A difference, positive where the first is better."""
    if kind.more_is_better:
        return difference
    return Estimate(-difference.value, -difference.high, -difference.low, difference.seeds)


def _with_interval(one: Estimate, kind: ScoreKind) -> str:
    if kind.share:
        return f"{one.value:.0%} [{100 * one.low:.0f}, {100 * one.high:.0f}]"
    shown = kind.unscaled(one)
    return f"{shown.value:.1f} [{shown.low:.1f}, {shown.high:.1f}]"


def _difference(one: Estimate, kind: ScoreKind) -> str:
    if kind.share:
        return f"{100 * one.value:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}] points"
    factor = kind.unscaled(one)
    value, *ends = (f"{x:,.0f}" if x >= 10 else f"{x:.2g}" for x in (factor.value, factor.low, factor.high))
    return f"a factor of {value} [{', '.join(ends)}]"


def _and(words: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
