"""From verdicts of the judges to scores with interval, floor and protocol."""

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
"""Minimum number of clips for distances of sets, with four clips in each half."""

DISTANCES = {"fvd": frechet_distance, "kvd": kernel_distance}
"""Distances of sets of features by the beginnings of the scores' names."""

EMBEDDED, LABELS = "embedded", "labels"
"""Ends of the names of distances, whose features they compare: the embedded judge's, or the data's own judge's."""

OUT_OF_DOMAIN = "_out_of_domain"
"""End of the names of metrics whose network does not know such clips."""


@dataclass(frozen=True)
class Score:
    """A score.

    Attributes:
        value: the value.
        interval: 95% interval: Wilson's for shares, by bootstrap otherwise; None if there is none.
        floor: the same score of real clips alone; of a distance, between two disjoint sets of the same sizes. None if
            it is undefined.
        protocol: the data and settings of the score; ``domain`` if its network does not know such clips.
    """

    value: float
    interval: tuple[float, float] | None = None
    floor: float | None = None
    protocol: dict[str, Any] = field(default_factory=dict)

    @property
    def out_of_domain(self) -> bool:
        """Whether the score's network was trained on other clips, so that its features mean little."""
        return "domain" in self.protocol


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        scores: scores by name.
        left_out: scores that could not be computed, with the reason.
        seconds_per_clip: wall time for each clip by stage, for each way to generate, and as ``alone`` for clips from
            text in batches of one. It depends on the machine and varies, so it is not a metric.
        protocol: the common protocol of all scores.
        size: ``parameters`` of the networks, and ``latent_numbers``, the number of latent values of a frame, if the
            system has a latent.
        examples: clips in ``examples/``, each with ``clip_id``, ``caption`` and the files ``generated`` and ``real``.
        made: machine, date and commit (:func:`~sketch2video.evaluation.provenance.provenance`); empty: not recorded.
        judge: description of the judge that was trained for the data's labels
            (:class:`~sketch2video.judges.trained.description.JudgeDescription`); empty: there is none.
    """

    scores: dict[str, Score]
    left_out: dict[str, str]
    seconds_per_clip: dict[str, dict[str, float]]
    protocol: dict[str, Any]
    size: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    made: str = ""
    judge: dict[str, Any] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """All numbers by name; floors as ``<name>_floor``. Names of scores out of domain end in ``OUT_OF_DOMAIN``."""
        named = {f"{name}{OUT_OF_DOMAIN if s.out_of_domain else ''}": s for name, s in self.scores.items()}
        floors = {f"{name}_floor": s.floor for name, s in named.items() if s.floor is not None}
        return {name: s.value for name, s in named.items()} | floors

    def seconds(self) -> dict[str, float]:
        """Wall time of a clip from text: ``seconds_batch`` in batches, ``seconds_alone`` in batches of one."""
        ways = {"seconds_batch": "text", "seconds_alone": "alone"}
        return {name: sum(self.seconds_per_clip[way].values()) for name, way in ways.items()}


def spread_evenly(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """At most ``number`` rows, as evenly as possible over labels (over captions without labels).

    First one clip of each label, then a second of each, and so on; the order depends on the clips' ids alone.
    """
    keyed = _keyed(table)
    keyed["_rank"] = keyed.groupby("_label").cumcount()
    chosen = keyed.sort_values(["_rank", "_label"], kind="stable").head(number)
    return chosen.drop(columns=["_order", "_label", "_rank"]).reset_index(drop=True)


def halves(rows: pd.DataFrame) -> np.ndarray:
    """The rows of the first of two halves with (almost) equal numbers of clips of each label: (N,) bool."""
    first = np.zeros(len(rows), bool)
    first[_keyed(rows.reset_index(drop=True)).sort_values(["_label", "_order"]).index[::2]] = True
    return first


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    order = table["clip_id"].map(lambda clip_id: hashlib.sha256(clip_id.encode()).hexdigest())
    return table.assign(_order=order, _label=table["label"].fillna(table["caption"])).sort_values("_order")


def share_scores(
    prefix: str, verdict: Verdict, requested: pd.DataFrame, protocol: dict[str, Any], suffix: str = ""
) -> dict[str, Score]:
    """``<prefix>_<attribute><suffix>`` for every attribute and ``joint``: share of clips with the requested words.

    A clip without a word does not count for that attribute; ``joint`` asks for the words that a clip has.
    """
    return {
        f"{prefix}_{name}{suffix}": Score(
            share.value, share.interval, protocol=protocol | {"clips": share.total, "interval": "Wilson"}
        )
        for name, share in faithfulness(verdict, requested, joint_of_asked=True).items()
    }


def distance_scores(
    generated: Verdict,
    real: Verdict,
    first: np.ndarray,
    bootstrap: int,
    protocol: dict[str, Any],
    features: str = EMBEDDED,
) -> dict[str, Score]:
    """``fvd_<features>`` and ``kvd_<features>`` between generated and real clips of the same captions.

    Both sets are divided into the same halves. The clips generated for one half are compared with the real clips of the
    *other* half, and the score is the mean of both comparisons: no generated clip is compared with the real clip of its
    own caption, and the floor, between the two real halves, has the same sizes and captions.

    Args:
        generated, real: verdicts for the same N captions.
        first: see :func:`halves`.
        bootstrap: number of resamples for the interval; below 2 there is none.
        protocol: protocol of the scores.
        features: whose features the verdicts have, ``EMBEDDED`` or ``LABELS``.
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

        def crossed(a: np.ndarray, b: np.ndarray, real_a: np.ndarray, real_b: np.ndarray, d: Any = distance) -> float:
            return 0.5 * (d(a, real_b) + d(b, real_a))

        scores[f"{name}_{features}"] = Score(
            value=crossed(*sets),
            interval=bootstrap_interval(crossed, *sets, resamples=bootstrap) if bootstrap >= 2 else None,
            floor=distance(sets[2], sets[3]),
            protocol=protocol | sizes,
        )
    return scores


