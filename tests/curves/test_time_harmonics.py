from itertools import combinations_with_replacement

import numpy as np
import pytest
import scipy.fft

from sketch2video.curves import CurveSequence, fit_clip, fit_curves
from sketch2video.curves.fitting.time_harmonics import (
    _limits,
    _lives,
    _lost,
    _lowered,
    _numbers,
    _raised,
    _stacked,
    smooth_in_time,
)
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches


def moving(frames=12, harmonics=6, seed=0):
    """A rough stroke whose pen coefficients fall with k, and whose motion falls with m."""
    rng = np.random.default_rng(seed)
    amplitudes = 0.2 / (1 + np.arange(frames))[:, None, None] ** 2 / (1 + np.arange(harmonics)) ** 2
    amplitudes = amplitudes * rng.normal(0, 1, (frames, 2, harmonics))
    times = (np.arange(frames) + 0.5) / frames
    return np.tensordot(np.cos(np.pi * np.outer(times, np.arange(frames))), amplitudes, 1)


def drawing(*series, frames=None):
    """A sequence of strokes (first frame, (L, 2, K))."""
    frames = frames or max(first + len(one) for first, one in series)
    coefficients = np.zeros((frames, len(series), 2, max(one.shape[-1] for _, one in series)))
    visibility = np.zeros((frames, len(series)))
    for slot, (first, one) in enumerate(series):
        coefficients[first : first + len(one), slot, :, : one.shape[-1]] = one
        visibility[first : first + len(one), slot] = 1
    return CurveSequence(coefficients, visibility)


def distance(curves, clip):
    """Root mean square distance of points at the same pen position, lines weighted by length."""
    ours, theirs = clip.sample().points(400), curves.points(400)
    np.testing.assert_array_equal(clip.sample().visible, curves.visible[:, : ours.shape[1]])
    theirs = theirs[:, : ours.shape[1]]
    squares = ((ours - theirs) ** 2).sum(-1).mean(-1)
    length = np.linalg.norm(np.diff(theirs, axis=2), axis=-1).sum(-1)
    weights = np.where(clip.sample().visible, length.mean(0) * len(length) / clip.sample().visible.sum(0), 0)
    return float(np.sqrt((weights * squares).sum() / weights.sum()))


@pytest.fixture(scope="module")
def scene():
    """Two strokes of one scene that are fitted frame by frame."""
    what = [Combination("star", "red", "left to right"), Combination("circle", "blue", "top to bottom")]
    rendered = render_scene(sample_scene(np.random.default_rng(1), what, frames=12), 64, 12)
    return fit_curves(extract_sketches(rendered.frames))


def function(m, t):
    """Function m of time."""
    return [np.ones_like(t), t][m] if m < 2 else np.sin((m - 1) * np.pi * t)


@pytest.mark.parametrize("m", [0, 1, 2, 5])
def test_a_stroke_that_moves_as_a_function_of_time_needs_exactly_its_numbers(m):
    shape = np.random.default_rng(0).normal(0, 0.1, (2, 7))
    series = np.tile(shape, (20, 1, 1))
    series[:, 0, 0] += 0.3 * function(m, (np.arange(20) + 0.5) / 20)
    clip = fit_clip(drawing((0, series)), tolerance=1e-5)
    (stroke,) = clip.strokes
    assert stroke.limits == (7, *[1] * m)
    assert clip.num_parameters == 2 * (7 + m) + (1 + m) + 3
    expected = np.zeros((1 + m, 2, 7))
    expected[0] = shape
    expected[m, 0, 0] += 0.3
    np.testing.assert_allclose(stroke.coefficients, expected, atol=1e-5)


