"""Compiled loops against the same in NumPy."""

from itertools import pairwise

import numpy as np

from sketch2video.curves.fitting.coverage import best_run, without_ink
from sketch2video.curves.fitting.ink_map import InkFrame, meet, outside
from sketch2video.curves.fitting.matching import (
    best_shifts,
    distances_to_ink,
    misfits,
    moved_towards,
    shares_on,
    targets_of_points,
)
from sketch2video.curves.fitting.series import planes, sampled_planes

HEIGHT, WIDTH, REACH = 40, 50, 2.5


def noisy_frame(seed: int = 0) -> InkFrame:
    generator = np.random.default_rng(seed)
    return InkFrame.of(generator.random((HEIGHT, WIDTH)) < 0.04, generator.uniform(-0.49, 0.49, (HEIGHT, WIDTH, 2)))


def strokes(count: int = 4, n: int = 24) -> np.ndarray:
    """Points (M, n, 2), some outside of the frame."""
    generator = np.random.default_rng(1)
    return generator.uniform(-5, 52, (count, 1, 2)) + generator.normal(0, 1, (count, n, 2)).cumsum(1)


def distances(points: np.ndarray, frame: InkFrame) -> np.ndarray:
    return frame.distance[frame.at(points)] + outside(points, frame.skeleton.shape)


def test_targets_are_means_of_the_ink_that_is_nearest_to_a_point_or_the_nearest_ink():
    frame, points = noisy_frame(), strokes()
    distance, index, owner = meet(points, frame, REACH)
    weight, target, discrepancy = targets_of_points(
        planes(points), frame.ink, distance, index, frame.nearest, REACH, 1.5
    )
    assert discrepancy == np.minimum(distance, 1.5).mean()
    kinds = set()
    for stroke, line in enumerate(points):
        for j, point in enumerate(line):
            pulling = frame.ink[index == stroke * points.shape[1] + j]
            nearest = frame.nearest[frame.at(point)]
            if len(pulling):
                kinds.add("pulled")
                assert weight[stroke, j] == min(len(pulling), 3)
                np.testing.assert_allclose(target[stroke, :, j], pulling.mean(0))
            elif np.linalg.norm(frame.ink[nearest] - point) <= REACH and owner[nearest] in (-1, stroke):
                kinds.add("attracted")
                assert weight[stroke, j] == 0.5
                np.testing.assert_array_equal(target[stroke, :, j], frame.ink[nearest])
            else:
                kinds.add("hidden")
                assert weight[stroke, j] == 0
    assert kinds == {"pulled", "attracted", "hidden"}


def test_strokes_move_by_the_similarity_nearest_to_their_targets():
    generator = np.random.default_rng(2)
    series = generator.normal(size=(3, 2, 12))
    points = sampled_planes(series)
    a, b = 1.1 * np.exp(0.2j), np.array([3, 4j, -2 + 1j])
    z = points[:, 0] + 1j * points[:, 1]
    target = np.stack([(a * z + b[:, None]).real, (a * z + b[:, None]).imag], 1)
    weight = generator.uniform(0.5, 3, (3, points.shape[-1]))
    weight[2] = 0.0
    moved, moved_points = moved_towards(series, points, weight, target)
    np.testing.assert_allclose(moved_points, sampled_planes(moved), atol=1e-12)
    np.testing.assert_allclose(moved[2], series[2])  # no target
    for i in range(2):
        # The least squares problem in (Re a, Im a, Re b, Im b), with 0.1 of the spread as further weight of a = 1.
        x, y, one = points[i, 0], points[i, 1], np.ones(points.shape[-1])
        rows = np.concatenate([np.stack([x, -y, one, 0 * one], 1), np.stack([y, x, 0 * one, one], 1)])
        w = np.sqrt(np.tile(weight[i], 2))
        middle = [(weight[i] * c).sum() / weight[i].sum() for c in (x, y)]
        spread = (weight[i] * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)).sum()
        hold = np.sqrt(0.1 * spread + 1e-6)
        rows = np.concatenate([rows * w[:, None], hold * np.eye(2, 4)])
        right = np.concatenate([target[i].ravel() * w, [hold, 0]])
        # With the origin in the middle of the stroke, so that a changes its form alone.
        rows[: 2 * len(x), 0] -= w * np.repeat(middle, len(x))
        rows[: 2 * len(x), 1] -= w * np.repeat([-middle[1], middle[0]], len(x))
        real, imaginary, right_shift, down_shift = np.linalg.lstsq(rows, right, rcond=None)[0]
        centred = (x - middle[0]) + 1j * (y - middle[1])
        expected = (real + 1j * imaginary) * centred + right_shift + 1j * down_shift
        np.testing.assert_allclose(moved_points[i, 0] + 1j * moved_points[i, 1], expected, atol=1e-6)


