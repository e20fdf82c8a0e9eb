"""The ridge problems of strokes, solved by Cholesky's decomposition.

cos(a) cos(b) = (cos(a - b) + cos(a + b)) / 2: the products of the basis, and so the normal matrix, are sums of the
transform of the weights at twice as many harmonics.
"""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.compiled import compiled


@compiled
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
    count, _, size = prior.shape
    solution = np.empty_like(prior)
    spectrum, upper = np.empty(2 * size - 1), np.empty((size, size))
    for stroke in range(count):
        x, y = solution[stroke, 0], solution[stroke, 1]
        spectrum[:] = 0.0
        for k in range(size):
            x[k], y[k] = ridge[stroke, k] * prior[stroke, 0, k], ridge[stroke, k] * prior[stroke, 1, k]
        for j in range(len(basis)):
            w = weight[stroke, j]
            if w > 0:
                to_x, to_y, cosine, twice = w * target[stroke, 0, j], w * target[stroke, 1, j], basis[j], doubled[j]
                for k in range(size):
                    x[k] += to_x * cosine[k]
                    y[k] += to_y * cosine[k]
                for k in range(2 * size - 1):
                    spectrum[k] += w * twice[k]
        for j in range(size):
            row = upper[j]
            for k in range(j, size):
                row[k] = spectrum[k - j] + spectrum[j + k]
            row[j] += ridge[stroke, j]
        # Elimination leaves U of B' W B + R = U' D^-1 U, with D the diagonal of U.
        for j in range(size):
            row = upper[j]
            for i in range(j + 1, size):
                factor = row[i] / row[j]
                below = upper[i]
                for k in range(i, size):
                    below[k] -= factor * row[k]
                x[i] -= factor * x[j]
                y[i] -= factor * y[j]
        for j in range(size - 1, -1, -1):
            for k in range(j + 1, size):
                x[j] -= upper[j, k] * x[k]
                y[j] -= upper[j, k] * y[k]
            x[j] /= upper[j, j]
            y[j] /= upper[j, j]
    return solution
