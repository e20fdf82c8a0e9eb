"""From what the judges saw to scores: numbers that carry their interval, their floor and their protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.evaluation.consistency import Steadiness, mean, ratio
from sketch2video.judges.faithfulness import faithfulness
from sketch2video.judges.verdict import Verdict
from sketch2video.scoring.metrics import bootstrap_interval, frechet_distance, inception_score, kernel_distance

LEAST_CLIPS = 8
"""Fewer clips than this are not compared as sets: half of them would be under four."""

DISTANCES = {"fvd_embedded": frechet_distance, "kvd_embedded": kernel_distance}


@dataclass(frozen=True)
class Score:
    """A number and what it means.

    Attributes:
        value: the number.
        interval: 95%: Wilson's for shares, by bootstrap otherwise; None where there is none.
        floor: the same number of real clips alone; where it compares sets, between two disjoint ones of the same sizes.
            None where that means nothing.
        protocol: what it was computed from.
    """

    value: float
    interval: tuple[float, float] | None = None
    floor: float | None = None
    protocol: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        scores: by name.
        left_out: scores that could not be computed, and why.
        seconds_per_clip: wall time of sampling a clip by stage, for each way to generate, and as ``alone`` for clips
            from text that share no batch. On the machine that evaluated; never the same twice, so no metric.
        protocol: what all scores have in common.
        size: ``parameters`` of the networks, and ``latent_numbers``, those that a frame is in the latent, if the system
            has one.
        examples: clips in ``examples/``, each with ``clip_id``, ``caption`` and the files ``generated`` and ``real``.
    """

    scores: dict[str, Score]
    left_out: dict[str, str]
    seconds_per_clip: dict[str, dict[str, float]]
    protocol: dict[str, Any]
    size: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def metrics(self) -> dict[str, float]:
        """All numbers by name; floors as ``<name>_floor``."""
        floors = {f"{name}_floor": s.floor for name, s in self.scores.items() if s.floor is not None}
        return {name: s.value for name, s in self.scores.items()} | floors

    def seconds(self) -> dict[str, float]:
        """Wall time of a clip from text: ``seconds_batch`` in batches, ``seconds_alone`` by itself."""
        ways = {"seconds_batch": "text", "seconds_alone": "alone"}
        return {name: sum(self.seconds_per_clip[way].values()) for name, way in ways.items()}


