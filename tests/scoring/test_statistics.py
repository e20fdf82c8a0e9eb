"""Statistics in blocks against NumPy on everything at once."""

import tracemalloc

import numpy as np
import pytest

from sketch2video.scoring.metrics import frechet_distance, kernel_distance
from sketch2video.scoring.statistics import Gaussian, blocks_of, frechet_of_rows, kernel_of_rows


def features(n, d, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(shift, 1, (n, d)) @ rng.normal(size=(d, d))).astype(np.float32)


@pytest.mark.parametrize(("n", "d", "size"), [(100, 12, 7), (9, 30, 4), (50, 8, 50), (5, 3, 1)])
def test_blocks_give_numpys_mean_and_covariance(n, d, size):
    x = features(n, d, 0, shift=3)
    found = Gaussian.of_blocks(blocks_of(x, size=size))
    assert found.count == n
    np.testing.assert_allclose(found.mean, x.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-9)
    assert found.root.shape[0] <= d


def test_the_order_of_merging_does_not_matter():
    a, b, c = (Gaussian.of(features(n, 6, n)) for n in (4, 11, 30))
    left, right = a.merged(b).merged(c), c.merged(a.merged(b))
    np.testing.assert_allclose(left.mean, right.mean, rtol=1e-12)
    np.testing.assert_allclose(left.covariance, right.covariance, rtol=1e-10, atol=1e-12)


def test_a_large_mean_costs_no_digits_of_the_covariance():
    x = np.random.default_rng(1).normal(size=(400, 5))
    found = Gaussian.of_blocks(blocks_of(x + 1e6, size=32))
    np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-6, atol=1e-8)


def test_distances_in_blocks_are_those_of_all_rows_at_once(monkeypatch):
    monkeypatch.setattr(blocks_of, "__defaults__", (None, 16))
    a, b = features(90, 10, 2), features(70, 10, 3, shift=0.3)
    rng = np.random.default_rng(4)
    rows_a, rows_b = rng.integers(90, size=90), rng.integers(70, size=70)  # with repetitions, as the bootstrap draws
    assert frechet_of_rows(a, b, rows_a, rows_b) == pytest.approx(frechet_distance(a[rows_a], b[rows_b]), rel=1e-9)
    assert kernel_of_rows(a, b, rows_a, rows_b) == pytest.approx(kernel_distance(a[rows_a], b[rows_b]), rel=1e-9)


def test_one_sample_has_no_covariance():
    one = Gaussian.of(features(1, 3, 0))
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        one.distance(one)


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    def peak(n):
        matrix = np.lib.format.open_memmap(tmp_path / f"{n}.npy", "w+", np.float32, (n, 64))
        tracemalloc.start()
        Gaussian.of_blocks(blocks_of(matrix, size=256))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(20_000) < peak(2_000) + 20_000 * 32  # the rows' numbers; the features would be 5 MB
