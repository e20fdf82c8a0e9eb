"""What made-up results of the experiments on the bottleneck are said to show."""

import json
import math

import cv2
import numpy as np
import pytest

from benchmarks import claim
from benchmarks.axes import AXES, Bottleneck
from benchmarks.bottleneck import report
from benchmarks.claim import Cell, Estimate, Result, chance_of_training, estimate, table
from benchmarks.claim_words import VERDICTS, summary
from tests.benchmarks.cells import cells_of
from tests.benchmarks.made_up import ALIKE, BORNE_OUT, CONTRADICTED, PLACES, results, score, step


def test_an_interval_holds_both_kinds_of_chance():
    values = {(3, 0): (0.2, 0.06), (3, 1): (0.4, 0.10), (5, 0): (0.5, 0.05), (5, 1): (0.5, 0.05)}
    cells = [[score(*values[h, s]) for s in (0, 1)] for h in (3, 5)]
    # Two degrees of freedom: t = 4.303; s² is the mean of 0.02 and 0.
    assert chance_of_training(cells) == pytest.approx(4.303 * 0.1, rel=1e-3)
    one = claim._estimate(cells[0], 4.303 * 0.1, share=False)
    half = math.hypot(4.303 * 0.1 / math.sqrt(2), 0.08)
    assert one == Estimate(pytest.approx(0.3), pytest.approx(0.3 - half), pytest.approx(0.3 + half), 2)
    assert claim._estimate(cells[0], 4.303 * 0.1, share=True).low == 0.0
    assert chance_of_training([[score(0.1)], [score(0.9)]]) == 0.0


