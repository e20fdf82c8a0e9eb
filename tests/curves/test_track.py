import inspect
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from sketch2video.curves import fit_curves, fit_error
from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.curves.fitting.harmonics import TOLERANCE, share_harmonics, truncated
from sketch2video.curves.fitting.order import alignment, in_order, rotate
from sketch2video.curves.fitting.series import close, project
from sketch2video.curves.fitting.track import find_cuts
from sketch2video.judges.label_judge_scenes import draw_outlines
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import MOTIONS, SHAPES, Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def outlines_at(outlines: np.ndarray, n: int) -> np.ndarray:
    """True outlines (T, 128, 2) at n pen positions from u = 0 to u = 1."""
    ring = np.concatenate([outlines, outlines[:, :1]], axis=1)
    at = np.linspace(0, 128, n)
    return np.stack([[np.interp(at, np.arange(129), axis) for axis in frame.T] for frame in ring]).swapaxes(1, 2)


@pytest.mark.parametrize("place", range(len(SHAPES)))
def test_one_outline_is_one_canonical_stroke_for_as_long_as_it_lives(place):
    what = Combination(SHAPES[place], "purple", MOTIONS[place])
    scene = render_scene(sample_scene(np.random.default_rng(place), [what]), 64, 12)
    sequence = fit_curves(extract_sketches(scene.frames))
    assert (sequence.visible.sum(1) == 1).all()
    assert sequence.visible[:, 0].all()
    points, truth = sequence.points(128)[:, 0] * 64, outlines_at(scene.outlines[:, 0], 128) * 64
    # The same pen position, not the nearest point: start, direction and parametrisation are the rule's.
    assert np.linalg.norm(points - truth, axis=-1).mean() < 3.0
    moved = (points[1:] - points[:-1]) - (truth[1:] - truth[:-1])
    assert np.linalg.norm(moved, axis=-1).mean() < 0.8
    np.testing.assert_allclose(points[:, 0], points[:, -1], atol=1e-3)  # closed stays closed


def circle(column: float, row: float, radius: float, size: int = 96) -> np.ndarray:
    ink = np.zeros((size, size), np.uint8)
    cv2.circle(ink, (round(column * 16), round(row * 16)), round(radius * 16), 255, 1, cv2.LINE_8, 4)
    return ink


def test_a_fast_object_is_the_same_stroke():
    ink = np.stack([circle(16 + 6 * t, 48, 12) for t in range(10)])
    sequence = fit_curves(ink)
    assert sequence.visible[:, 0].all()
    assert not sequence.visible[:, 1:].any()
    steps = np.diff(sequence.points(32)[:, 0] * 96, axis=0)
    assert np.linalg.norm(steps - [6, 0], axis=-1).mean() < 0.5


def test_a_cut_starts_new_strokes():
    house = np.zeros((96, 96), np.uint8)
    cv2.polylines(house, [np.array([[60, 90], [60, 60], [75, 45], [90, 60], [90, 90]])], True, 255)
    ink = np.stack([circle(25, 25, 15)] * 3 + [house] * 3)
    sequence = fit_curves(ink)
    assert fit_error(sequence, ink).curve_to_ink < 1
    assert fit_error(sequence, ink).ink_to_curve < 1
    assert not (sequence.visible[:3].any(0) & sequence.visible[3:].any(0)).any()


def test_cuts_are_where_the_drawing_becomes_another_one():
    moving = [circle(25 + 3 * t, 25 + 2 * t, 15) for t in range(3)]
    fence, blank = np.zeros((2, 96, 96), np.uint8)
    for x in (8, 30, 52, 74):
        cv2.line(fence, (x, 5), (x + 10, 90), 255)
    drawings = [*moving, fence, fence, blank, *moving]
    cuts = find_cuts([centre_lines(ink)[0] for ink in drawings])
    assert cuts.tolist() == [False, False, False, True, False, False, False, False, False]


