"""Distances of lines against brute force and against drawings whose distance is known."""

import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from sketch2video.scoring.fidelity import Fidelity, fidelity, lines_of_curves, lines_of_ink, nearest
from sketch2video.sketches import extract_sketches
from sketch2video.sketches.agreement import mean_agreement

SIZE = 64


def straight(*strokes, frames=2):
    """Strokes from (x, y) to (x, y), px, the same in all frames."""
    ends = np.array(strokes, np.float64).reshape(len(strokes), 2, 2) / SIZE
    coefficients = np.zeros((frames, len(strokes), 2, 2), np.float32)
    coefficients[..., 0] = ends.mean(1)
    coefficients[..., 1] = (ends[:, 0] - ends[:, 1]) / 2
    return CurveSequence(coefficients, np.ones((frames, len(strokes)), np.float32))


def circle(radius, centre=(32.0, 32.0), harmonics=32, frames=1):
    turn = 2 * np.pi * np.linspace(0, 1, 400)
    points = np.stack([np.cos(turn), np.sin(turn)], 1) * radius + centre
    basis = np.cos(np.pi * np.outer(np.linspace(0, 1, 400), np.arange(harmonics)))
    solved = np.linalg.lstsq(basis, points / SIZE, rcond=None)[0].T
    return CurveSequence(np.tile(solved, (frames, 1, 1, 1)).astype(np.float32), np.ones((frames, 1), np.float32))


def compared(asked, found):
    return fidelity([lines_of_curves(asked, SIZE, SIZE)], [lines_of_curves(found, SIZE, SIZE)], SIZE)


def values(measures: Fidelity):
    return {name: float(array[0]) for name, array in measures._asdict().items()}


@pytest.mark.parametrize(("shift", "share"), [(0.25, 1.0), (0.9, 1.0), (1.5, 0.0), (3.5, 0.0)])
def test_lines_shifted_by_known_pixels_have_that_distance(shift, share):
    asked = straight([10, 8, 50, 8], [12, 20, 12, 60])
    found = compared(asked, straight([10, 8 + shift, 50, 8 + shift], [12 + shift, 20, 12 + shift, 60]))
    measured = values(found)
    for name in ("asked_px", "found_px", "asked_high", "found_high", "asked_near_px", "found_near_px"):
        assert measured[name] == pytest.approx(shift, abs=1e-4), name
    assert float(found.px[0]) == pytest.approx(shift, abs=1e-4)
    assert (measured["asked_near"], measured["found_near"]) == (1, 1)
    assert measured["recall"] == measured["precision"] == float(found.f1[0]) == share
    assert measured["asked_length"] == pytest.approx(80, abs=1e-3)


def test_lines_out_of_reach_are_not_those_that_were_asked_for():
    found = compared(straight([10, 20, 50, 20]), straight([10, 26, 50, 26]))
    measured = values(found)
    assert measured["asked_px"] == pytest.approx(6, abs=1e-3)
    assert measured["asked_near"] == measured["found_near"] == measured["recall"] == measured["precision"] == 0
    assert np.isnan(found.px[0])
    assert found.f1[0] == 0


def test_a_missing_line_lowers_the_share_found_and_not_the_distance_of_what_both_have():
    asked = straight([5, 10, 45, 10], [5, 50, 25, 50])
    whole, part = (
        compared(asked, straight([5, 11, 45, 11], [5, 51, 25, 51])),
        compared(asked, straight([5, 11, 45, 11])),
    )
    assert float(part.px[0]) == pytest.approx(float(whole.px[0]), abs=1e-4) == pytest.approx(1, abs=1e-4)
    assert float(part.asked_near[0]) == pytest.approx(40 / 60, abs=1e-3)
    assert float(part.recall[0]) == pytest.approx(40 / 60, abs=1e-3)
    assert float(part.precision[0]) == 1
    assert float(part.asked_px[0]) > 10
    p, r = 1, 40 / 60
    assert float(part.f1[0]) == pytest.approx(2 * p * r / (p + r), abs=1e-3)


