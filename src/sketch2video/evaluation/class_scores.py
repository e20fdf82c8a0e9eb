"""How certain a judge is of the classes of generated clips, and how varied these are, as published for Sprites.

Zhu et al. 2020, "S3VAE", Han et al. 2021, "Disentangled Recurrent Wasserstein Autoencoder", and Bai et al. 2021,
"Contrastively Disentangled Sequential Variational Autoencoder", report the inception score, H(y|x) and H(y) of the
predictions of a classifier that was trained on real clips. Here it is the judge of the data's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.evaluation.scores import LEAST_CLIPS, Score
from sketch2video.judges.faithfulness import JOINT, faithfulness
from sketch2video.judges.verdict import Verdict
from sketch2video.scoring.metrics import bootstrap_interval, class_entropies, inception_score

CLASS = "label"
"""Name in scores of the classes in the column ``label``, where several labels make them up."""

MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "inception": lambda p: inception_score(p, splits=1)[0],
    "h_yx": lambda p: class_entropies(p)[0],
    "h_y": lambda p: class_entropies(p)[1],
}
"""Measures of probabilities (N, classes), by the beginnings of the scores' names."""


def class_groups(asked: pd.DataFrame, classes: pd.Series) -> dict[str, list[str]]:
    """What :func:`class_scores` scores: each label alone, and as ``CLASS`` the labels that make up the classes.

    These are the labels whose word follows from the class, if the class follows from their words, too: action and
    direction of "walk left". There are none where ``label`` names each clip, or is one of the labels.

    Args:
        asked: the words of N clips, a column for each label.
        classes: the column ``label`` of these clips; may be null.
    """
    groups = {str(label): [str(label)] for label in asked}
    known = classes.notna()
    words = asked[known].astype(object)
    parts = [str(label) for label in asked if (words[label].groupby(classes[known]).nunique(dropna=False) == 1).all()]
    if known.any() and len(parts) > 1 and CLASS not in groups:
        combinations = words[parts].dropna().drop_duplicates()
        if len(combinations) == classes[known][words[parts].notna().all(axis=1)].nunique():
            groups[CLASS] = parts
    return groups


def class_scores(
    generated: Verdict,
    real: Verdict,
    asked: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    bootstrap: int,
    protocol: dict[str, Any],
    suffix: str = "",
) -> dict[str, Score]:
    """How certain and how varied the words are that a judge finds.

    ``inception_<name>``, ``h_yx_<name>`` and ``h_y_<name>`` are the inception score with one split, H(y|x) and H(y)
    (:func:`~sketch2video.scoring.metrics.class_entropies`, nats). Of several labels the classes are the combinations of
    their words, and ``accuracy_<name>`` is the share of clips with the whole combination that was asked for. The floor
    is the same score of the real clips. A clip without a word does not count.

    Args:
        generated, real: verdicts for the same N captions.
        asked: the words of the N clips, a column for each label; null where a clip has none.
        groups: names and labels, see :func:`class_groups`. Groups of fewer than ``LEAST_CLIPS`` clips, and combinations
            of more classes than clips, are left out.
        bootstrap: number of resamples for intervals; below 2 there are none.
        protocol: protocol of the scores.
        suffix: end of the names.
    """
    scores = {}
    for name, labels in groups.items():
        counts = asked[list(labels)].notna().all(axis=1).to_numpy()
        number = int(counts.sum())
        classes = int(np.prod([len(generated.vocabulary[label]) for label in labels]))
        if number < LEAST_CLIPS or (len(labels) > 1 and classes > number):
            continue
        mine, true = (verdict.only(list(labels)).joint_probabilities()[counts] for verdict in (generated, real))
        about = protocol | {"name": name, "labels": list(labels), "clips": number, "classes": classes, "splits": 1}
        for measure, of in MEASURES.items():
            interval = bootstrap_interval(of, mine, resamples=bootstrap) if bootstrap >= 2 else None
            unit = {} if measure == "inception" else {"unit": "nats"}
            scores[f"{measure}_{name}{suffix}"] = Score(
                of(mine), interval, of(true), about | unit | {"interval": "bootstrap"}
            )
        if len(labels) > 1:
            words = asked[list(labels)][counts]
            share, floor = (
                faithfulness(verdict.only(list(labels)).of(counts), words)[JOINT] for verdict in (generated, real)
            )
            scores[f"accuracy_{name}{suffix}"] = Score(
                share.value, share.interval, floor.value, about | {"interval": "Wilson"}
            )
    return scores


def scored_groups(scores: Mapping[str, Score]) -> dict[str, Score]:
    """The groups of labels that :func:`class_scores` scored, with the inception score of clips from text."""
    found = {name: score for name, score in scores.items() if name.startswith("inception_")}
    groups = dict.fromkeys(str(score.protocol["name"]) for score in found.values())
    return {name: scores[f"inception_{name}"] for name in groups}


def measures_of(scores: Mapping[str, Score], name: str, suffix: str = "") -> dict[str, Score]:
    """``accuracy`` and ``MEASURES`` of a group of labels, real clips' values as floors; empty if it is not scored.

    The accuracy is the share of clips with the words that were asked for: of a single label its faithfulness.

    Args:
        scores: scores by name.
        name: name of the group.
        suffix: end of the names of a way to generate.
    """
    if f"inception_{name}{suffix}" not in scores:
        return {}
    accuracy = scores.get(f"accuracy_{name}{suffix}")
    if accuracy is None:
        accuracy = replace(scores[f"faithfulness_{name}{suffix}"], floor=scores[f"judge_accuracy_{name}"].value)
    return {"accuracy": accuracy} | {measure: scores[f"{measure}_{name}{suffix}"] for measure in MEASURES}
