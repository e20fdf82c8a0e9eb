import numpy as np
import pytest
import scipy.fft

from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting import series


def test_projection_is_the_discrete_cosine_transform():
    samples = np.random.default_rng(0).normal(size=(40, 2))
    expected = scipy.fft.dct(samples, axis=0)[:12].T / 40
    expected[:, 0] /= 2
    np.testing.assert_allclose(series.project(samples, 12), expected, atol=1e-12)


def test_projection_is_the_least_squares_fit():
    samples = np.random.default_rng(1).normal(size=(50, 2))
    expected = np.linalg.lstsq(cosines(50, 9, midpoints=True), samples, rcond=None)[0].T
    np.testing.assert_allclose(series.project(samples, 9), expected, atol=1e-10)


def test_a_closed_projection_meets_itself_at_least_cost():
    samples = np.random.default_rng(2).normal(size=(50, 2))
    closed = series.project(samples, 9, closed=True)
    ends = cosines(2, 9) @ closed.T
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-12)
    basis, meet = cosines(50, 9, midpoints=True), cosines(2, 9)[0] - cosines(2, 9)[1]
    # The constrained problem's Karush-Kuhn-Tucker system, solved directly.
    system = np.block([[basis.T @ basis, meet[:, None]], [meet[None], np.zeros((1, 1))]])
    right = np.concatenate([basis.T @ samples, np.zeros((1, 2))])
    np.testing.assert_allclose(closed, np.linalg.solve(system, right)[:-1].T, atol=1e-10)


@pytest.mark.parametrize("closed", [False, True])
def test_resampled_points_are_those_of_linear_interpolation(closed):
    points = np.random.default_rng(5).normal(size=(12, 2)).cumsum(0)
    points[4] = points[3]
    ring = np.concatenate([points, points[:1]]) if closed else points
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = (np.arange(20) + 0.5) / 20 * along[-1]
    expected = np.stack([np.interp(at, along, ring[:, axis]) for axis in (0, 1)], 1)
    np.testing.assert_allclose(series.resample(points, 20, closed), expected, atol=1e-12)
    np.testing.assert_array_equal(series.resample(points[:1], 3, closed), points[[0, 0, 0]])


def test_resampling_is_even_along_the_line():
    corner = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    np.testing.assert_allclose(series.resample(corner, 4, False), [[0.5, 0], [1.5, 0], [2.5, 0], [3, 0.5]])
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(series.resample(square, 4, True), [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("roll", [0, 1, 2, 3])
def test_a_closed_line_starts_at_its_upper_left_and_goes_clockwise(reverse, roll):
    square = np.roll(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), roll, axis=0)
    out = series.start_canonically(square[::-1] if reverse else square)
    np.testing.assert_array_equal(out, [[0, 0], [1, 0], [1, 1], [0, 1]])


def test_an_open_line_runs_right_or_down():
    lying, standing = np.array([[0.0, 1.0], [5.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 5.0]])
    for line in (lying, standing):
        np.testing.assert_array_equal(series.direct_canonically(line[::-1]), line)
        np.testing.assert_array_equal(series.direct_canonically(line), line)


def test_points_are_the_sum_of_the_cosines():
    coefficients = np.random.default_rng(3).normal(size=(4, 3, 2, 9))
    expected = np.einsum("nk,tsak->tsna", cosines(series.POINTS, 9, midpoints=True), coefficients)
    np.testing.assert_allclose(series.samples(coefficients), expected, atol=1e-12)
