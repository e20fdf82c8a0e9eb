"""Points of the bottleneck, what of them is left to do, and what made-up results are said to show."""

import json
import math

import cv2
import numpy as np
import pytest

from benchmarks import bottleneck, claim
from benchmarks.bottleneck import Experiments, Point, by_lane, points, read_results, report
from benchmarks.claim import Cell, Estimate, Result, chance_of_training, estimate, paragraph, table
from sketch2video.errors import UserError
from sketch2video.files import write_json
from sketch2video.params import load_params
from tests.benchmarks.cells import cells_of

CODE = {"src": "a", "flows": "b", "systems": "c", "dvc.yaml": "d"}


def score(value, half=0.05):
    return {"value": value, "interval": [value - half, value + half]}


def found(without, with_, half=0.05, code="same"):
    """What one experiment found, given the faithfulness of both systems; distances go the other way."""

    def scores(share, *suffixes):
        return {
            f"{name}{suffix}": score(value, half * scale)
            for suffix in suffixes
            for name, value, scale in (
                ("faithfulness_joint", share, 1),
                ("fvd_embedded", 100 * (1 - share), 100),
                ("kvd_embedded", 50 * (1 - share), 50),
            )
        }

    protocol = {"clips": 144, "size": 64}
    systems = {
        "text_ldm": {"scores": scores(without, ""), "protocol": protocol},
        "sketch_ldm": {"scores": scores(with_, "", "_fitted"), "protocol": protocol},
    }
    return {"systems": systems, "key": {"code": code, "params": "p"}}


def results(shares, half=0.05, seeds=2):
    """Results of points, given {(frames, halvings): (without, with)}; the seeds differ a little."""
    return [
        Result(frames, h, seed, found(a + 0.01 * seed, b + 0.01 * seed, half) | {"numbers": 4 * (64 >> h) ** 2})
        for (frames, h), (a, b) in shares.items()
        for seed in range(seeds)
    ]


BORNE_OUT = {(t, h): (0.8 - 0.2 * (h - 3), 0.9) for t in (16, 48) for h in (3, 4, 5)}
CONTRADICTED = {(t, h): (0.8, 0.9 - 0.2 * (h - 3)) for t in (16, 48) for h in (3, 4, 5)}
ALIKE = {(t, h): (0.8 - 0.1 * (h - 3), 0.82 - 0.1 * (h - 3)) for t in (16, 48) for h in (3, 4, 5)}


@pytest.fixture
def experiments(tmp_path, monkeypatch):
    """A maker of the queue over this project's parameters, in which every experiment succeeds at once."""
    monkeypatch.setattr(bottleneck, "code_version", lambda root: CODE)
    monkeypatch.setattr(bottleneck, "committed", lambda root, path: (root / path).read_text())
    monkeypatch.setattr(bottleneck, "prepare_store", lambda: None)
    monkeypatch.setattr(bottleneck, "Lanes", Immediate)
    Immediate.folder, Immediate.calls, Immediate.failing = tmp_path, [], set()

    def make(seeds=2, profile="bottleneck"):
        return Experiments(points(seeds), profile, tmp_path / "results", tmp_path / "lanes")

    return make


class Immediate:
    """Stands for :class:`Lanes`: leaves made-up scores where the graph would."""

    def __init__(self, root, folder, environment):
        self.place = Immediate.folder / "place"

    def run(self, lanes, jobs):
        for lane in lanes:
            for call in lane:
                call()

    def reproduce(self, lane, name, params):
        Immediate.calls.append((lane, name))
        if name in Immediate.failing:
            raise UserError("dvc ended")
        halvings = load_params(params).autoencoder.halvings
        for system, scores in found(0.9 - 0.1 * halvings, 0.9)["systems"].items():
            write_json(self.place / bottleneck.SYSTEMS[system] / "evaluation.json", scores)
            write_json(self.place / bottleneck.SYSTEMS[system] / "train_autoencoder.json", {"psnr": 30.0})
        return self.place

    def remove(self, lane):
        Immediate.calls.append((lane, "removed"))