def test_coefficients_are_the_least_squares_solution_of_the_dense_system():
    series = moving()
    clip = fit_clip(drawing((0, series)), tolerance=0.01)
    (stroke,) = clip.strokes
    assert 1 < len(stroke.limits) < len(series)
    assert stroke.limits[0] > stroke.limits[-1]
    u = (np.arange(64) + 0.5) / 64
    t = (np.arange(12) + 0.5) / 12
    cells = [(m, k) for m, limit in enumerate(stroke.limits) for k in range(limit)]
    system = np.stack([np.outer(function(m, t), np.cos(k * np.pi * u)).ravel() for m, k in cells], axis=1)
    points = np.einsum("nk,tak->tna", np.cos(np.pi * np.outer(u, np.arange(6))), series).reshape(-1, 2)
    expected = np.linalg.lstsq(system, points, rcond=None)[0]
    found = np.stack([stroke.coefficients[m, :, k] for m, k in cells])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_not_straight_is_the_sine_transform():
    """Sines on the middles of 16 frames, the last of which is not used: their transform (DST-II) is orthogonal."""
    series = moving(16)
    rest = scipy.fft.dst(series, type=2, axis=0)
    rest[14:] = 0
    series = 0.1 + 0.2 * (np.arange(16)[:, None, None] + 0.5) / 16 + scipy.fft.idst(rest, type=2, axis=0)
    (stroke,) = fit_clip(drawing((0, series)), tolerance=0.0).strokes
    expected = np.concatenate([np.full((1, 2, 6), 0.1), np.full((1, 2, 6), 0.2), rest[:14] / 16])
    np.testing.assert_allclose(stroke.coefficients, expected, atol=1e-5)


@pytest.mark.parametrize("frames", [64, 256])
def test_a_long_life_is_reproduced(frames):
    series = moving(frames)
    clip = fit_clip(drawing((0, series)), tolerance=0.0)
    np.testing.assert_allclose(clip.sample().coefficients[:, 0], series, atol=1e-5)


def every_choice(frames, most):
    """All limits of a stroke of some frames whose line has at least two pen harmonics."""
    choices = (limits[::-1] for limits in combinations_with_replacement(range(most + 1), frames))
    return [np.array(limits)[None] for limits in choices if limits[0] >= 2]


@pytest.mark.parametrize("price", [1e-7, 1e-5, 1e-4, 1e-3, 1e-2])
def test_limits_are_the_best_of_all(price):
    lives = _lives(drawing((0, moving(4, 5)), (1, moving(3, 4, 1))), np.zeros(4, bool))
    removed, harmonics = _stacked(lives)
    ours = _limits(removed, harmonics, price)
    for i, (frames, most) in enumerate(((4, 5), (3, 4))):
        choices = [np.pad(limits, ((0, 0), (0, 4 - frames))) for limits in every_choice(frames, most)]
        cost = [_lost(removed[i : i + 1], limits) + price * _numbers(limits) for limits in (ours[i : i + 1], *choices)]
        assert cost[0] == pytest.approx(min(cost[1:]))


def test_what_is_left_of_the_tolerance_saves_numbers():
    lives = _lives(drawing((0, moving(4, 5))), np.zeros(4, bool))
    removed, harmonics = _stacked(lives)
    choices = every_choice(4, 5)
    energy = removed[..., -1].sum()
    for allowed in energy * np.array([1e-1, 1e-2, 1e-3, 1e-4]):
        lowered = _lowered(removed, harmonics, np.full((1, 4), 5), allowed)
        raised = _raised(removed, harmonics, np.array([[2, 0, 0, 0]]), _numbers(lowered))
        # No change of one limit is possible any more: the rest is less than that of any such choice.
        for limits in choices:
            if np.count_nonzero(limits != lowered) == 1 and (limits <= lowered).all():
                assert _lost(removed, limits) > allowed
            if np.count_nonzero(limits != raised) == 1 and (limits >= raised).all():
                assert _numbers(limits) > _numbers(lowered)
        assert _lost(removed, lowered) <= allowed
        assert _numbers(raised) <= _numbers(lowered)
        fewest = min(_numbers(limits) for limits in choices if _lost(removed, limits) <= allowed)
        assert fewest <= _numbers(lowered) <= fewest + 6