def test_misfits_are_mean_distances_after_each_shift():
    frame, points, offsets = noisy_frame(), strokes(), np.linspace(-6, 6, 5)
    found = misfits(planes(points), offsets, frame.distance, 3.0)
    for i, right in enumerate(offsets):
        for j, down in enumerate(offsets):
            expected = np.minimum(distances(points + np.array([right, down]), frame), 3.0).mean(1)
            np.testing.assert_allclose(found[:, i, j], expected)


def test_the_best_shifts_have_the_smallest_costs():
    generator = np.random.default_rng(3)
    apart, offsets, share = generator.uniform(0, 3, (4, 5, 5)), np.linspace(-6, 6, 5), np.full(4, 0.25)
    own = generator.uniform(0.1, 0.4, 4)
    shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1)
    common = shifts[np.unravel_index(np.argmin(apart.mean(0) + 0.15 * np.linalg.norm(shifts, axis=-1)), (5, 5))]
    found = best_shifts(apart, offsets, share, 0.15, own)
    for i in range(4):
        cost = apart[i] + own[i] * np.linalg.norm(shifts - common, axis=-1)
        np.testing.assert_array_equal(found[i], shifts[np.unravel_index(np.argmin(cost), (5, 5))])


def test_distances_to_ink_are_those_of_the_pixels():
    frame, points = noisy_frame(), strokes()
    near, apart = distances_to_ink(planes(points), frame.distance, REACH, 3.0)
    np.testing.assert_allclose(near, (distances(points, frame) <= REACH).mean(1))
    np.testing.assert_allclose(apart, np.minimum(distances(points, frame), 3.0).mean(1))


def test_shares_on_a_mask_are_those_of_its_pixels():
    frame, points = noisy_frame(), strokes()
    whole = np.random.default_rng(4).random((HEIGHT, WIDTH)) < 0.5
    part = np.zeros_like(whole)
    part[5:30, 8:] = whole[5:30, 8:]
    found = shares_on(planes(points), HEIGHT, WIDTH, whole[5:30, 8:], 5, 8)
    np.testing.assert_allclose(found, part[frame.at(points)].mean(1))
    assert found.any()


def test_points_without_ink_are_counted_by_frame():
    frames, points = [noisy_frame(seed) for seed in range(3)], strokes()
    inside = np.random.default_rng(5).random((3, HEIGHT, WIDTH)) < 0.5
    at = np.array([2, 0, 1, 2])
    bare, open_ = without_ink(planes(points), at, np.stack([frame.distance for frame in frames]), inside, REACH)
    for i, t in enumerate(at):
        far = distances(points[i], frames[t]) > REACH
        assert bare[i] == far.sum()
        assert open_[i] == (far & ~inside[t][frames[t].at(points[i])]).sum()
    assert (open_ > 0).any()


def test_the_best_run_is_that_of_all_runs():
    generator = np.random.default_rng(6)
    for _ in range(30):
        sizes = generator.integers(0, 9, 7)
        starts = 40 + np.concatenate([[0], np.cumsum(sizes)])
        drawn, left = generator.random((2, sizes.sum())) < 0.6
        cost = generator.uniform(0, 4, 7)
        parts = [slice(a - 40, b - 40) for a, b in pairwise(starts)]
        gain = [
            (drawn[part] & left[part]).sum() - 0.25 * (drawn[part] & ~left[part]).sum() - price
            for part, price in zip(parts, cost, strict=True)
        ]
        most = max(sum(gain[a:b]) for a in range(8) for b in range(a, 8))
        first, end, worth = best_run(drawn, left, starts, cost, 0.25)
        np.testing.assert_allclose([worth, sum(gain[first:end])], most, atol=1e-12)
