"""Statistics of features that do not fit into memory: computed in blocks in float64, merged in any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sketch2video.scoring.metrics import Matrix, cubic_kernel, gaussian_distance

BLOCK = 1024
"""Number of rows of a block."""


@dataclass(frozen=True)
class Gaussian:
    """Running mean and scatter of rows; its size does not depend on their number.

    The scatter ``S = Σ (x − μ)(x − μ)ᵀ`` is represented by a root ``R``, ``RᵀR = S``, updated by QR decomposition,
    which avoids the loss of precision by squaring (Golub and Van Loan, "Matrix Computations", section 6.5).

    Attributes:
        count: number of rows.
        mean: (D,) float64.
        root: R, (at most D, D) float64.
    """

    count: int
    mean: Matrix
    root: Matrix

    @classmethod
    def of(cls, features: np.ndarray) -> Gaussian:
        """Statistics of rows (N, D), N ≥ 1."""
        x = np.asarray(features, np.float64)
        mean = x.mean(0)
        return cls(len(x), mean, np.linalg.qr(x - mean)[1])

    @classmethod
    def of_blocks(cls, blocks: Iterable[np.ndarray]) -> Gaussian:
        """Statistics of at least one block of rows (n, D)."""
        found: Gaussian | None = None
        for block in blocks:
            found = cls.of(block) if found is None else found.merged(cls.of(block))
        if found is None:
            raise ValueError("there is no block of features")
        return found

    def merged(self, other: Gaussian) -> Gaussian:
        """Merge two sets of rows (Chan et al. 1979, "Updating Formulae and a Pairwise Algorithm", with roots)."""
        count = self.count + other.count
        step = other.mean - self.mean
        between = math.sqrt(self.count * other.count / count) * step
        root = np.linalg.qr(np.vstack([self.root, other.root, between]))[1]
        return Gaussian(count, self.mean + step * (other.count / count), root)

    @property
    def covariance(self) -> Matrix:
        """Covariance (D, D), with denominator N − 1."""
        return self._root_of_covariance().T @ self._root_of_covariance()

    def distance(self, other: Gaussian) -> float:
        """:func:`~sketch2video.scoring.metrics.frechet_distance` between the rows of both; at least 2 rows each."""
        return gaussian_distance(self.mean, self._root_of_covariance(), other.mean, other._root_of_covariance())

    def _root_of_covariance(self) -> Matrix:
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.count}")
        return self.root / math.sqrt(self.count - 1)


def blocks_of(features: np.ndarray, rows: np.ndarray | None = None, size: int = BLOCK) -> Iterator[Matrix]:
    """Yield rows of (N, D) features, which may be on disk, as float64 (n, D), n ≤ ``size``.

    Args:
        features: an array or a memory map.
        rows: indices of the rows, possibly repeated; all by default. They are yielded in ascending order.
        size: number of rows of a block.
    """
    rows = np.arange(len(features)) if rows is None else np.sort(rows)
    for start in range(0, len(rows), size):
        yield np.asarray(features[rows[start : start + size]], np.float64)


def frechet_of_rows(a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray) -> float:
    """``frechet_distance(a[rows_a], b[rows_b])`` with one block in memory at a time."""
    return Gaussian.of_blocks(blocks_of(a, rows_a)).distance(Gaussian.of_blocks(blocks_of(b, rows_b)))


def kernel_of_rows(a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray) -> float:
    """``kernel_distance(a[rows_a], b[rows_b])`` with two blocks in memory at a time."""
    n, m = len(rows_a), len(rows_b)
    if min(n, m) < 2:
        raise ValueError(f"an unbiased distance needs at least 2 samples a side, got {n} and {m}")
    within_a = (_kernel_sum(a, a, rows_a, rows_a) - _kernel_trace(a, rows_a)) / (n * (n - 1))
    within_b = (_kernel_sum(b, b, rows_b, rows_b) - _kernel_trace(b, rows_b)) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel_sum(a, b, rows_a, rows_b) / (n * m)


RowDistance = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]


def _kernel_sum(a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray) -> float:
    return sum(float(cubic_kernel(x, y).sum()) for x in blocks_of(a, rows_a) for y in blocks_of(b, rows_b))


def _kernel_trace(a: np.ndarray, rows: np.ndarray) -> float:
    return sum(float((((x**2).sum(1) / x.shape[1] + 1) ** 3).sum()) for x in blocks_of(a, rows))
