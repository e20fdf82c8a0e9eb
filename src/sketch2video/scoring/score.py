"""Scores for any two sets of videos: ``sketch2video score REAL GENERATED``.

Each score has its protocol, the number of videos of both sets, a bootstrap interval, and a floor: the same distance
between two halves of the real videos. A Fréchet distance is biased upwards for few samples, and the floor has half as
many as the score; so the score is also computed at the floor's size, for comparison with the floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.errors import UserError
from sketch2video.judges.faithfulness import faithfulness, known_words
from sketch2video.judges.trained.video_judge import short_name
from sketch2video.judges.verdict import Verdict
from sketch2video.scoring.control_extractor import measures_of
from sketch2video.scoring.features import Extractor, FeatureSet, Video, extract, refuse_other_protocol
from sketch2video.scoring.fidelity import MEASURES
from sketch2video.scoring.metrics import bootstrap_interval, inception_score
from sketch2video.scoring.statistics import RowDistance, frechet_of_rows, kernel_of_rows

LEAST_VIDEOS_FOR_A_FLOOR = 4
"""Minimum number of real videos: two in each half, for a covariance."""

EMBEDDED_DOMAIN = "features trained on the synthetic scenes with one object; on other videos only a check"
"""In the protocol of scores of the embedded judge, which cannot tell what the videos show."""


@dataclass(frozen=True)
class SetScore:
    """A score of two sets, or of one.

    Attributes:
        value: score of all videos.
        interval: 95% bootstrap interval; None without bootstrap.
        real, generated: numbers of videos; None for a set that is not used.
        floor: the same distance between two disjoint halves of the real videos; None if there is none.
        at_floor_size: the distance between as many generated videos as a half has (or all, if they are fewer) and each
            half, averaged.
        floor_size: number of videos in a half.
        protocol: protocol of the features.
    """

    value: float
    interval: tuple[float, float] | None
    real: int | None
    generated: int | None
    floor: float | None = None
    at_floor_size: float | None = None
    floor_size: int | None = None
    protocol: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRequest:
    """A network and the scores to be computed from its features.

    Attributes:
        extractor: the network.
        distances: distances by the score's name.
        inception: name of the inception score, if the features are probabilities.
        splits: number of splits of the inception score.
        captions: for CLIPSIM: from captions to embeddings; videos without a caption are then ignored.
        words: for faithfulness: the words of each label, whose indices are the features.
        drawings: whether the features are measures of how drawings are followed; generated videos without one are then
            left out.
        domain: what the network knows, if that is not any video; it marks the distances.
    """

    extractor: Extractor
    distances: dict[str, RowDistance] = field(default_factory=dict)
    inception: str | None = None
    splits: int = 1
    captions: Callable[[Sequence[str]], np.ndarray] | None = None
    words: Mapping[str, Sequence[str]] | None = None
    drawings: bool = False
    domain: str | None = None


FVD_AND_KVD: dict[str, RowDistance] = {"fvd": frechet_of_rows, "kvd": kernel_of_rows}


def score_sets(
    real: Sequence[Video],
    generated: Sequence[Video],
    requests: Sequence[ScoreRequest],
    cache: Path,
    bootstrap: int = 100,
) -> tuple[dict[str, SetScore], dict[str, dict[str, str]]]:
    """All requested scores, by name, and the videos that could not be used, by extractor.

    Args:
        real, generated: the videos.
        requests: networks and scores.
        cache: folder of the features.
        bootstrap: number of resamples for intervals; below 2 there are none.

    Raises:
        UserError: no video of a set can be used, there are fewer than two or fewer than splits, or captions are
            missing.
    """
    if any(one.captions for one in requests) and not any(video.caption for video in generated):
        raise UserError("CLIPSIM needs captions; give the generated videos as a CSV path_to_video,caption")
    drawn = [video for video in generated if video.control]
    if any(one.drawings for one in requests) and not drawn:
        raise UserError(
            "no generated video has a drawing; give the videos as a CSV path_to_video,path_to_control, or as a folder"
            " that `sketch2video generate` wrote"
        )
    scores: dict[str, SetScore] = {}
    left_out: dict[str, dict[str, str]] = {}
    for one in requests:
        real_features = extract(one.extractor, real, cache, "real")
        features = extract(one.extractor, drawn if one.drawings else generated, cache, "generated")
        left_out[one.extractor.protocol.extractor] = real_features.left_out | features.left_out
        if one.drawings:
            bare = {str(video.path): "has no drawing" for video in generated if not video.control}
            left_out[one.extractor.protocol.extractor] |= bare
            scores |= _control(real_features, features, bootstrap)
        for name, distance in one.distances.items():
            score = compare(real_features, features, distance, bootstrap)
            about = {"domain": one.domain} if one.domain else {}
            scores[name] = replace(score, protocol=score.protocol | about)
        if one.inception:
            scores[one.inception] = _inception(features, one.splits, bootstrap, real=False)
            scores[f"{one.inception}_real"] = _inception(real_features, one.splits, bootstrap, real=True)
        if one.captions:
            scores |= _clipsim(real_features, features, one.captions, bootstrap)
        if one.words:
            scores |= _faithfulness(real_features, features, one.words)
    return scores, left_out


def compare(real: FeatureSet, generated: FeatureSet, distance: RowDistance, bootstrap: int = 100) -> SetScore:
    """A distance between two sets, with interval and floor.

    Raises:
        UserError: the sets' protocols differ, or a set has fewer than two videos.
    """
    refuse_other_protocol(real.protocol, generated.protocol)
    for side, features in (("real", real), ("generated", generated)):
        if len(features) < 2:
            raise UserError(f"the {side} set has {len(features)} usable video; a distance needs at least 2 a side")

    def between(rows_real: np.ndarray, rows_generated: np.ndarray) -> float:
        return distance(real.features, generated.features, rows_real, rows_generated)

    every = np.arange(len(real)), np.arange(len(generated))
    value = between(*every)
    interval = bootstrap_interval(between, *every, resamples=bootstrap) if bootstrap >= 2 else None
    protocol = asdict(real.protocol)
    if len(real) < LEAST_VIDEOS_FOR_A_FLOOR:
        return SetScore(value, interval, len(real), len(generated), protocol=protocol)
    size = len(real) // 2
    order = in_order_of_content(real)
    first, second = order[:size], order[size : 2 * size]
    some = in_order_of_content(generated)[:size]
    floor = distance(real.features, real.features, first, second)
    matched = 0.5 * (between(first, some) + between(second, some))
    return SetScore(value, interval, len(real), len(generated), floor, matched, size, protocol)


def in_order_of_content(features: FeatureSet) -> np.ndarray:
    """Rows in the order of their videos' hashes: pseudorandom, the same on every machine, copies side by side."""
    return np.argsort(np.array(features.hashes), kind="stable")