def test_a_spurious_line_lowers_precision_alone():
    asked = straight([5, 10, 45, 10])
    found = compared(asked, straight([5, 10, 45, 10], [5, 50, 45, 50]))
    measured = values(found)
    assert (measured["recall"], measured["precision"]) == (1, pytest.approx(0.5))
    assert measured["found_px"] == pytest.approx(20, abs=1e-3)
    assert measured["asked_px"] == float(found.px[0]) == pytest.approx(0, abs=1e-6)


def test_distances_are_those_of_brute_force():
    rng = np.random.default_rng(3)
    fall = 1 / (1 + np.arange(12)) ** 2
    drawings = [
        CurveSequence(
            (0.5 * (np.arange(12) == 0) + 0.35 * fall * rng.normal(size=(3, 4, 2, 12))).astype(np.float32),
            np.ones((3, 4), np.float32),
        )
        for _ in range(2)
    ]
    lines = [lines_of_curves(drawing, SIZE, SIZE) for drawing in drawings]
    dense = [drawing.points(4000).reshape(3, -1, 2).astype(np.float64) * SIZE for drawing in drawings]
    inside = [[p[((p >= 0) & (p <= SIZE)).all(1)] for p in points] for points in dense]
    there = []
    for t in range(3):
        brute = [np.hypot(*(inside[1][t] - point).T).min() for point in lines[0][t].middles]
        found = nearest(lines[0][t], lines[1][t], SIZE)
        np.testing.assert_allclose(found, brute, atol=0.06)
        there.append(brute)
    weights = np.concatenate([frame.lengths for frame in lines[0]])
    measured = values(fidelity([lines[0]], [lines[1]], SIZE))
    all_of_them = np.concatenate(there)
    assert measured["asked_px"] == pytest.approx(np.average(all_of_them, weights=weights), abs=0.02)
    near = all_of_them <= 4
    assert measured["asked_near"] == pytest.approx(np.average(near, weights=weights), abs=0.01)
    assert measured["asked_near_px"] == pytest.approx(np.average(all_of_them[near], weights=weights[near]), abs=0.03)
    order = np.argsort(all_of_them)
    share = np.cumsum(weights[order]) / weights.sum()
    assert measured["asked_high"] == pytest.approx(all_of_them[order][np.searchsorted(share, 0.95)], abs=0.2)


def test_both_directions_are_alike():
    rng = np.random.default_rng(4)
    a, b = (straight(*rng.uniform(5, 60, (3, 4))) for _ in range(2))
    there, back = values(compared(a, b)), values(compared(b, a))
    swapped = {"asked": "found", "found": "asked", "recall": "precision", "precision": "recall"}
    for name, value in there.items():
        first, _, rest = name.partition("_")
        assert back["_".join([swapped[first], *([rest] if rest else [])])] == pytest.approx(value, abs=1e-9)


def test_lengths_are_those_of_the_lines():
    around = 2 * np.pi * 20
    (lines,) = lines_of_curves(circle(20), SIZE, SIZE)
    assert lines.lengths.sum() == pytest.approx(around, rel=0.015)  # 32 harmonics round the corner at the ends
    assert lines.lengths.max() <= 0.5 + 1e-9
    assert lines_of_ink(circle(20).render(SIZE, SIZE), SIZE)[0].lengths.sum() == pytest.approx(around, rel=0.04)


@pytest.mark.parametrize(("scale", "within"), [(1, 0.1), (4, 0.02)])
def test_drawings_of_any_size_lie_where_their_curves_do(scale, within):
    curves = circle(17.3, (30.2, 33.7))
    ink = curves.render(scale * SIZE, scale * SIZE)
    found = fidelity([lines_of_curves(curves, SIZE, SIZE)], [lines_of_ink(ink, SIZE)], SIZE)
    assert float(found.px[0]) < within
    assert values(found)["asked_high"] < 2 * within


def test_pixels_by_themselves_are_lines_of_one_pixel():
    ink = np.zeros((1, SIZE, SIZE), np.uint8)
    ink[0, 10, 20] = 255
    (lines,) = lines_of_ink(ink, SIZE)
    assert lines.lengths.sum() == pytest.approx(1)
    np.testing.assert_allclose(lines.middles.mean(0), (20.5, 10.5))


