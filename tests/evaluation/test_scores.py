import numpy as np
import pandas as pd
import pytest
from skimage.metrics import peak_signal_noise_ratio

from sketch2video.evaluation.consistency import Steadiness
from sketch2video.evaluation.scores import (
    Evaluation,
    Score,
    distance_scores,
    halves,
    inception_scores,
    peak_signal_to_noise,
    share_scores,
    spread_evenly,
    steadiness_scores,
)
from sketch2video.judges.faithfulness import can_be_judged, confusion, faithfulness, word_pairs
from sketch2video.judges.verdict import ATTRIBUTES, Verdict
from sketch2video.scenes.synthetic import combinations
from sketch2video.scoring.metrics import frechet_distance


def rows_of(number, words=None, with_labels=True):
    words = words or combinations()
    words = [words[i % len(words)] for i in range(number)]
    table = pd.DataFrame(words, columns=["shape", "colour", "motion"])
    label = table.agg(" ".join, axis=1)
    return table.assign(
        clip_id=[f"clip-{i:04d}" for i in range(number)],
        caption=[f"caption {i}" for i in range(number)],
        label=label if with_labels else None,
    )


def verdict_of(rows, features=None):
    """A judge that sees exactly what the rows say."""
    probabilities = {
        name: np.eye(len(words), dtype=np.float32)[[words.index(w) for w in rows[name]]]
        for name, words in ATTRIBUTES.items()
    }
    return Verdict(probabilities, np.zeros((len(rows), 4)) if features is None else features)


def test_faithfulness_counts_each_attribute_and_all_at_once():
    asked = rows_of(10)
    shown = asked.copy()
    shown.loc[[0, 1], "colour"] = "cyan" if asked["colour"][0] != "cyan" else "red"
    shown.loc[[1, 2, 3], "motion"] = "growing"
    asked.loc[[1, 2, 3], "motion"] = "in a circle"
    found = faithfulness(verdict_of(shown), asked)
    assert {name: share.right for name, share in found.items()} == {"shape": 10, "colour": 8, "motion": 7, "joint": 6}
    assert found["joint"].value == 0.6
    low, high = found["joint"].interval
    assert 0.2 < low < 0.6 < high < 0.9


def test_a_sketch_judge_is_asked_for_what_it_can_see():
    asked = rows_of(6)
    verdict = verdict_of(asked)
    verdict = verdict._replace(probabilities={n: p for n, p in verdict.probabilities.items() if n != "colour"})
    assert set(faithfulness(verdict, asked)) == {"shape", "motion", "joint"}


def test_clips_with_unknown_words_cannot_be_judged():
    assert can_be_judged(rows_of(5))
    assert not can_be_judged(rows_of(5).assign(colour="pink"))
    assert not can_be_judged(rows_of(5).assign(shape=None))
    assert not can_be_judged(rows_of(5).drop(columns="motion"))


def test_confusion_has_the_asked_words_in_its_rows():
    asked = rows_of(3).assign(shape=["circle", "circle", "heart"])
    shown = asked.assign(shape=["circle", "star", "heart"])
    table = confusion(word_pairs(verdict_of(shown), asked), "shape")
    assert table.loc["circle", "star"] == table.loc["circle", "circle"] == table.loc["heart", "heart"] == 1
    assert table.to_numpy().sum() == 3
    assert list(table.index) == list(table.columns) == list(ATTRIBUTES["shape"])


def test_clips_are_spread_evenly_over_labels_whatever_their_order():
    rows = rows_of(60, combinations()[:10])
    chosen = spread_evenly(rows, 25)
    counts = chosen["label"].value_counts()
    assert len(chosen) == 25
    assert set(counts) == {2, 3}
    shuffled = spread_evenly(rows.sample(frac=1, random_state=1), 25)
    pd.testing.assert_frame_equal(chosen, shuffled)
    pd.testing.assert_frame_equal(spread_evenly(rows, 20), chosen.head(20))
    assert len(spread_evenly(rows, 1000)) == 60


def test_halves_share_out_every_label():
    rows = spread_evenly(rows_of(48, combinations()[:6]), 48)
    first = halves(rows)
    assert first.sum() == 24
    assert set(rows[first]["label"].value_counts()) == {4}
    assert halves(rows_of(7, with_labels=False)).sum() == 4