def test_intervals_cover_the_mean_as_often_as_they_say():
    """Scores whose true mean is known, with chance in trainings alone."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        cells = [[{"value": x, "interval": None} for x in rng.normal(5, 2, 2)] for _ in range(18)]
        one = claim._estimate(cells[0], chance_of_training(cells), share=False)
        hits += one.low <= 5 <= one.high
    assert 0.92 <= hits / 400 <= 0.98


def test_differences_add_half_widths_as_squares():
    a, b = Estimate(0.5, 0.47, 0.54), Estimate(0.2, 0.16, 0.23)
    difference = a.minus(b)
    assert difference.value == pytest.approx(0.3)
    assert difference.value - difference.low == pytest.approx(math.hypot(0.03, 0.03))
    assert difference.high - difference.value == pytest.approx(math.hypot(0.04, 0.04))
    assert [difference.sign, b.minus(a).sign, a.minus(a).sign] == [1, -1, 0]


def test_seeds_are_averaged_and_distances_compared_by_factors():
    estimates = estimate(results(BORNE_OUT))
    assert estimates[Cell("faithfulness_joint", "without", 48, Bottleneck(5))].value == pytest.approx(0.405)
    saved = claim.saved_of(estimates, 48, AXES["time"])
    # Without the sketch distances go from 20 and 19 of 100 to 60 and 59, with it they stay.
    factor = math.sqrt(60 * 59 / (20 * 19))
    assert {name: one.value for name, one in saved.items()} == pytest.approx(
        {"faithfulness_joint": 0.4, "fvd_embedded": math.log(factor), "kvd_embedded": math.log(factor)}
    )
    assert all(one.sign == 1 for one in saved.values())
    text = summary(results(BORNE_OUT), estimates)
    assert f"less with the sketch: a factor of {factor:.2g} [" in text
    shown = {
        (e["score"], e["series"], e["frames"], e["f"], e["frames_per_latent"]): e
        for e in claim.as_json(results(BORNE_OUT), estimates, "")["estimates"]
    }
    assert shown["fvd_embedded", "without", 16, 8, 1]["value"] == pytest.approx(math.sqrt(20 * 19))
    assert shown["fvd_embedded", "without", 16, 8, 16]["value"] == pytest.approx(math.sqrt(60 * 59))
    assert shown["faithfulness_joint", "with", 48, 8, 4]["value"] == pytest.approx(0.905)
    assert shown["faithfulness_joint", "with", 48, 8, 4]["latents_per_second"] == pytest.approx(23.5 / 4)


def test_a_distance_at_or_below_its_floor_counts_as_the_least():
    kind = claim.SCORES["kvd_embedded"]
    assert kind.scaled(-3.0) == kind.scaled(0.0) == math.log(claim.LEAST)
    assert kind.unscaled(Estimate(kind.scaled(250.0), 0.0, 1.0)).value == pytest.approx(250.0)


@pytest.mark.parametrize(
    ("shares", "half", "verdict", "direct"),
    [
        (BORNE_OUT, 0.02, "bear the claim out", "not significantly different by|better by"),
        (CONTRADICTED, 0.02, "these numbers contradict the claim", "worse by"),
        (ALIKE, 0.02, "neither bear the claim out nor contradict it", "worse by"),
        (BORNE_OUT, 0.3, "neither bear the claim out nor contradict it", "not significantly different by"),
        (CONTRADICTED, 0.5, "neither bear the claim out nor contradict it", "not significantly different by"),
    ],
)
def test_the_summary_says_what_intervals_allow(shares, half, verdict, direct):
    made = results(shares, half)
    text = summary(made, estimate(made))
    assert verdict in text
    assert sum(ending in text for ending in set(VERDICTS.values())) == 1
    for name, axis in AXES.items():
        assert f"Along {name}, in clips of 48 frames" in text
        assert any(f"{axis[-1]} with the sketch is, beside f8t1 without it, {way}" in text for way in direct.split("|"))
    assert len(text.split("\n\n")) == len(text.splitlines()[::2]) == 4  # setting, two lengths, claim


def test_each_axis_has_a_verdict_of_its_own():
    made = results({place: (BORNE_OUT if place[1] in AXES["time"] else CONTRADICTED)[place] for place in PLACES}, 0.02)
    text = summary(made, estimate(made))
    space, time = text.splitlines()[-1].split("Along time, ")
    assert "these numbers contradict the claim" in space
    assert "these numbers bear the claim out" in time
    assert "from f8t1 to f32t1: faithfulness by 0 [" in text
    assert "from f8t1 to f8t16: faithfulness by 40 [" in text


def test_what_the_sketch_saves_is_compared_between_the_axes():
    """The common widest bottleneck is in neither the difference nor its interval."""
    # Without the sketch 40 points are lost along space and 20 along time, with it none.
    lost = {b: (0.2 if b in AXES["space"] else 0.1) * step(b) for _, b in PLACES}
    shares = {(t, b): (0.8 - lost[b], 0.9) for t, b in PLACES}
    made = results(shares, half=0.02, seeds=1)
    widest = [place for place in PLACES if place[1] == Bottleneck(3)]
    for wide in (0.01, 0.3):  # half-widths behind it
        changed = made + results({place: shares[place] for place in widest}, half=wide, seeds=1)
        text = summary(changed, estimate(changed))
        # Four independent half-widths of 2 points are one of 4.
        assert (
            text.count("Along time the sketch saves, compared with space, less by faithfulness (-20 [-24, -16] points)")
            == 2
        )
    closer = results({(t, b): (0.8 - 0.2 * step(b), 0.9) for t, b in PLACES}, half=0.02, seeds=1)
    assert "Along time the sketch saves, compared with space, not significantly more or less by" in summary(
        closer, estimate(closer)
    )


def test_the_verdict_is_about_the_long_clips_alone():
    short = {place: shares for place, shares in BORNE_OUT.items() if place[0] == 16}
    long = {place: shares for place, shares in CONTRADICTED.items() if place[0] == 48}
    made = results(short | long, 0.02)
    text = summary(made, estimate(made))
    assert "contradict the claim" in text
    assert text.count("There the sketch saves, compared with clips of 16 frames, less by") == 2


def test_missing_points_are_said_and_decide_nothing():
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, Bottleneck(5))}, 0.02)
    text = summary(made, estimate(made), ["a", "b"])
    assert "a, b missing" in text
    assert "for long sequences along space is unknown: points are missing" in text
    assert "Along time, in clips of 48 frames, " in text
    assert text.count("Along time the sketch saves, compared with space") == 1  # at 16 frames
    one = results({(48, Bottleneck(3)): (0.5, 0.6)}, seeds=1)
    text = summary(one, estimate(one))
    assert text.count("is unknown: points are missing") == 2
    assert not any(ending in text for ending in VERDICTS.values())
    assert "1 seed" in text
    assert "too narrow" in text


def test_little_to_lose_and_other_code_are_said():
    made = results(dict.fromkeys(PLACES, (0.1, 0.9)), 0.02, seeds=1)
    assert summary(made, estimate(made)).count("little to lose: behind f8t1 faithfulness is 10%") == 2
    made[0] = Result(16, Bottleneck(3), 0, dict(made[0].found) | {"key": {"code": "other", "params": "p"}})
    assert "not all made by the same code" in summary(made, estimate(made))
    assert "same code" not in summary(made[1:], estimate(made[1:]))


def test_the_table_has_a_row_a_bottleneck_and_a_dash_where_there_is_nothing():
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, Bottleneck(4))}, 0.02)
    rows = table(made, estimate(made)).splitlines()[2:]
    assert [cells_of(row)[:5] for row in rows] == [
        ["16", "8", "1", "7.5", "256"],
        ["16", "16", "1", "7.5", "64"],
        ["16", "32", "1", "7.5", "16"],
        ["16", "8", "4", "1.9", "64"],
        ["16", "8", "16", "0.47", "16"],
        ["48", "8", "1", "24", "256"],
        ["48", "16", "1", "24", "64"],
        ["48", "32", "1", "24", "16"],
        ["48", "8", "4", "5.9", "64"],
        ["48", "8", "16", "1.5", "16"],
    ]
    assert [row.count("–") for row in rows] == [0] * 6 + [9] + [0] * 3
    assert "| 80% [" in rows[0]


def test_the_report_is_written_with_points_missing(tmp_path):
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, Bottleneck(4))}, seeds=1)
    report(tmp_path, made, ["bottleneck-f16t1-48-frames-seed-0"])
    numbers = json.loads((tmp_path / "bottleneck.json").read_text())
    assert len(numbers["estimates"]) == 9 * 3 * 3
    assert numbers["summary"] in (tmp_path / "bottleneck.md").read_text()
    picture = cv2.imread(str(tmp_path / "bottleneck.png"))
    for colour in ((180, 119, 31), (14, 127, 255)):  # BGR of tab:blue and tab:orange
        assert (np.abs(picture.astype(int) - colour).max(-1) < 8).sum() > 500