def table(scores: dict[str, SetScore]) -> str:
    """Scores as lines of text; a dagger marks those of networks that know certain videos only, explained below."""
    header = ("score", "value", "95% interval", "real", "generated", "floor", "at floor's size", "protocol")
    rows: list[tuple[str, ...]] = [header]
    for name, one in scores.items():
        interval = "" if one.interval is None else f"{_short(one.interval[0])} to {_short(one.interval[1])}"
        floor = "" if one.floor is None else f"{_short(one.floor)} (2 × {one.floor_size})"
        numbers = ["" if n is None else str(n) for n in (one.real, one.generated)]
        matched = "" if one.at_floor_size is None else _short(one.at_floor_size)
        p = one.protocol
        protocol = f"{p['extractor']}, {p['frames']} frames ({p['sampling']}), {p['resize']} to {p['size']}"
        marked = f"{name} †" if "domain" in p else name
        rows.append((marked, _short(one.value), interval, *numbers, floor, matched, protocol))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    domains = dict.fromkeys(one.protocol["domain"] for one in scores.values() if "domain" in one.protocol)
    return "\n".join([*lines, *(f"† {domain}" for domain in domains)])


def as_json(
    scores: dict[str, SetScore], left_out: dict[str, dict[str, str]], sources: dict[str, str]
) -> dict[str, Any]:
    """Content of the command's JSON file: scores with their protocols; null for numbers that are not finite."""
    return {
        "sources": sources,
        "scores": {name: _finite(asdict(one)) for name, one in scores.items()},
        "left_out": left_out,
    }