def test_the_error_that_is_foreseen_is_that_of_the_solution():
    curves = drawing((0, moving()), (3, moving(7, 4, 1)))
    for tolerance in (0.001, 0.005, 0.02):
        clip = fit_clip(curves, tolerance=tolerance)
        assert 0.5 * tolerance < distance(curves, clip) <= 1.02 * tolerance


def test_a_tolerance_of_zero_gives_back_the_strokes_of_the_frames(scene):
    clip = fit_clip(scene, tolerance=0.0)
    again = clip.sample()
    slots = again.visibility.shape[1]
    np.testing.assert_array_equal(again.visible, scene.visible[:, :slots])
    assert not scene.visible[:, slots:].any()
    np.testing.assert_allclose(again.points(100), scene.points(100)[:, :slots], atol=1e-4)


def test_a_coefficient_that_is_zero_by_chance_is_within_the_limits():
    """The strokes of the frames have it at one function of time and not at a lower one."""
    t = (np.arange(8) + 0.5) / 8
    series = np.tile([[0.5, 0.2, 0.0], [0.5, 0.1, 0.0]], (8, 1, 1))
    series[:, 0, 2] = 0.1 * np.sin(2 * np.pi * t)
    curves = drawing((0, series))
    np.testing.assert_allclose(fit_clip(curves, tolerance=0.0).sample().points(50), curves.points(50), atol=1e-5)


def test_numbers_are_shared_out_within_the_budget(scene):
    errors = []
    for budget in (60, 100, 200, 300):
        clip = fit_clip(scene, budget=budget, tolerance=0.0)
        assert 0.8 * budget <= clip.num_parameters <= budget
        errors.append(distance(scene, clip))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1]


def test_the_tolerance_ends_the_sharing_before_the_budget(scene):
    freely, within = (fit_clip(scene, budget=budget, tolerance=0.01) for budget in (None, 10_000))
    assert freely.num_parameters == within.num_parameters < 300


def test_a_stroke_that_moves_gets_more_functions_of_time_than_one_that_stands():
    still, lively = np.tile(moving(1), (12, 1, 1)), moving(seed=3)
    clip = fit_clip(drawing((0, still), (0, lively)), tolerance=0.002)
    assert len(clip.strokes[0].limits) == 1
    assert len(clip.strokes[1].limits) > 2


def test_slow_motion_is_between_the_frames():
    """Fitted to every second frame of a smooth motion, the clip has the frames that are left out."""
    t = (np.arange(33) + 0.5) / 33
    series = np.tile(moving(1), (33, 1, 1))
    series[:, 0, 0] += 0.6 * t
    series[:, 1, 0] += 0.3 * np.sin(4 * t)
    clip = fit_clip(drawing((0, series[1::2])), tolerance=0.0003)
    # Frames 1, 3, ... of 33 are the middles of 16 frames, so the even ones are borders between them.
    between = clip.at(np.arange(1, 16) / 16).coefficients[:, 0]
    np.testing.assert_allclose(between, series[2:-2:2], atol=0.002)


def test_hidden_frames_have_no_influence():
    curves = drawing((0, moving(6)), (2, moving(3, seed=1)), frames=8)
    noise = np.random.default_rng(5).normal(0, 1, curves.coefficients.shape)
    noisy = np.where(curves.visible[..., None, None], curves.coefficients, noise)
    one, other = fit_clip(curves), fit_clip(CurveSequence(noisy, curves.visibility))
    for a, b in zip(one.strokes, other.strokes, strict=True):
        assert (a.birth, a.death) == (b.birth, b.death)
        np.testing.assert_array_equal(a.coefficients, b.coefficients)
    assert [(stroke.birth, stroke.death) for stroke in one.strokes] == [(0, 0.75), (0.25, 0.625)]


