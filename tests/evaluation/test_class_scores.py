"""Certainty and variety of the classes that a judge finds, against definitions written out."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

from sketch2video.evaluation.class_scores import class_groups, class_scores, measures_of, scored_groups
from sketch2video.evaluation.scores import share_scores
from sketch2video.judges.verdict import Verdict

WORDS = {"action": ["slash", "walk"], "way": ["front", "left", "right"], "hair": ["green", "red"]}


def clips(number=36):
    """Words of clips in which every action goes every way, with hair of its own, and their classes."""
    table = pd.DataFrame(
        {
            "action": [WORDS["action"][i % 2] for i in range(number)],
            "way": [WORDS["way"][i % 3] for i in range(number)],
            "hair": [WORDS["hair"][i // 6 % 2] for i in range(number)],
        }
    )
    return table, table["action"] + " " + table["way"]


def verdict_of(table, certainty=1.0):
    """A judge that finds the words of a table, with a probability."""
    probabilities = {}
    for name, words in WORDS.items():
        found = np.eye(len(words))[[words.index(word) for word in table[name].fillna(words[0])]]
        probabilities[name] = (certainty * found + (1 - certainty) / len(words)).astype(np.float32)
    return Verdict(probabilities, np.zeros((len(table), 2)), WORDS)


def test_the_labels_that_make_up_the_classes_are_scored_together():
    asked, classes = clips()
    alone = {name: [name] for name in WORDS}
    assert class_groups(asked, classes) == {**alone, "label": ["action", "way"]}
    assert class_groups(asked, classes.where(asked.index % 5 > 0, None)) == {**alone, "label": ["action", "way"]}
    titles = pd.Series([f"clip {i}" for i in range(len(asked))])
    assert class_groups(asked, titles) == alone, "each clip a class of its own"
    assert class_groups(asked, asked["action"]) == alone, "a class that is one of the labels"
    assert class_groups(asked, pd.Series([None] * len(asked))) == alone
    assert class_groups(asked, classes.str[:3]) == alone, "several ways in one class"
    only = pd.DataFrame({"label": classes})
    assert class_groups(only, classes) == {"label": ["label"]}


def test_scores_are_their_definitions_with_real_clips_beside_them():
    asked, classes = clips()
    shown = asked.assign(way="left")  # a generator that knows one way only
    mine, real = verdict_of(shown, 0.9), verdict_of(asked)
    scores = class_scores(mine, real, asked, class_groups(asked, classes), 20, {"judge": "x"})
    assert scores["inception_way"].value == pytest.approx(1)
    assert scores["inception_way"].floor == pytest.approx(3)
    assert scores["h_yx_way"].value == pytest.approx(entropy([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]), rel=1e-6)
    assert scores["h_yx_way"].floor == pytest.approx(0)
    assert scores["h_y_way"].value == pytest.approx(scores["h_yx_way"].value, rel=1e-6)
    assert scores["h_y_action"].value == pytest.approx(np.log(2))
    joint = [a * b for a in (0.95, 0.05) for b in (0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3)]
    assert scores["h_yx_label"].value == pytest.approx(entropy(joint), rel=1e-6)
    assert scores["h_y_label"].floor == pytest.approx(np.log(6))
    assert scores["inception_label"].floor == pytest.approx(6)
    assert scores["accuracy_label"].value == pytest.approx(1 / 3)
    assert scores["accuracy_label"].floor == 1
    for name, score in scores.items():
        low, high = score.interval
        assert low - 1e-9 <= score.value <= high + 1e-9, name
        assert score.protocol["judge"] == "x"
        assert score.protocol["clips"] == 36
    assert scores["inception_label"].protocol["classes"] == 6
    assert "unit" not in scores["inception_label"].protocol
    assert scores["h_y_label"].protocol["unit"] == "nats"


def test_clips_without_a_word_do_not_count_and_few_clips_are_not_scored():
    asked, classes = clips()
    shown = asked.copy()
    asked.loc[asked["way"] == "front", "hair"] = None
    shown.loc[asked["hair"].isna(), "hair"] = "green"
    scores = class_scores(verdict_of(shown), verdict_of(shown), asked, class_groups(asked, classes), 0, {})
    assert scores["inception_hair"].protocol["clips"] == 24
    assert scores["h_y_hair"].value == pytest.approx(entropy(shown["hair"][asked["hair"].notna()].value_counts() / 24))
    assert scores["inception_hair"].interval is None
    asked.loc[7:, "hair"] = None
    assert "inception_hair" not in class_scores(verdict_of(shown), verdict_of(shown), asked, {"hair": ["hair"]}, 0, {})


def test_more_combinations_than_clips_are_not_scored():
    asked, _ = clips(8)
    every = {"label": ["action", "way", "hair"]}
    assert class_scores(verdict_of(asked), verdict_of(asked), asked, every, 0, {}) == {}
    asked, _ = clips(12)
    assert class_scores(verdict_of(asked), verdict_of(asked), asked, every, 0, {})["inception_label"].value > 5


def test_measures_are_found_again_by_group_and_way():
    asked, classes = clips()
    groups, mine = class_groups(asked, classes), verdict_of(asked.assign(way="left"))
    real = verdict_of(asked.assign(action="walk"))
    scores = class_scores(mine, real, asked, groups, 0, {}) | class_scores(real, real, asked, groups, 0, {}, "_fitted")
    for suffix, verdict in (("", mine), ("_fitted", real)):
        scores |= share_scores("faithfulness", verdict, asked, {}, suffix)
    scores |= share_scores("judge_accuracy", real, asked, {})
    assert list(scored_groups(scores)) == [*WORDS, "label"]
    way = measures_of(scores, "way")
    assert list(way) == ["accuracy", "inception", "h_yx", "h_y"]
    assert (way["accuracy"].value, way["accuracy"].floor) == (pytest.approx(1 / 3), 1)
    assert measures_of(scores, "action", "_fitted")["accuracy"].value == 0.5
    assert measures_of(scores, "label", "_fitted")["accuracy"].floor == 0.5
    assert measures_of(scores, "label", "_control") == {}
