"""What the estimates of the bottleneck experiments show, in words that follow from them by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from benchmarks.axes import AXES, Axis, Bottleneck
from benchmarks.claim import (
    SCORES,
    Cell,
    Estimate,
    Estimates,
    Result,
    ScoreKind,
    gain,
    lengths_of,
    losses_of,
    numbers_of,
    saved_of,
)

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

MORE_OR_LESS = {1: "more", -1: "less", 0: "not significantly more or less"}


def summary(results: Sequence[Result], estimates: Estimates, missing: Sequence[str] = ()) -> str:
    """Paragraphs on the setting, on clips of each length, and on the claim.

    Args:
        results, estimates: see :func:`~benchmarks.claim.estimate`.
        missing: names of the experiments without a result.
    """
    lengths, bottlenecks = lengths_of(results), list(numbers_of(results))
    paragraphs = [[_setting(results, missing)]]
    for frames in lengths:
        along = [
            (_losses(estimates, frames, name, axis), _substitution(estimates, frames, axis))
            for name, axis in AXES.items()
        ]
        compared = _axes_compared(estimates, frames, AXES["space"], AXES["time"])
        little = _little(estimates, frames, AXES["space"][0])
        paragraphs.append([*chain(*along), compared, little, _advantages(estimates, frames, bottlenecks)])
    claim = (
        "The paper's claim, that a sketch allows a tighter bottleneck for long sequences, requires that a tighter one "
        "cost less with the sketch than without."
    )
    paragraphs.append([claim, *(_verdict(estimates, lengths, name, axis) for name, axis in AXES.items())])
    return "\n\n".join(filter(None, (" ".join(filter(None, sentences)) for sentences in paragraphs)))


def _setting(results: Sequence[Result], missing: Sequence[str]) -> str:
    protocol = results[0].found["systems"]["text_ldm"]["protocol"]
    seeds = sorted({result.seed for result in results})
    text = (
        f"Both systems were trained alike, with {_count(len(seeds), 'seed')}, and each generated {protocol['clips']} "
        "clips for the same held-out captions; brackets hold 95% intervals over the chance in clips and in trainings. "
        "Behind f8t4 each side of a frame is 8 times as long as that of its latent, and 4 frames share a latent."
    )
    if len(seeds) == 1:
        text += " With one seed the chance in trainings is left out, and intervals are too narrow."
    if missing:
        text += f" Not all is there, and what follows may change: {', '.join(missing)} missing."
    if len({result.found["key"]["code"] for result in results}) > 1:
        text += " The points were not all made by the same code."
    return text


def _losses(estimates: Estimates, frames: int, name: str, axis: Axis) -> str:
    """The loss of quality by the tightest bottleneck of an axis, with the sketch and without."""
    phrases = {1: "less with the sketch", 0: "without a significant difference", -1: "more with the sketch"}
    clauses = []
    for score, kind in SCORES.items():
        losses = losses_of(estimates, score, frames, axis)
        if losses is None:
            continue
        saved = losses["without"].minus(losses["with"])
        clauses.append(
            f"{kind.title} by {_difference(losses['without'], kind)} without the sketch and by "
            f"{_difference(losses['with'], kind)} with it ({phrases[saved.sign]}: {_difference(saved, kind)})"
        )
    if not clauses:
        return ""
    ends = f"from {axis[0]} to {axis[-1]}"
    return f"In clips of {frames} frames these get worse along {name}, {ends}: {'; '.join(clauses)}."


def _substitution(estimates: Estimates, frames: int, axis: Axis) -> str:
    """Whether the tightest bottleneck of an axis with the sketch is as good as the widest one without."""
    phrases = {1: "better by", 0: "not significantly different by", -1: "worse by"}
    groups: dict[int, list[str]] = {}
    for name, kind in SCORES.items():
        tight = estimates.get(Cell(name, "with", frames, axis[-1]))
        wide = estimates.get(Cell(name, "without", frames, axis[0]))
        if tight and wide:
            groups.setdefault(gain(kind, tight.minus(wide)).sign, []).append(kind.title)
    clauses = [f"{words} {_and(groups[sign])}" for sign, words in phrases.items() if sign in groups]
    return f"And {axis[-1]} with the sketch is, beside {axis[0]} without it, {_and(clauses, ', ')}." if clauses else ""


def _little(estimates: Estimates, frames: int, widest: Bottleneck) -> str:
    """The shares that are small without the sketch even behind the widest bottleneck."""
    small = [
        f"{kind.title} is {one.value:.0%}"
        for name, kind in SCORES.items()
        if kind.share and (one := estimates.get(Cell(name, "without", frames, widest))) and one.value < LITTLE
    ]
    return f"Without the sketch there was little to lose: behind {widest} {_and(small)}." if small else ""


def _advantages(estimates: Estimates, frames: int, bottlenecks: Sequence[Bottleneck]) -> str:
    """Where a score is better with the sketch than without, behind the same bottleneck."""
    groups: dict[int, list[str]] = {}
    for name, kind in SCORES.items():
        places: dict[int, list[str]] = {}
        for bottleneck in bottlenecks:
            pair = [estimates.get(Cell(name, series, frames, bottleneck)) for series in ("with", "without")]
            if pair[0] and pair[1]:
                places.setdefault(gain(kind, pair[0].minus(pair[1])).sign, []).append(str(bottleneck))
        for sign, found in places.items():
            groups.setdefault(sign, []).append(f"{kind.title} at {_and(found)}")
    phrases = {1: "better with it", 0: "not significantly different", -1: "worse with it"}
    clauses = [f"{words}: {', '.join(groups[sign])}" for sign, words in phrases.items() if sign in groups]
    return f"Behind the same bottleneck, {'; '.join(clauses)}." if clauses else ""


def _axes_compared(estimates: Estimates, frames: int, space: Axis, time: Axis) -> str:
    """Along which axis the sketch saves more.

    Both axes begin at the same bottleneck, so that the difference of what is saved is one between the tightest alone.
    """
    return _more_or_less(
        saved_of(estimates, frames, (space[-1], time[-1])),
        "Along time the sketch saves, compared with space,",
    )


def _verdict(estimates: Estimates, lengths: Sequence[int], name: str, axis: Axis) -> str:
    """Whether the claim holds of the longest clips along an axis, and whether length matters."""
    saved = saved_of(estimates, lengths[-1], axis)
    if not saved or lengths[-1] == min(lengths):
        return f"Whether it holds for long sequences along {name} is unknown: points are missing."
    signs = {one.sign for one in saved.values()}
    groups = {sign: [SCORES[n].title for n, one in saved.items() if one.sign == sign] for sign in signs}
    phrases = {1: "it does", -1: "it costs more", 0: "the difference is not significant"}
    clauses = [f"by {_and(groups[sign])} {words}" for sign, words in phrases.items() if sign in groups]
    verdict = VERDICTS[frozenset(signs)]
    short = saved_of(estimates, lengths[0], axis)
    changes = {score: saved[score].minus(short[score]) for score in saved if score in short}
    length = _more_or_less(changes, f"There the sketch saves, compared with clips of {lengths[0]} frames,")
    return f"Along {name}, in clips of {lengths[-1]} frames, {_and(clauses, ', ')}: {verdict}. {length}".strip()


def _more_or_less(changes: Mapping[str, Estimate], beginning: str) -> str:
    """A sentence on changes of what is saved, by their signs; empty without any."""
    groups: dict[int, list[str]] = {}
    for name, change in changes.items():
        groups.setdefault(change.sign, []).append(f"{SCORES[name].title} ({_difference(change, SCORES[name])})")
    clauses = [f"{words} by {_and(groups[sign])}" for sign, words in MORE_OR_LESS.items() if sign in groups]
    return f"{beginning} {_and(clauses, ', ')}." if clauses else ""


def _difference(one: Estimate, kind: ScoreKind) -> str:
    if kind.share:
        return f"{100 * one.value:z.0f} [{100 * one.low:z.0f}, {100 * one.high:z.0f}] points"
    factor = kind.unscaled(one)
    value, *ends = (f"{x:,.0f}" if x >= 10 else f"{x:.2g}" for x in (factor.value, factor.low, factor.high))
    return f"a factor of {value} [{', '.join(ends)}]"


def _and(words: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