def _finite(value: Any) -> Any:
    """A value for JSON, which has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _inception(features: FeatureSet, splits: int, bootstrap: int, real: bool) -> SetScore:
    """The inception score of one set; with several splits, the mean over them."""
    if splits > len(features):
        side = "real" if real else "generated"
        raise UserError(f"{splits} splits need as many {side} videos, there are {len(features)}; choose fewer splits")
    p = np.asarray(features.features, np.float64)
    p = p / p.sum(1, keepdims=True)

    def value_of(rows: np.ndarray) -> float:
        return inception_score(p[rows], splits)[0]

    rows = np.arange(len(features))
    mean, spread = inception_score(p, splits)
    interval = bootstrap_interval(value_of, rows, resamples=bootstrap) if bootstrap >= 2 else None
    counts = {"real": len(features) if real else None, "generated": None if real else len(features)}
    protocol = asdict(features.protocol) | {"splits": splits, "deviation_over_splits": spread}
    return SetScore(mean, interval, **counts, protocol=protocol)


def _clipsim(
    real: FeatureSet, generated: FeatureSet, embed: Callable[[Sequence[str]], np.ndarray], bootstrap: int
) -> dict[str, SetScore]:
    """CLIPSIM (Wu et al. 2021, "GODIVA"): the mean cosine of frames and caption, of generated and of real videos."""
    scores = {}
    for name, features in (("clipsim", generated), ("clipsim_real", real)):
        rows = [row for row, video in enumerate(features.videos) if video.caption]
        if not rows:
            continue
        captions = embed([str(features.videos[row].caption) for row in rows])
        cosines = (np.asarray(features.features[rows], np.float64) * captions).sum(1)
        interval = bootstrap_interval(_mean, cosines, resamples=bootstrap) if bootstrap >= 2 else None
        side = "generated" if features is generated else "real"
        counts = {"real": None, "generated": None, side: len(rows)}
        scores[name] = SetScore(_mean(cosines), interval, **counts, protocol=asdict(features.protocol))
    return scores


def _faithfulness(real: FeatureSet, generated: FeatureSet, words: Mapping[str, Sequence[str]]) -> dict[str, SetScore]:
    """Shares of videos with the words of their labels, in the generated and, as ``judge_accuracy``, in the real set.

    Intervals are Wilson's. A video without a word, or with one that the judge does not know, does not count for that
    label; ``joint`` asks for the words that a video has.

    Raises:
        UserError: no generated video has a label that the judge knows.
    """
    scores = {}
    for prefix, features in (("faithfulness", generated), ("judge_accuracy", real)):
        found = np.asarray(features.features).round().astype(int)
        probabilities = {label: np.eye(len(known))[found[:, n]] for n, (label, known) in enumerate(words.items())}
        labels = [dict(video.labels) for video in features.videos]
        asked = known_words(pd.DataFrame({name: [one.get(name) for one in labels] for name in words}), words)
        shares = faithfulness(Verdict(probabilities, found, words), asked, joint_of_asked=True)
        if features is generated and not shares:
            raise UserError(
                f"no generated video has a word that the judge knows; give the videos as a CSV"
                f" path_to_video,{','.join(words)}"
            )
        side = "generated" if features is generated else "real"
        for name, share in shares.items():
            counts = {"real": None, "generated": None, side: share.total}
            protocol = asdict(features.protocol) | {"interval": "Wilson"}
            scores[f"{prefix}_{short_name(name)}"] = SetScore(share.value, share.interval, **counts, protocol=protocol)
    return scores


def _control(real: FeatureSet, generated: FeatureSet, bootstrap: int) -> dict[str, SetScore]:
    """How drawings are followed, see :mod:`sketch2video.scoring.fidelity`; undefined scores are left out.

    ``control_px`` is the distance of lines that drawing and video both have, ``control_found`` the share of the
    drawing's lines that the video has, ``control_f1`` the F1 score of lines within 1 px; with ``_real`` those of the
    real videos.
    """
    scores = {}
    for name, measure in MEASURES.items():
        for side, features in (("generated", generated), ("real", real)):
            values = measure(measures_of(features.features))
            values = values[~np.isnan(values)]
            if not len(values):
                continue
            interval = bootstrap_interval(_mean, values, resamples=bootstrap) if bootstrap >= 2 else None
            counts = {"real": None, "generated": None, side: len(values)}
            ending = "_real" if features is real else ""
            scores[f"{name}{ending}"] = SetScore(_mean(values), interval, **counts, protocol=asdict(features.protocol))
    return scores


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
