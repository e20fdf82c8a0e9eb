"""Measures of drawings as strokes, against drawings whose numbers are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.stroke_errors import (
    POINTS,
    distributions,
    ink_distance,
    match_strokes,
    part_of,
)
from sketch2video.curves import CurveSequence

SIZE = 64


def line(start, end, frames: int, harmonics: int = 4) -> np.ndarray:
    """A straight stroke from ``start`` to ``end`` in every frame: (T, 2, K)."""
    # x(u) = a_0 + a_1 cos(pi u) is straight; its pen slows down at both ends.
    coefficients = np.zeros((frames, 2, harmonics), np.float32)
    coefficients[:, :, 0] = (np.array(start) + np.array(end)) / 2
    coefficients[:, :, 1] = (np.array(start) - np.array(end)) / 2
    return coefficients


def clip(*strokes: tuple[np.ndarray, list[int]]) -> CurveSequence:
    """Strokes, each with the frames that show it."""
    frames = len(strokes[0][0])
    visibility = np.zeros((frames, len(strokes)), np.float32)
    for slot, (_, shown) in enumerate(strokes):
        visibility[shown, slot] = 1
    return CurveSequence(np.stack([each for each, _ in strokes], 1), visibility)


def moving(coefficients: np.ndarray, step) -> np.ndarray:
    """The same stroke, moved by ``step`` from each frame to the next."""
    moved = coefficients.copy()
    moved[:, :, 0] += np.arange(len(moved))[:, None] * np.array(step)
    return moved


def test_distributions_of_known_strokes_are_exact():
    still = line((0.1, 0.1), (0.1, 0.5), 4)
    quick = moving(line((0.2, 0.2), (0.5, 0.6), 4), (0.03, 0.04))
    found = distributions([clip((still, [0, 1, 3]), (quick, [0, 1, 2, 3])), clip((still, [0]))], SIZE)
    assert found["strokes"].tolist() == [2, 2, 1, 2, 1, 0, 0, 0]
    assert found["lives"].tolist() == [3, 1]
    np.testing.assert_allclose(np.sort(found["length"]), [0.4] * 4 + [0.5] * 4, atol=1e-5)
    np.testing.assert_allclose(np.sort(found["speed"]), [0, 3.2, 3.2, 3.2], atol=1e-4)


def test_an_empty_drawing_has_no_lengths_and_no_speeds():
    found = distributions([clip((line((0, 0), (1, 1), 3), []))], SIZE)
    assert found["strokes"].tolist() == [0, 0, 0]
    assert found["lives"].tolist() == [0]
    assert len(found["length"]) == len(found["speed"]) == 0


def random_clip(rng: np.random.Generator, strokes: int, frames: int) -> CurveSequence:
    """Strokes of which each has one life."""
    parts = []
    for _ in range(strokes):
        birth = int(rng.integers(frames))
        ends = rng.uniform(0, 1, (2, 2))
        parts.append((line(*ends, frames), list(range(birth, int(rng.integers(birth, frames)) + 1))))
    return clip(*parts)


def brute_force(actual: CurveSequence, drawn: CurveSequence) -> tuple[int, float]:
    """The most pairs there can be, and the least sum of their mean distances."""
    real, made = actual.points(POINTS), drawn.points(POINTS)
    left, right = range(actual.visibility.shape[1]), range(drawn.visibility.shape[1])
    swapped = len(left) > len(right)
    if swapped:
        real, made, left, right = made, real, right, left
        actual, drawn = drawn, actual
    best = (0, 0.0)
    for partners in itertools.permutations(right, len(left)):
        costs = []
        for a, b in zip(left, partners, strict=True):
            both = actual.visible[:, a] & drawn.visible[:, b]
            if both.any():
                costs.append(np.linalg.norm(real[both, a] - made[both, b], axis=-1).mean())
        if len(costs) > best[0] or (len(costs) == best[0] and sum(costs) < best[1]):
            best = (len(costs), float(sum(costs)))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_as_many_strokes_are_matched_as_can_be(seed):
    rng = np.random.default_rng(seed)
    actual, drawn = random_clip(rng, 4, 5), random_clip(rng, 5, 5)
    pairs, _ = brute_force(actual, drawn)
    assert match_strokes(actual, drawn).unmatched == match_strokes(drawn, actual).unmatched == 4 + 5 - 2 * pairs


@pytest.mark.parametrize("seed", range(4))
def test_strokes_are_matched_as_trying_all_ways_would(seed):
    rng = np.random.default_rng(seed)
    clips = random_clip(rng, 4, 5), random_clip(rng, 5, 5)
    actual, drawn = (CurveSequence(one.coefficients, np.ones_like(one.visibility)) for one in clips)
    pairs, cost = brute_force(actual, drawn)
    found = match_strokes(actual, drawn)
    assert found.frames == 5 * pairs == 20
    assert found.distance / 5 == pytest.approx(cost, rel=1e-5)


def test_matching_knows_no_order_and_counts_shared_frames_alone():
    one, two = line((0.1, 0.1), (0.4, 0.1), 6), line((0.1, 0.9), (0.4, 0.9), 6)
    actual = clip((one, [0, 1, 2, 3]), (two, [0, 1, 2, 3, 4, 5]))
    lower = two.copy()
    lower[:, 1, 0] += 0.05
    drawn = clip((lower, [2, 3, 4, 5]), (one, [3, 4, 5]))
    found = match_strokes(actual, drawn)
    assert found.unmatched == 0
    assert found.frames == 4 + 1
    assert found.distance == pytest.approx(4 * 0.05, rel=1e-4)


def test_strokes_that_are_never_together_are_no_pair():
    stroke = line((0.1, 0.1), (0.4, 0.1), 4)
    found = match_strokes(clip((stroke, [0, 1])), clip((stroke, [2, 3])))
    assert found == (0.0, 0, 2)
    assert match_strokes(clip((stroke, [])), clip((stroke, [1]))) == (0.0, 0, 1)


def test_ink_distance_does_not_mind_how_ink_is_cut_into_strokes():
    whole = clip((line((0.1, 0.3), (0.9, 0.3), 3), [0, 1, 2]))
    halves = clip((line((0.9, 0.3), (0.5, 0.3), 3), [0, 1, 2]), (line((0.1, 0.3), (0.5, 0.3), 3), [0, 1, 2]))
    assert ink_distance(whole, halves).max() < 0.005
    lower = clip((line((0.1, 0.4), (0.9, 0.4), 3), [0, 1, 2]))
    np.testing.assert_allclose(ink_distance(whole, lower), 0.1, atol=1e-4)


def test_ink_distance_is_symmetric_and_a_missing_drawing_is_a_frame_width_off():
    stroke = line((0.1, 0.3), (0.9, 0.3), 4)
    short = line((0.1, 0.3), (0.3, 0.3), 4)
    first, second = clip((stroke, [0, 1])), clip((short, [0, 2]))
    there, back = ink_distance(first, second), ink_distance(second, first)
    np.testing.assert_allclose(there, back)
    # Of the long line the part from 0.3 to 0.9 is 0.3 away on average, three quarters of it; the short one lies on it.
    assert there[0] == pytest.approx((0.75 * 0.3 + 0) / 2, abs=0.005)
    assert there[1:].tolist() == [1, 1, 0]


def test_part_of_a_drawing_is_some_of_its_frames():
    whole = random_clip(np.random.default_rng(0), 3, 6)
    part = part_of(whole, slice(1, -1))
    np.testing.assert_array_equal(part.coefficients, whole.coefficients[1:5])
    np.testing.assert_array_equal(part.visibility, whole.visibility[1:5])