def test_points_cover_every_factor_length_and_seed_once():
    found = points(2)
    assert {(p.frames, 2**p.halvings, p.seed) for p in found} == {
        (t, f, s) for t in (16, 48) for f in (8, 16, 32) for s in (0, 1)
    }
    assert len(found) == len({p.name("x") for p in found}) == 12
    assert points(3)[:12] == found
    lanes = by_lane(found)
    assert [len(lane) for lane in lanes.values()] == [3] * 4
    assert all(len({(p.frames, p.seed) for p in lane}) == 1 for lane in lanes.values())


@pytest.mark.parametrize("profile", ["bottleneck", "smoke"])
def test_points_are_trained_alike(experiments, profile):
    made = experiments(profile=profile).params
    every = list(made.values())
    for point, params in made.items():
        assert (params.base.frames, params.base.seed) == (point.frames, point.seed)
        assert (
            bottleneck.latent_numbers(params)
            == params.autoencoder.latent_channels * (params.base.size // 2**point.halvings) ** 2
        )
        for section in ("autoencoder", "video_ldm", "curve_vae", "text_encoder"):
            assert getattr(params, section).training.steps == getattr(every[0], section).training.steps
    if profile == "bottleneck":
        assert len({params.video_ldm.training.batch_size * params.base.frames for params in every}) == 1
        assert len({params.curve_vae.training.batch_size * params.base.frames for params in every}) == 1
        tokens = {p.halvings: (64 // 2**p.halvings // made[p].video_ldm.patch) ** 2 for p in made}
        assert tokens == {3: 16, 4: 16, 5: 4}


def test_what_is_done_is_not_run_again_and_what_failed_is(experiments):
    first = experiments()
    Immediate.failing = {"bottleneck-f32-48-frames-seed-1"}
    first.run(jobs=2)
    assert [point.name("bottleneck") for point in first.failed] == ["bottleneck-f32-48-frames-seed-1"]
    assert ("16-frames-seed-0", "removed") in Immediate.calls
    assert ("48-frames-seed-1", "removed") not in Immediate.calls
    second = experiments()
    assert second.left() == [Point(48, 5, 1)]
    Immediate.failing, Immediate.calls = set(), []
    second.run(jobs=2)
    assert [name for _, name in Immediate.calls] == ["bottleneck-f32-48-frames-seed-1", "removed"]
    assert experiments().left() == []
    assert [p.seed for p in experiments(seeds=3).left()] == [2] * 6


def test_other_code_and_other_parameters_make_everything_anew(experiments, monkeypatch):
    experiments().run(jobs=1)
    with monkeypatch.context() as changed:
        changed.setattr(bottleneck, "code_version", lambda root: CODE | {"src": "other"})
        assert len(experiments().left()) == 12
    with monkeypatch.context() as changed:
        changed.setattr(
            bottleneck,
            "committed",
            lambda root, path: (root / path).read_text().replace("width: 128", "width: 64"),
        )
        assert len(experiments().left()) == 12
    assert experiments().left() == []


def test_the_command_compares_what_there_is_and_names_what_failed(experiments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bottleneck, "LANES", tmp_path / "lanes")
    Immediate.failing = {"bottleneck-f32-48-frames-seed-0"}
    reports = tmp_path / "results"
    options = {"seeds": 1, "jobs": 1, "profile": "bottleneck", "limit": None, "reports": reports}
    with pytest.raises(UserError, match=r"1 of 6 experiments failed(?s:.*)bottleneck-f32-48-frames-seed-0: dvc ended"):
        bottleneck.main(only_report=False, **options)
    assert "0 of 6 experiments are done, 6 left" in capsys.readouterr().out
    assert "bottleneck-f32-48-frames-seed-0 missing" in (reports / "bottleneck.md").read_text()
    Immediate.failing = set()
    bottleneck.main(only_report=False, **options)
    assert "missing" not in (reports / "bottleneck.md").read_text()
    Immediate.calls = []
    bottleneck.main(only_report=True, **options)
    assert Immediate.calls == []
    with pytest.raises(UserError, match="holds no result of the profile smoke"):
        bottleneck.main(only_report=True, **options | {"profile": "smoke"})


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
    assert estimates[Cell("faithfulness_joint", "without", 48, 5)].value == pytest.approx(0.405)
    saved = claim.saved_of(estimates, 48, [3, 4, 5])
    # Without the sketch distances go from 20 and 19 of 100 to 60 and 59, with it they stay.
    factor = math.sqrt(60 * 59 / (20 * 19))
    assert {name: one.value for name, one in saved.items()} == pytest.approx(
        {"faithfulness_joint": 0.4, "fvd_embedded": math.log(factor), "kvd_embedded": math.log(factor)}
    )
    assert all(one.sign == 1 for one in saved.values())
    text = paragraph(results(BORNE_OUT), estimates)
    assert f"less with the sketch: a factor of {factor:.2g} [" in text
    shown = {
        (e["score"], e["series"], e["f"]): e["value"]
        for e in claim.as_json(results(BORNE_OUT), estimates, "")["estimates"]
    }
    assert shown["fvd_embedded", "without", 8] == pytest.approx(math.sqrt(20 * 19))
    assert shown["faithfulness_joint", "with", 8] == pytest.approx(0.905)


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
def test_the_paragraph_says_what_intervals_allow(shares, half, verdict, direct):
    made = results(shares, half)
    text = paragraph(made, estimate(made))
    assert verdict in text
    assert sum(ending in text for ending in set(claim.VERDICTS.values())) == 1
    assert any(f"beside f = 8 without it, {way}" in text for way in direct.split("|"))
    assert "\n" not in text


def test_the_verdict_is_about_the_long_clips_alone():
    short = {place: shares for place, shares in BORNE_OUT.items() if place[0] == 16}
    long = {place: shares for place, shares in CONTRADICTED.items() if place[0] == 48}
    made = results(short | long, 0.02)
    text = paragraph(made, estimate(made))
    assert "contradict the claim" in text
    assert "in clips of 48 frames against 16, less by" in text


def test_missing_points_are_said_and_decide_nothing():
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, 5)}, 0.02)
    text = paragraph(made, estimate(made), ["a", "b"])
    assert "a, b missing" in text
    assert not any(ending in text for ending in claim.VERDICTS.values())
    one = results({(48, 3): (0.5, 0.6)}, seeds=1)
    text = paragraph(one, estimate(one))
    assert "is unknown: points are missing" in text
    assert "1 seed" in text
    assert "too narrow" in text