def test_what_is_outside_of_the_frame_is_not_asked_for():
    found = compared(straight([-40, 20, 30, 20]), straight([0, 20, 30, 20]))
    measured = values(found)
    assert measured["asked_length"] == pytest.approx(30, abs=0.5)
    assert measured["asked_near"] == measured["recall"] == 1
    assert measured["asked_px"] == pytest.approx(0, abs=0.05)


def test_without_lines_on_one_side_nothing_is_found():
    nothing, line = lines_of_ink(np.zeros((2, SIZE, SIZE), np.uint8), SIZE), straight([5, 5, 40, 5])
    drawn = lines_of_curves(line, SIZE, SIZE)
    missing, spurious, empty = (
        fidelity([asked], [found], SIZE) for asked, found in ((drawn, nothing), (nothing, drawn), (nothing, nothing))
    )
    assert values(missing)["asked_px"] == SIZE
    assert (float(missing.recall[0]), float(missing.precision[0]), float(missing.f1[0])) == (0, 1, 0)
    assert (float(spurious.recall[0]), float(spurious.precision[0])) == (1, 0)
    assert values(spurious)["found_px"] == SIZE
    assert missing.share_found[0] == 0
    for one in (spurious, empty):
        assert np.isnan([one.share_found[0], one.f1[0]]).all(), "nothing was to be followed"
    for one in (missing, spurious, empty):
        assert np.isnan(one.px[0])
        assert all(np.isfinite(value) for value in values(one).values())


def test_frames_without_lines_count_with_a_frame_width():
    asked = straight([5, 20, 45, 20])
    found = lines_of_curves(asked, SIZE, SIZE)
    blank = lines_of_ink(np.zeros((1, SIZE, SIZE), np.uint8), SIZE)
    measured = values(fidelity([found], [[found[0], blank[0]]], SIZE))
    assert measured["asked_px"] == pytest.approx(SIZE / 2)
    assert measured["recall"] == pytest.approx(0.5)
    assert measured["found_px"] == pytest.approx(0, abs=1e-6)


def test_clips_and_frames_must_be_as_many():
    frame = lines_of_curves(straight([5, 20, 45, 20]), SIZE, SIZE)
    with pytest.raises(ValueError):
        fidelity([frame], [frame, frame], SIZE)
    with pytest.raises(ValueError):
        fidelity([frame], [frame[:1]], SIZE)


@pytest.fixture(scope="module")
def scenes():
    made = [sample_scene(np.random.default_rng([5, i]), [combinations()[(37 * i) % 216]]) for i in range(4)]
    return [render_scene(scene, SIZE, 4).frames for scene in made]


def test_clips_are_near_the_curves_that_were_fitted_to_them(scenes):
    for frames in scenes:
        ink = extract_sketches(frames)
        curves = fit_curves(ink)
        asked, found = lines_of_curves(curves, SIZE, SIZE), lines_of_ink(ink, SIZE)
        own = fidelity([asked], [found], SIZE)
        assert float(own.px[0]) < 0.5
        assert float(own.asked_near[0]) > 0.98
        moved = CurveSequence(curves.coefficients + 3 / SIZE * (np.arange(curves.coefficients.shape[3]) == 0),
                              curves.visibility)  # fmt: skip
        other = fidelity([lines_of_curves(moved, SIZE, SIZE)], [found], SIZE)
        assert float(other.px[0]) > float(own.px[0]) + 0.8
        assert float(other.f1[0]) < float(own.f1[0]) - 0.3


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_precision_and_recall_are_those_of_pixels_where_lines_are_on_them(shift):
    """The other measure of the project counts pixels of ink and the distances of their centres."""
    asked, found = np.zeros((2, 1, SIZE, SIZE), np.uint8)
    asked[0, 20, 10:50] = asked[0, 30:50, 5] = 255
    found[0, 20 + shift, 10:30] = found[0, 30:50, 5 + shift] = 255
    measured = fidelity([lines_of_ink(asked, SIZE)], [lines_of_ink(found, SIZE)], SIZE)
    pixels = mean_agreement(found, asked)
    assert float(measured.precision[0]) == pytest.approx(pixels.precision, abs=0.03)
    assert float(measured.recall[0]) == pytest.approx(pixels.recall, abs=0.03)
    assert float(measured.f1[0]) == pytest.approx(pixels.f_score, abs=0.03)