def test_a_slot_that_is_used_again_is_another_life_and_cuts_end_all():
    curves = drawing((0, moving(8)), (1, moving(7, seed=1)))
    visibility = curves.visibility.copy()
    visibility[3, 0] = 0.2
    curves = CurveSequence(curves.coefficients, visibility)
    lives = [(stroke.birth * 8, stroke.death * 8) for stroke in fit_clip(curves).strokes]
    assert lives == [(0, 3), (1, 8), (4, 8)]
    cut = fit_clip(curves, np.arange(8) == 5)
    assert [(stroke.birth * 8, stroke.death * 8) for stroke in cut.strokes] == [(0, 3), (1, 5), (4, 5), (5, 8), (5, 8)]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_stroke_that_lives_one_frame_is_its_series(frames):
    series = moving(1)
    clip = fit_clip(drawing((0, series), frames=frames), tolerance=0.0)
    assert clip.num_parameters == 2 * 6 + 1 + 3
    sampled = clip.sample(4 * frames)
    assert sampled.visible[:4].all()
    assert not sampled.visible[4:].any()
    np.testing.assert_allclose(sampled.coefficients[:4, 0], np.tile(series, (4, 1, 1)), atol=1e-6)


def test_a_clip_without_strokes_has_no_numbers():
    for strokes in (0, 2):
        empty = CurveSequence(np.ones((5, strokes, 2, 3)), np.zeros((5, strokes)))
        clip = fit_clip(empty, budget=0)
        assert (clip.strokes, clip.num_parameters, clip.frames) == ((), 0, 5)
        assert not clip.sample().visible.any()


def test_a_point_is_a_stroke():
    series = np.zeros((4, 2, 3))
    series[..., 0] = 0.5
    clip = fit_clip(drawing((0, series)))
    assert clip.num_parameters == 2 * 1 + 1 + 3
    np.testing.assert_allclose(clip.sample().coefficients[..., 0], 0.5)


def test_impossible_requests_are_refused():
    curves = drawing((0, moving()))
    with pytest.raises(ValueError, match="a budget of 7 numbers cannot hold 1 strokes, which need 8"):
        fit_clip(curves, budget=7)
    with pytest.raises(ValueError, match="cuts"):
        fit_clip(curves, np.zeros(3, bool))


def test_strokes_that_are_smooth_in_time_stay_in_their_frames_and_slots(scene):
    visibility = scene.visibility.copy()
    visibility[:3, 0] = visibility[7:, 1] = 0
    curves = CurveSequence(scene.coefficients, visibility)
    smooth = smooth_in_time(curves, tolerance=0.005)
    np.testing.assert_array_equal(smooth.visibility, curves.visibility)
    assert not (smooth.coefficients != 0)[curves.coefficients == 0].any()
    np.testing.assert_array_equal(smooth.coefficients[~curves.visible], curves.coefficients[~curves.visible])
    seen = curves.visible
    apart = np.sqrt(((smooth.points(200) - curves.points(200))[seen] ** 2).sum(-1).mean())
    assert 0.001 < apart < 0.006
    jerks = [np.abs(np.diff(one.points(200)[3:7, :2], 2, axis=0)).mean() for one in (smooth, curves)]
    assert jerks[0] < 0.5 * jerks[1]


def test_smooth_strokes_are_those_of_the_equation_of_the_clip():
    curves = drawing((0, moving(12, 4)), (4, moving(8, 4, 1)))
    cuts = np.arange(12) == 9
    drawn = fit_clip(curves, cuts, tolerance=0.004).sample()
    smooth = smooth_in_time(curves, cuts, tolerance=0.004)
    alike = np.abs(drawn.points(30)[:, :, None] - smooth.points(30)[:, None]).max((3, 4)) < 1e-5
    for t in range(12):
        shown = alike[t][np.ix_(drawn.visible[t], smooth.visible[t])]
        assert shown.any(0).all()
        assert shown.any(1).all()
    empty = CurveSequence(np.ones((5, 2, 2, 3)), np.zeros((5, 2)))
    np.testing.assert_array_equal(smooth_in_time(empty, tolerance=0.1).coefficients, empty.coefficients)
    with pytest.raises(ValueError, match="cuts"):
        smooth_in_time(curves, np.zeros(3, bool), tolerance=0.1)