def test_a_known_cut_starts_new_strokes_where_the_drawing_shows_none():
    ink = np.stack([circle(40 + t, 40, 15) for t in range(6)])
    through, apart = fit_curves(ink), fit_curves(ink, np.arange(6) == 3)
    assert through.num_slots == 1
    np.testing.assert_array_equal(apart.visibility[:, 0], [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(apart.visibility[:, 1], [0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match="cuts must have the shape"):
        fit_curves(ink, np.zeros(5, bool))


def test_shots_do_not_know_of_each_other():
    first = np.stack([circle(40 + t, 40, 15) for t in range(4)])
    second = np.stack([circle(50, 60 - t, 9) for t in range(4)])
    together = fit_curves(np.concatenate([first, second]), np.arange(8) == 4)
    for shot, alone in ((together.coefficients[:4, 0], first), (together.coefficients[4:, 1], second)):
        np.testing.assert_array_equal(shot, fit_curves(alone).coefficients[:, 0])


def test_what_appears_is_born_and_what_goes_is_retired():
    both, one = np.maximum(circle(25, 48, 12), circle(70, 48, 9)), circle(25, 48, 12)
    visible = fit_curves(np.stack([one, one, both, both, one, one])).visible
    np.testing.assert_array_equal(visible.sum(1), [1, 1, 2, 2, 1, 1])
    assert visible[:, 0].all()


FORMS = {
    "circle": lambda angle: np.ones_like(angle),
    "square": lambda angle: 1 / np.maximum(abs(np.cos(angle)), abs(np.sin(angle))),
    "star": lambda angle: 1 + 0.3 * np.cos(5 * angle),
}


def crossing(names: tuple[str, str], paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two outlines that move along (begin, end) columns, px, the second in front: ink (T, 64, 64), and (T, 2, P, 2)."""
    angle = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    rings = np.stack([11 * FORMS[name](angle)[:, None] * ring for name in names])
    columns = np.linspace(paths[:, 0], paths[:, 1], 14)
    centres = np.stack([columns, np.broadcast_to([29, 35], columns.shape)], -1)
    outlines = rings + centres[:, :, None]
    ink = np.zeros((14, 64, 64), np.uint8)
    draw_outlines(ink, outlines / 64)
    return ink, outlines


SWAP, MEET, PART = [(16, 48), (48, 16)], [(16, 26), (48, 46)], [(26, 16), (46, 48)]


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (("circle", "star"), SWAP),
        (("star", "square"), SWAP),
        (("circle", "circle"), SWAP),
        (("circle", "star"), MEET),
        (("star", "square"), MEET),
        (("star", "square"), PART),
    ],
)
def test_outlines_that_cross_stay_the_two_strokes_that_they_are(names, paths):
    ink, outlines = crossing(names, np.array(paths))
    sequence = fit_curves(ink)
    assert (sequence.visible.sum(1) == 2).all()
    assert sequence.visible[:, :2].all()
    points = sequence.points(64)[:, :2] * 64
    # Each stroke is near one of the outlines in all frames, also where that is hidden.
    apart = np.array(
        [
            [[cKDTree(true).query(drawn)[0].mean() for drawn in frame] for true in truth]
            for frame, truth in zip(points, outlines, strict=True)
        ]
    )  # (T, outlines, strokes)
    assert min(apart[:, [0, 1], order].mean(0).max() for order in ([0, 1], [1, 0])) < 1.5


def test_an_outline_that_closes_late_was_one_stroke_all_along():
    whole = circle(48, 48, 20)
    broken = whole.copy()
    broken[60:, 44:50] = 0
    broken[44:50, :40] = 0
    visible = fit_curves(np.stack([broken] * 2 + [whole] * 3)).visible
    assert visible[:, 0].all()
    assert (visible.sum(1) == 1).all()


def test_the_budget_holds_on_noise():
    noise = (np.random.default_rng(0).random((3, 64, 64)) < 0.1).astype(np.uint8) * 255
    for budget, strokes in ((288, 8), (100, 16), (40, 8)):
        assert fit_curves(noise, budget=budget, strokes=strokes).num_parameters <= budget


@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 8, 8), (2, 5, 90), (2, 90, 5)])
@pytest.mark.parametrize("value", [0, 255])
def test_odd_frames_do_not_break(shape, value):
    sequence = fit_curves(np.full(shape, value, np.uint8))
    assert len(sequence) == shape[0]
    if not value:
        assert not sequence.visible.any()


def drawings(kind: str, frames: int, height: int, width: int) -> np.ndarray:
    """Ink of a kind, bool (T, H, W)."""
    rng = np.random.default_rng(0)
    if kind == "cuts":  # every frame is of another shot
        ink = np.zeros((frames, height, width), np.uint8)
        for picture in ink:
            ends = rng.integers(0, (width, height), (6, 2, 2))
            for start, end in ends.tolist():
                cv2.line(picture, start, end, 1)
        return ink > 0
    return rng.random((frames, height, width)) < {"empty": 0.0, "full": 1.0, "sparse": 0.01, "noisy": 0.3}[kind]


@pytest.mark.parametrize("kind", ["empty", "full", "sparse", "noisy", "cuts"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (4, 48, 64), (1, 1080, 1920)])
def test_any_ink_gives_finite_curves_within_the_frame_and_the_budget(kind, shape):
    if kind == "noisy" and shape[-1] > 1000:
        shape = (1, 270, 480)
    ink = drawings(kind, *shape)
    sequence = fit_curves(ink)
    assert np.isfinite(sequence.coefficients).all()
    assert sequence.num_parameters <= PARAMS.fit.budget
    assert not sequence.coefficients[~sequence.visible].any()
    assert not sequence.visible[~ink.any((1, 2))].any()
    points = sequence.points(64)[sequence.visible]
    assert (np.abs(points - 0.5) < 1.0).all()
    np.testing.assert_array_equal(fit_curves(ink).coefficients, sequence.coefficients)


def test_a_drawing_that_stands_still_needs_no_more_rounds_and_one_that_changes_shape_does():
    still = np.stack([circle(48, 48, 20)] * 4)
    swinging = np.zeros((6, 96, 96), np.uint8)
    for t, picture in enumerate(swinging):
        at = np.arange(10, 86)
        rows = 48 + 4 * t * np.sin(at / 9)
        cv2.polylines(picture, [np.stack([at, rows], 1).round().astype(np.int32)], False, 255)
    for ink, differs in ((still, False), (swinging, True)):
        few, many = (fit_curves(ink, rounds=rounds) for rounds in (2, 8))
        assert (np.abs(few.coefficients - many.coefficients).max() > 1e-4) == differs
    assert fit_error(many, swinging).rendered_discrepancy < fit_error(few, swinging).rendered_discrepancy


def test_a_budget_that_holds_no_stroke_is_refused():
    with pytest.raises(ValueError, match="budget of 10"):
        fit_curves(np.zeros((1, 8, 8), np.uint8), budget=10, strokes=8)


def test_defaults_are_those_of_the_parameter_file():
    parameters = inspect.signature(fit_curves).parameters.values()
    assert {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY} == PARAMS.fit.tracking()


def test_alignment_undoes_a_rotation_of_the_start():
    u = np.arange(96) / 96 * 2 * np.pi
    ring = np.stack([np.cos(u) + 0.3 * np.cos(2 * u), np.sin(u) - 0.2 * np.sin(3 * u)], 1)
    for by in (0.0, 5.0, 40.25, 90.5):
        turned = rotate(ring + 7.0, by)
        assert (alignment(ring, turned) + by + 0.1) % 96 == pytest.approx(0.1, abs=0.1)


def test_harmonics_go_where_corners_are():
    u = (np.arange(96) + 0.5) / 96
    straight = np.stack([30 - 30 * np.cos(np.pi * u), 0 * u], 1)
    zigzag = np.stack([60 * u, 30 * np.abs((4 * u) % 1 - 0.5)], 1)
    series = [project(line, 32) for line in (straight, zigzag)]
    counts = share_harmonics(np.stack(series), np.array([60.0, 80.0]), 24)
    assert counts.sum() <= 24
    assert counts[0] == 2
    for line, coefficients, count in zip((straight, zigzag), series, counts, strict=True):
        kept = cosines(96, 32, midpoints=True)[:, :count] @ coefficients[:, :count].T
        assert np.sqrt(((kept - line) ** 2).sum(1).mean()) < 1.5


@pytest.mark.parametrize("total", [10, 11, 23, 40, 1000])
def test_harmonics_are_shared_as_one_by_one_to_the_neediest(total):
    rng = np.random.default_rng(total)
    decay = rng.uniform(0.5, 0.95, (5, 1, 1)) ** np.arange(12)  # so that looking ahead cannot pay
    series, lengths = 20 * decay * rng.choice([-1, 1], (5, 2, 12)), rng.uniform(10, 100, 5)
    energy = (series**2).sum(1) / 2  # all coefficients that are looked at are of k > 0
    lost = np.stack([energy[:, k:].sum(1) for k in range(13)], 1) * lengths[:, None]
    counts = [2] * 5
    while sum(counts) < total:
        needy = [i for i in range(5) if counts[i] < 12 and lost[i, counts[i]] > TOLERANCE**2 * lengths[i]]
        if not needy:
            break
        counts[max(needy, key=lambda i: lost[i, counts[i]] - lost[i, counts[i] + 1])] += 1
    assert share_harmonics(series, lengths, total).tolist() == counts


def test_truncated_series_are_the_first_harmonics_and_closed_ones_stay_closed():
    series, closed = np.random.default_rng(1).normal(size=(3, 2, 9)), np.array([False, True, True])
    series[2, 0, 3] = 0.0
    counts = np.array([4, 7, 2])
    expected = np.where(np.arange(9) < counts[:, None, None], series, 0.0)
    expected[closed] = close(expected[closed])
    found = truncated(series, counts, closed)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    np.testing.assert_allclose(found[1:, :, 1::2].sum(-1), 0, atol=1e-14)


def test_equal_needs_never_break_the_budget():
    series = np.ones((4, 2, 8))
    for total in range(8, 33):
        assert share_harmonics(series, np.full(4, 10.0), total).sum() == total


def test_lives_are_ordered_by_birth_and_length_and_slots_rest():
    lengths = {1: 1.0, 2: 3.0, 3: 2.0, 4: 9.0}
    life = np.array([[1, 2, 0], [1, 2, 0], [3, 2, 0], [3, 2, 4]])
    coefficients = np.zeros((4, 3, 2, 2))
    for name, length in lengths.items():
        coefficients[life == name, 0, 1] = length
    ordered, visibility = in_order(coefficients, life)
    np.testing.assert_array_equal(ordered[0, :, 0, 1], [3, 1, 0])
    np.testing.assert_array_equal(visibility[:, 0], 1)
    # Life 3 follows life 1 at once, so it takes the third slot; then only the second is free for life 4.
    np.testing.assert_array_equal(ordered[2:, 2, 0, 1], [2, 2])
    np.testing.assert_array_equal(ordered[:, 1, 0, 1], [1, 1, 0, 9])


def test_an_outline_that_enters_the_frame_becomes_one_closed_stroke():
    ink = np.zeros((12, 64, 64), np.uint8)
    for t, frame in enumerate(ink):
        cv2.rectangle(frame, (20, -30 + 4 * t), (44, 4 * t), 255)
        cv2.line(frame, (5, 0), (5, 63), 255)
    sequence = fit_curves(ink)
    assert sequence.visible[-1].sum() == 2
    at = sequence.points(64)[-1][sequence.visible[-1]]
    assert sorted(np.hypot(*(at[:, -1] - at[:, 0]).T) < 1e-6) == [False, True]
