import math

import numpy as np
import pytest

from sketch2video.curves import ClipEquation, CurveSequence, MovingStroke


def a_stroke(birth=0.25, death=0.75, seed=0):
    coefficients = np.random.default_rng(seed).normal(0, 0.1, (4, 2, 5)).astype(np.float32)
    coefficients[1, :, 3:] = 0
    coefficients[2:, :, 1:] = 0
    return MovingStroke(birth, death, coefficients)


def test_a_stroke_is_the_double_sum_of_the_formula():
    stroke, time = a_stroke(), 0.4
    drawn = ClipEquation((stroke,), 8).at(np.array([time]))
    t = (time - 0.25) / 0.5
    functions = 1, t, math.sin(math.pi * t), math.sin(2 * math.pi * t)
    for j, point in enumerate(drawn.points(9)[0, 0]):
        for axis in (0, 1):
            value = sum(
                float(stroke.coefficients[m, axis, k]) * math.cos(k * math.pi * j / 8) * functions[m]
                for m in range(4)
                for k in range(5)
            )
            assert point[axis] == pytest.approx(value, abs=1e-6)
    offset, rate = stroke.clock
    assert offset + rate * time == pytest.approx(t)


def test_all_numbers_of_a_stroke_are_counted():
    stroke = a_stroke()
    assert stroke.limits == (5, 3, 1, 1)
    assert stroke.num_parameters == 2 * (5 + 3 + 1 + 1) + 4 + 1 + 2
    assert ClipEquation((stroke, a_stroke(0.5, 1.0)), 8).num_parameters == 2 * stroke.num_parameters


def test_a_zero_within_the_limits_is_a_number():
    coefficients = np.zeros((4, 2, 5))
    coefficients[0, 0, 1] = coefficients[2, 1, 3] = 1
    stroke = MovingStroke(0, 1, coefficients)
    assert stroke.limits == (4, 4, 4)
    assert stroke.num_parameters == 2 * 12 + 3 + 1 + 2
    assert MovingStroke(0, 1, np.zeros((1, 2, 1))).limits == ()


@pytest.mark.parametrize("factor", [3, 5])
def test_other_frame_rates_have_the_same_drawing_at_the_same_times(factor):
    clip = ClipEquation((a_stroke(0.0, 0.5, 1), a_stroke(0.25, 1.0, 2), a_stroke(0.75, 1.0, 3)), 8)
    fine, coarse = clip.sample(8 * factor), clip.sample()
    np.testing.assert_allclose(fine.coefficients[factor // 2 :: factor], coarse.coefficients, atol=1e-6)
    np.testing.assert_array_equal(fine.visibility[factor // 2 :: factor], coarse.visibility)
    assert fine.visible[:, 1].sum() == 6 * factor


def test_strokes_live_from_birth_to_death():
    clip = ClipEquation((a_stroke(0.0, 0.5), a_stroke(0.5, 1.0)), 4)
    shown = clip.at(np.array([0.0, 0.49, 0.5, 1.0]))
    assert shown.visible.sum(1).tolist() == [1, 1, 1, 1]
    assert not shown.coefficients[~shown.visible].any()


def test_slots_rest_for_a_frame_between_two_lives():
    lives = ((0.0, 0.5), (0.0, 0.25), (0.5, 1.0), (0.625, 1.0))
    clip = ClipEquation(tuple(a_stroke(*life) for life in lives), 8)
    assert clip.slots == (0, 1, 1, 0)


def test_a_clip_without_strokes_is_empty():
    drawn = ClipEquation((), 4).sample()
    assert (len(drawn), drawn.num_parameters, drawn.render(8, 8).any()) == (4, 0, False)


@pytest.mark.parametrize(
    ("birth", "death", "coefficients", "named"),
    [
        (0.5, 0.5, np.ones((1, 2, 1)), "live"),
        (0.0, 1.1, np.ones((1, 2, 1)), "live"),
        (0.0, 1.0, np.ones((1, 3, 1)), "shape|must be"),
        (0.0, 1.0, np.ones((0, 2, 1)), "none of them zero"),
        (0.0, 1.0, np.full((1, 2, 1), np.inf), "finite"),
    ],
)
def test_impossible_strokes_are_refused(birth, death, coefficients, named):
    with pytest.raises(ValueError, match=named):
        MovingStroke(birth, death, coefficients)


def test_impossible_clips_and_times_are_refused():
    with pytest.raises(ValueError, match="order"):
        ClipEquation((a_stroke(0.5, 1.0), a_stroke(0.0, 1.0)), 4)
    with pytest.raises(ValueError, match="frame"):
        ClipEquation((), 0)
    with pytest.raises(ValueError, match="frame"):
        ClipEquation((), 4).sample(0)
    for times in ([-0.1], [1.1], [math.nan], [[0.5]]):
        with pytest.raises(ValueError, match="from 0 to 1"):
            ClipEquation((), 4).at(np.array(times))


def test_a_sampled_clip_is_a_curve_sequence():
    assert isinstance(ClipEquation((a_stroke(),), 4).sample(), CurveSequence)
