"""The ridge problems of strokes, solved by Cholesky's decomposition.

cos(a) cos(b) = (cos(a - b) + cos(a + b)) / 2: the products of the basis, and so the normal matrix, are sums of the
transform of the weights at twice as many harmonics.
"""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.compiled import compiled


@compiled
def solved(spectrum: np.ndarray, ridge: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions c of (N + diag(ridge)) c = right for M strokes, with N[j, k] = spectrum[|j - k|] + spectrum[j + k].

    Args:
        spectrum: (M, 2 K - 1), half the cosine transform of the weights.
        ridge: (M, K), positive.
        right: (M, 2, K), for both axes.

    Returns:
        (M, 2, K).
    """
    count, _, size = right.shape
    solution = right.copy()
    upper = np.empty((size, size))
    for stroke in range(count):
        for j in range(size):
            for k in range(j, size):
                upper[j, k] = spectrum[stroke, k - j] + spectrum[stroke, j + k]
            upper[j, j] += ridge[stroke, j]
        x, y = solution[stroke, 0], solution[stroke, 1]
        # Elimination leaves U of N + R = U' D^-1 U, with D the diagonal of U.
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