def spread_evenly(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """At most ``number`` rows, as evenly as possible over labels (over captions where there are none).

    First one clip of each label, then a second of each, and so on; which one is first depends on its id alone.
    """
    keyed = _keyed(table)
    keyed["_rank"] = keyed.groupby("_label").cumcount()
    chosen = keyed.sort_values(["_rank", "_label"], kind="stable").head(number)
    return chosen.drop(columns=["_order", "_label", "_rank"]).reset_index(drop=True)


def halves(rows: pd.DataFrame) -> np.ndarray:
    """Which rows belong to the first of two halves that have (almost) equally many clips of each label: (N,) bool."""
    first = np.zeros(len(rows), bool)
    first[_keyed(rows.reset_index(drop=True)).sort_values(["_label", "_order"]).index[::2]] = True
    return first


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    order = table["clip_id"].map(lambda clip_id: hashlib.sha256(clip_id.encode()).hexdigest())
    return table.assign(_order=order, _label=table["label"].fillna(table["caption"])).sort_values("_order")


def share_scores(
    prefix: str, verdict: Verdict, asked: pd.DataFrame, protocol: dict[str, Any], suffix: str = ""
) -> dict[str, Score]:
    """``<prefix>_<attribute><suffix>`` for every attribute and for ``joint``: how many clips show the asked words."""
    return {
        f"{prefix}_{name}{suffix}": Score(
            share.value, share.interval, protocol=protocol | {"clips": share.of, "interval": "Wilson"}
        )
        for name, share in faithfulness(verdict, asked).items()
    }


def distance_scores(
    generated: Verdict, real: Verdict, first: np.ndarray, bootstrap: int, protocol: dict[str, Any]
) -> dict[str, Score]:
    """``fvd_embedded`` and ``kvd_embedded`` between generated and real clips of the same captions.

    Both sets are halved alike. The clips generated for one half are compared with the real clips of the *other* half,
    and the score is the mean over the two ways to do so: no generated clip meets the real clip that it was made from,
    and the floor, between the two real halves, has the same sizes and shows the same things.

    Args:
        generated, real: verdicts of the same N captions.
        first: :func:`halves`.
        bootstrap: resamples for the interval; below 2 there is none.
        protocol: goes with every score.
    """
    sets = [generated.features[first], generated.features[~first], real.features[first], real.features[~first]]
    sizes = {
        "clips_generated": int(first.sum()),
        "clips_real": int((~first).sum()),
        "averaged_over": 2,
        "interval": "bootstrap",
    }
    scores = {}
    for name, distance in DISTANCES.items():

        def crossed(a: np.ndarray, b: np.ndarray, real_a: np.ndarray, real_b: np.ndarray, of: Any = distance) -> float:
            return 0.5 * (of(a, real_b) + of(b, real_a))

        scores[name] = Score(
            value=crossed(*sets),
            interval=bootstrap_interval(crossed, *sets, resamples=bootstrap) if bootstrap >= 2 else None,
            floor=distance(sets[2], sets[3]),
            protocol=protocol | sizes,
        )
    return scores


def inception_scores(name: str, verdict: Verdict, bootstrap: int, protocol: dict[str, Any]) -> dict[str, Score]:
    """The inception score over the judge's combinations of words, in one part."""
    p = verdict.joint_probabilities()

    def score(probabilities: np.ndarray) -> float:
        return inception_score(probabilities, splits=1)[0]

    about = {"clips": len(p), "classes": p.shape[1], "splits": 1, "interval": "bootstrap"}
    interval = bootstrap_interval(score, p, resamples=bootstrap) if bootstrap >= 2 else None
    return {name: Score(score(p), interval, protocol=protocol | about)}


def steadiness_scores(
    generated: Steadiness, real: Steadiness, bootstrap: int, protocol: dict[str, Any]
) -> dict[str, Score]:
    """``flicker``, ``background_drift``, ``sharpness_ratio`` and ``motion_ratio``, as far as they mean anything.

    The floor is what the real clips score themselves; of the two ratios that is 1, and what it stands for is in the
    protocol as ``real``.

    Args:
        generated, real: of the same N captions.
        bootstrap: resamples for the interval, which draw a caption's two clips together; below 2 there is none.
        protocol: goes with every score.
    """
    scores = {}
    for name in ("flicker", "background_drift"):
        values, true = (of[~np.isnan(of)] for of in (getattr(generated, name), getattr(real, name)))
        if len(values):
            about = {"clips": len(values), "unit": "share of the full range", "interval": "bootstrap"}
            floor = mean(true) if len(true) else None
            scores[name] = Score(mean(values), _spread(mean, values, bootstrap), floor, protocol | about)
    for name, unit in (("sharpness", "full ranges a pixel"), ("motion", "frame widths a frame")):
        pairs = np.stack([getattr(generated, name), getattr(real, name)], 1)
        if pairs[:, 1].any():
            about = {"clips": len(pairs), "real": mean(pairs[:, 1]), "unit": unit, "interval": "bootstrap"}
            interval = _spread(lambda both: ratio(both[:, 0], both[:, 1]), pairs, bootstrap)
            scores[f"{name}_ratio"] = Score(ratio(*pairs.T), interval, 1.0, protocol | about)
    return scores


def _spread(statistic: Callable[[np.ndarray], float], sample: np.ndarray, bootstrap: int) -> tuple[float, float] | None:
    """The bootstrap's interval; None where there are too few resamples, or one of them has no such number."""
    if bootstrap < 2:
        return None
    interval = bootstrap_interval(statistic, sample, resamples=bootstrap)
    return interval if np.isfinite(interval).all() else None


def peak_signal_to_noise(clips: np.ndarray, references: np.ndarray) -> np.ndarray:
    """PSNR of each clip in dB: uint8 (N, ...) against uint8 (N, ...) gives (N,); equal clips give 100."""
    difference = (clips.astype(np.float64) - references).reshape(len(clips), -1)
    return 10 * np.log10(255.0**2 / (difference**2).mean(1).clip(255.0**2 * 1e-10))