def test_distances_compare_generated_clips_with_real_ones_of_the_other_half():
    rng = np.random.default_rng(0)
    rows = rows_of(80)
    first = halves(rows)
    real = verdict_of(rows, rng.normal(size=(80, 4)))
    scores = distance_scores(real, real, first, 0, {"judge": "x"})
    # A generator that copies the real clips scores exactly the floor, not zero.
    assert scores["fvd_embedded"].value == pytest.approx(scores["fvd_embedded"].floor)
    assert scores["fvd_embedded"].floor == pytest.approx(frechet_distance(real.features[first], real.features[~first]))
    assert set(distance_scores(real, real, first, 0, {}, "labels")) == {"fvd_labels", "kvd_labels"}
    worse = distance_scores(verdict_of(rows, real.features + 1), real, first, 20, {"judge": "x"})
    for name, score in worse.items():
        low, high = score.interval
        assert score.floor == scores[name].floor < low < score.value < high
        assert score.protocol["judge"] == "x"
        assert score.protocol["clips_generated"] == score.protocol["clips_real"] == 40


def test_metrics_name_what_is_out_of_its_domain():
    scores = {"fvd_embedded": Score(3.0, None, 1.0, {"domain": "other clips"}), "fvd_labels": Score(2.0, None, 0.5)}
    assert Evaluation(scores, {}, {}, {}).metrics() == {
        "fvd_embedded_out_of_domain": 3.0,
        "fvd_embedded_out_of_domain_floor": 1.0,
        "fvd_labels": 2.0,
        "fvd_labels_floor": 0.5,
    }


def test_inception_score_counts_the_combinations_that_are_told_apart():
    rows = rows_of(216)
    score = inception_scores("is_embedded", verdict_of(rows), 0, {})["is_embedded"]
    assert score.value == pytest.approx(216)
    assert score.protocol["classes"] == 216
    same = inception_scores("is_embedded", verdict_of(rows_of(50, combinations()[:1])), 0, {})["is_embedded"]
    assert same.value == pytest.approx(1)


def test_share_scores_are_named_by_what_and_how():
    asked = rows_of(4)
    names = set(share_scores("faithfulness", verdict_of(asked), asked, {}, "_fitted"))
    assert names == {f"faithfulness_{a}_fitted" for a in ("shape", "colour", "motion", "joint")}


def test_psnr_equals_scikit_images():
    a, b = np.random.default_rng(1).integers(0, 256, (2, 3, 4, 8, 8, 3), dtype=np.uint8)
    expected = [peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)]
    assert peak_signal_to_noise(a, b) == pytest.approx(expected)
    assert peak_signal_to_noise(a, a) == pytest.approx([100] * 3)


def steady(n, seed, drift=None):
    values = np.random.default_rng(seed).uniform(0.01, 0.03, (4, n))
    return Steadiness(values[0], values[1] if drift is None else np.array(drift), *values[2:])


def test_steadiness_has_the_real_clips_beside_it():
    generated, real = steady(30, 1), steady(30, 2)
    scores = steadiness_scores(generated, real, 200, {"split": "test"})
    assert set(scores) == {"flicker", "background_drift", "sharpness_ratio", "motion_ratio"}
    assert (scores["flicker"].value, scores["flicker"].floor) == (generated.flicker.mean(), real.flicker.mean())
    assert scores["motion_ratio"].value == generated.motion.mean() / real.motion.mean()
    assert scores["motion_ratio"].protocol["real"] == real.motion.mean()
    assert all(s.interval[0] < s.value < s.interval[1] and s.protocol["split"] == "test" for s in scores.values())


def test_intervals_of_ratios_draw_a_captions_two_clips_together():
    real = steady(30, 3)
    sharper = real._replace(sharpness=2 * real.sharpness)
    assert steadiness_scores(sharper, real, 50, {})["sharpness_ratio"].interval == pytest.approx((2, 2))


def test_what_no_clip_has_is_not_scored():
    none, some = [np.nan] * 3, [np.nan, 0.02, 0.04]
    still = steady(3, 4, none)._replace(motion=np.zeros(3))
    assert set(steadiness_scores(still, still, 20, {})) == {"flicker", "sharpness_ratio"}
    score = steadiness_scores(steady(3, 5, some), still, 20, {})["background_drift"]
    assert (score.value, score.floor, score.protocol["clips"]) == (pytest.approx(0.03), None, 2)
    one_moves = steady(3, 6)._replace(motion=np.array([0, 0, 0.01]))
    assert steadiness_scores(one_moves, one_moves, 50, {})["motion_ratio"].interval is None