def test_little_to_lose_and_other_code_are_said():
    made = results({(t, h): (0.1, 0.9) for t in (16, 48) for h in (3, 5)}, 0.02)
    assert "little to lose" in paragraph(made, estimate(made))
    made[0] = Result(16, 3, 0, dict(made[0].found) | {"key": {"code": "other", "params": "p"}})
    assert "not all made by the same code" in paragraph(made, estimate(made))
    assert "same code" not in paragraph(made[1:], estimate(made[1:]))


def test_the_table_has_a_row_a_bottleneck_and_a_dash_where_there_is_nothing():
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, 4)}, 0.02)
    rows = table(made, estimate(made)).splitlines()[2:]
    assert [cells_of(row)[:3] for row in rows] == [
        [f"{t}", f"{f}", f"{n}"] for t in (16, 48) for f, n in ((8, 256), (16, 64), (32, 16))
    ]
    assert [row.count("–") for row in rows] == [0, 0, 0, 0, 9, 0]
    assert "| 80% [" in rows[0]


def test_the_report_is_written_with_points_missing(tmp_path):
    made = results({place: shares for place, shares in BORNE_OUT.items() if place != (48, 4)}, seeds=1)
    report(tmp_path, made, ["bottleneck-f16-48-frames-seed-0"])
    numbers = json.loads((tmp_path / "bottleneck.json").read_text())
    assert len(numbers["estimates"]) == 5 * 3 * 3
    assert numbers["paragraph"] in (tmp_path / "bottleneck.md").read_text()
    picture = cv2.imread(str(tmp_path / "bottleneck.png"))
    for colour in ((180, 119, 31), (14, 127, 255)):  # BGR of tab:blue and tab:orange
        assert (np.abs(picture.astype(int) - colour).max(-1) < 8).sum() > 500


def test_results_are_read_by_name(tmp_path):
    write_json(tmp_path / "bottleneck-f8-16-frames-seed-0.json", found(0.5, 0.6))
    write_json(tmp_path / "smoke-f8-16-frames-seed-1.json", found(0.5, 0.6))
    read = read_results(tmp_path, points(2), "bottleneck")
    assert [(one.frames, one.halvings, one.seed) for one in read] == [(16, 3, 0)]
    assert read[0].score("without", "faithfulness_joint")["value"] == 0.5
