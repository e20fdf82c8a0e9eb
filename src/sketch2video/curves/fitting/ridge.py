"""The ridge problems of strokes, solved by Cholesky's decomposition.

cos(a) cos(b) = (cos(a - b) + cos(a + b)) / 2: the products of the basis, and so the normal matrix, are sums of the
transform of the weights at twice as many harmonics.
"""

from __future__ import annotations

import numpy as np

from sketch2video.compiled import compiled


def solved(
    prior: np.ndarray, weight: np.ndarray, target: np.ndarray, ridge: np.ndarray, basis: np.ndarray, doubled: np.ndarray
) -> np.ndarray:
    """Solutions c of (B' W B + R) c = B' W p + R c_prior for M strokes, for x and y.

    Args:
        prior: c_prior, (M, 2, K).
        weight: the diagonals of W, (M, n).
        target: p, (M, 2, n).
        ridge: the diagonals of R, (M, K), positive.
        basis: B, (n, K), cos(k a) at the angles a of the pen positions.
        doubled: (n, 2 K - 1), cos(k a) / 2.

    Returns:
        (M, 2, K).
    """
    count, n = weight.shape
    pulled = (target.swapaxes(0, 1) * weight).reshape(2 * count, n)
    right = (basis.T @ pulled.T).reshape(-1, 2, count) + (prior * ridge[:, None]).transpose(2, 1, 0)
    return _solved(doubled.T @ weight.T, np.ascontiguousarray(ridge.T), right).transpose(2, 1, 0)


@compiled
def _solved(spectrum: np.ndarray, ridge: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions (K, 2, M) of (N + diag(ridge)) c = right with N[j, k] = spectrum[|j - k|] + spectrum[j + k].

    Strokes are the last axis, so that the processor computes several at once.

    Args:
        spectrum: (2 K - 1, M).
        ridge: (K, M).
        right: (K, 2, M), which is overwritten.
    """
    size, _, count = right.shape
    upper, factor = np.empty((size, size, count)), np.empty(count)
    for j in range(size):
        for k in range(j, size):
            for s in range(count):
                upper[j, k, s] = spectrum[k - j, s] + spectrum[j + k, s]
        for s in range(count):
            upper[j, j, s] += ridge[j, s]
    # Elimination leaves U of N = U' D^-1 U, with D the diagonal of U.
    for j in range(size):
        for i in range(j + 1, size):
            for s in range(count):
                factor[s] = upper[j, i, s] / upper[j, j, s]
            for k in range(i, size):
                for s in range(count):
                    upper[i, k, s] -= factor[s] * upper[j, k, s]
            for axis in range(2):
                for s in range(count):
                    right[i, axis, s] -= factor[s] * right[j, axis, s]
    for j in range(size - 1, -1, -1):
        for axis in range(2):
            for k in range(j + 1, size):
                for s in range(count):
                    right[j, axis, s] -= upper[j, k, s] * right[k, axis, s]
            for s in range(count):
                right[j, axis, s] /= upper[j, j, s]
    return right