def inception_scores(name: str, verdict: Verdict, bootstrap: int, protocol: dict[str, Any]) -> dict[str, Score]:
    """The inception score over the judge's combinations of words, with one split."""
    p = verdict.joint_probabilities()

    def score(probabilities: np.ndarray) -> float:
        return inception_score(probabilities, splits=1)[0]

    about = {"clips": len(p), "classes": p.shape[1], "splits": 1, "interval": "bootstrap"}
    interval = bootstrap_interval(score, p, resamples=bootstrap) if bootstrap >= 2 else None
    return {name: Score(score(p), interval, protocol=protocol | about)}


def steadiness_scores(
    generated: Steadiness, real: Steadiness, bootstrap: int, protocol: dict[str, Any]
) -> dict[str, Score]:
    """``flicker``, ``background_drift``, ``sharpness_ratio`` and ``motion_ratio``, if they are defined.

    The floor is the score of the real clips; for the two ratios it is 1, and the mean of the real clips is in the
    protocol as ``real``.

    Args:
        generated, real: measures for the same N captions.
        bootstrap: number of resamples for the interval, with pairs of clips of one caption; below 2 there is none.
        protocol: protocol of the scores.
    """
    scores = {}
    for name in ("flicker", "background_drift"):
        about = protocol | {"unit": "share of the full range"}
        score = mean_score(getattr(generated, name), getattr(real, name), bootstrap, about)
        if score is not None:
            scores[name] = score
    for name, unit in (("sharpness", "full ranges a pixel"), ("motion", "frame widths a frame")):
        pairs = np.stack([getattr(generated, name), getattr(real, name)], 1)
        if pairs[:, 1].any():
            about = {"clips": len(pairs), "real": mean(pairs[:, 1]), "unit": unit, "interval": "bootstrap"}
            interval = spread(lambda both: ratio(both[:, 0], both[:, 1]), pairs, bootstrap)
            scores[f"{name}_ratio"] = Score(ratio(*pairs.T), interval, 1.0, protocol | about)
    return scores


def mean_score(generated: np.ndarray, real: np.ndarray, bootstrap: int, protocol: dict[str, Any]) -> Score | None:
    """The mean of a measure over the clips where it is defined, with that of real clips as its floor.

    Args:
        generated, real: (N,), NaN where the measure is undefined.
        bootstrap: number of resamples of clips for the interval; below 2 there is none.
        protocol: protocol of the score.

    Returns:
        None if the measure is undefined for all generated clips.
    """
    values, true = (of_clips[~np.isnan(of_clips)] for of_clips in (generated, real))
    if not len(values):
        return None
    about = protocol | {"clips": len(values), "interval": "bootstrap"}
    return Score(mean(values), spread(mean, values, bootstrap), mean(true) if len(true) else None, about)


def spread(statistic: Callable[[np.ndarray], float], sample: np.ndarray, bootstrap: int) -> tuple[float, float] | None:
    """The bootstrap interval of a statistic.

    Args:
        statistic: from samples to a number.
        sample: (N, ...).
        bootstrap: number of resamples.

    Returns:
        Lower and upper bound; None if there are fewer than two resamples, or the statistic of one is undefined.
    """
    if bootstrap < 2:
        return None
    interval = bootstrap_interval(statistic, sample, resamples=bootstrap)
    return interval if np.isfinite(interval).all() else None


def peak_signal_to_noise(clips: np.ndarray, references: np.ndarray) -> np.ndarray:
    """PSNR of each clip in dB: uint8 (N, ...) against uint8 (N, ...) gives (N,); equal clips give 100."""
    difference = (clips.astype(np.float64) - references).reshape(len(clips), -1)
    return 10 * np.log10(255.0**2 / (difference**2).mean(1).clip(255.0**2 * 1e-10))
