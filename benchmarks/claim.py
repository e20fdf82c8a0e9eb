"""Estimates from the bottleneck experiments with intervals, as a table and as JSON.

An estimate is the mean over seeds. Its 95% interval has two parts, whose half-widths are added as squares:

- the chance in a training: t · s / √n, with the standard deviation s over seeds, pooled over all bottlenecks and
  lengths of a score and a system, since two seeds alone hardly determine it;
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
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from benchmarks.axes import AXES, Axis, Bottleneck
from benchmarks.tables import as_table


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
LEVEL = 0.95
LEAST = 1.0
"""Lower bound of distances before the logarithm: floors are about zero, and may be negative."""


@dataclass(frozen=True)
class Result:
    """One experiment: both systems behind one bottleneck, on clips of one length, with one seed.

    Attributes:
        found: ``systems``: for each its ``scores`` and ``protocol``; ``numbers``: latent numbers a frame; ``rate``:
            frames a second of the clips, the median; ``key``: of code and parameters.
    """

    frames: int
    bottleneck: Bottleneck
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
    bottleneck: Bottleneck


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
                    cells.setdefault(Cell(score, series, result.frames, result.bottleneck), []).append(scaled)
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
    """All estimates as a Markdown table: one row a bottleneck and length."""
    head = ["frames", "f", "frames a latent", "latents a second", "numbers a frame"]
    head += [f"{name}, {LABELS[series]}" for name in SCORES for series in SERIES]
    rows = []
    for frames in lengths_of(results):
        rate = rate_of(results, frames)
        for bottleneck, numbers in numbers_of(results).items():
            size = bottleneck.frames_per_latent
            cells = [
                (estimates.get(Cell(n, s, frames, bottleneck)), kind) for n, kind in SCORES.items() for s in SERIES
            ]
            shown = [_with_interval(one, kind) if one else "–" for one, kind in cells]
            rows.append([str(frames), str(bottleneck.factor), str(size), f"{rate / size:.2g}", str(numbers), *shown])
    return as_table(head, rows) + "\n"


def lengths_of(results: Sequence[Result]) -> list[int]:
    """Lengths that there are results of, in frames."""
    return sorted({result.frames for result in results})


def rate_of(results: Sequence[Result], frames: int) -> float:
    """Frames a second of the clips of a length."""
    return statistics.median(result.found["rate"] for result in results if result.frames == frames)


def numbers_of(results: Sequence[Result]) -> dict[Bottleneck, int]:
    """Latent numbers a frame of each bottleneck that there are results of, axis by axis."""
    found = {result.bottleneck: int(result.found["numbers"]) for result in results}
    return {bottleneck: found[bottleneck] for bottleneck in chain(*AXES.values()) if bottleneck in found}


def losses_of(estimates: Estimates, name: str, frames: int, axis: Axis) -> dict[str, Estimate] | None:
    """How much worse a score is behind the last bottleneck of an axis than behind the first, for each system.

    None where one of these four is missing.
    """
    losses = {}
    for series in ("without", "with"):
        first, last = (estimates.get(Cell(name, series, frames, bottleneck)) for bottleneck in (axis[0], axis[-1]))
        if first is None or last is None:
            return None
        losses[series] = gain(SCORES[name], first.minus(last))
    return losses


def saved_of(estimates: Estimates, frames: int, axis: Axis) -> dict[str, Estimate]:
    """By how much less the last bottleneck of an axis costs with the sketch than without, for each score."""
    losses = {name: losses_of(estimates, name, frames, axis) for name in SCORES}
    return {name: one["without"].minus(one["with"]) for name, one in losses.items() if one}


def as_json(results: Sequence[Result], estimates: Estimates, text: str) -> dict[str, Any]:
    """All numbers, for programs."""
    numbers = numbers_of(results)
    rows = [
        {
            "score": cell.score,
            "series": cell.series,
            "frames": cell.frames,
            "f": cell.bottleneck.factor,
            "frames_per_latent": cell.bottleneck.frames_per_latent,
            "latents_per_second": rate_of(results, cell.frames) / cell.bottleneck.frames_per_latent,
            "numbers": numbers[cell.bottleneck],
            **asdict(SCORES[cell.score].unscaled(one)),
        }
        for cell, one in estimates.items()
    ]
    return {"estimates": rows, "summary": text, "experiments": len(results)}


def gain(kind: ScoreKind, difference: Estimate) -> Estimate:
    """A difference, positive where the first is better."""
    if kind.more_is_better:
        return difference
    return Estimate(-difference.value, -difference.high, -difference.low, difference.seeds)


def _with_interval(one: Estimate, kind: ScoreKind) -> str:
    if kind.share:
        return f"{one.value:.0%} [{100 * one.low:.0f}, {100 * one.high:.0f}]"
    shown = kind.unscaled(one)
    return f"{shown.value:.1f} [{shown.low:.1f}, {shown.high:.1f}]"
