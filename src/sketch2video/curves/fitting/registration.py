"""Registration of strokes to the ink of a frame, for a fixed set of strokes.

A stroke is first shifted (chamfer matching, Barrow et al. 1977), then rotated and scaled towards its ink (iterative
closest points, Besl and McKay 1992), and then solved for: a ridge problem that is regularised towards the moved stroke
by a weight that grows with k², so that the position adapts first, and detail only with enough ink.
"""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting.ink_map import InkFrame, meet
from sketch2video.curves.fitting.series import close, grid_size, points_at, samples

GAP = 0.03
"""Ends this far apart, in frame widths, may be joined into one line."""

REACH = 0.025
"""Ink this near to a stroke, in frame widths, is covered by it."""

SEARCH = 0.1
"""Search radius around the predicted position of a stroke, in frame widths."""

HIDDEN = 10.0
"""Relative increase of the stiffness of a completely occluded stroke; proportional to the occluded part."""

RELUCTANCE = 0.15
"""Decrease of the mean distance to the ink in px that justifies a pixel of deviation from the prediction."""

PLAIN = 0.3
"""Strokes shorter than this, in frame widths, are ambiguous: they follow the others rather than the nearest ink."""

STAY = 0.3
"""Decrease of the distance to the ink in px that justifies any motion of a line."""


class Registration:
    """Registration of the strokes of a drawing to ink; all lengths in px.

    Args:
        width: of the frames.
        harmonics: K, of the strokes.
        stiffness: weight of a stroke's own form, which grows with k².
    """

    def __init__(self, width: int, harmonics: int, stiffness: float) -> None:
        self.size = width
        self.harmonics = harmonics
        self.n = grid_size(harmonics)
        self.basis = cosines(self.n, harmonics, midpoints=True)
        self.coarse = self.basis[::4]
        # cos(a) cos(b) = (cos(a - b) + cos(a + b)) / 2: products of the basis are sums of twice as many harmonics.
        self.doubled = cosines(self.n, 2 * harmonics - 1, midpoints=True) / 2
        k = np.arange(harmonics)
        self.differences, self.sums = np.abs(k[:, None] - k), k[:, None] + k
        self.ridge = stiffness * self.n * np.arange(harmonics) ** 2.0
        self.reach = max(REACH * width, 1.5)
        self.gap = max(GAP * width, 3.0)
        self.offsets = np.linspace(-SEARCH, SEARCH, 9) * width
        self.shifts = np.stack(np.meshgrid(self.offsets, self.offsets, indexing="ij"), -1).reshape(-1, 2)

    def momentum(self, own: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Predicted velocities (M, 2) from previous ones: those of long strokes are kept, short ones get the mean."""
        common = _mean(own, length)
        weight = (length / (length + PLAIN * self.size))[:, None]
        return weight * own + (1 - weight) * common

    def shift_onto_ink(self, coefficients: np.ndarray, length: np.ndarray, frame: InkFrame) -> np.ndarray:
        """The shift (M, 2) of each stroke to ink; a common one unless the ink indicates different ones."""
        shifts, points = self.shifts, points_at(self.coarse, coefficients)
        apart = frame.distance_from_shifted(points, self.offsets).reshape(len(points), -1, points.shape[1])
        misfit = np.minimum(apart, 2.5 * self.reach).mean(-1)
        together = _mean(misfit, length) + RELUCTANCE * np.hypot(shifts[:, 0], shifts[:, 1])
        aside = shifts - shifts[np.argmin(together)]
        reluctance = RELUCTANCE * (1 + PLAIN * self.size / np.maximum(length, 1.0))[:, None]
        return shifts[np.argmin(misfit + reluctance * np.hypot(aside[:, 0], aside[:, 1]), axis=1)]

    def stays(self, before: np.ndarray, moved: np.ndarray, frame: InkFrame) -> np.ndarray:
        """Strokes (M,) that are on ink also without motion: the motion of a line along itself is not observable."""
        there, here = (
            np.minimum(frame.distance_from(points_at(self.coarse, c)), 2.5 * self.reach).mean(-1)
            for c in (before, moved)
        )
        return np.asarray(there <= here + STAY)

    def targets(self, coefficients: np.ndarray, frame: InkFrame, reach: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Target of each pen position, and the distance of the ink from the current strokes.

        Returns:
            The weight (M, n) of each target, 0 where no ink is in reach; the targets (M, n, 2), px; the discrepancy:
            the mean distance in px from ink to the nearest stroke, clipped at :attr:`reach`.
        """
        points = samples(coefficients)
        count, n = points.shape[:2]
        distance, nearest, owner = meet(points, frame, reach)
        found = owner >= 0
        nearest = nearest[found]
        pulls = np.bincount(nearest, minlength=count * n).astype(np.float64)
        target = (
            np.stack([np.bincount(nearest, frame.ink[found, axis], minlength=count * n) for axis in (0, 1)], axis=-1)
            / np.maximum(pulls, 1.0)[:, None]
        )
        nearest = frame.nearest[frame.at(points)]
        pull = frame.ink[nearest]
        inked = np.hypot(pull[..., 0] - points[..., 0], pull[..., 1] - points[..., 1]) <= reach
        pulls, target = pulls.reshape(count, n), target.reshape(count, n, 2)
        # An occluded part of a stroke keeps its form: it is not attracted by the lines of the occluder.
        owner = owner[nearest]
        bare = (pulls == 0) & inked & ((owner < 0) | (owner == np.arange(count)[:, None]))
        weight = np.where(bare, 0.5, np.minimum(pulls, 3.0))
        target = np.where(bare[..., None], pull, target)
        return weight, target, float(np.minimum(distance, self.reach).mean())

    def similar(self, coefficients: np.ndarray, weight: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Rotate, scale and shift each stroke towards its targets, as complex numbers z -> a z + b."""
        points = samples(coefficients)
        z, w = points[..., 0] + 1j * points[..., 1], target[..., 0] + 1j * target[..., 1]
        total = weight.sum(1) + 1e-9
        z0, w0 = (weight * z).sum(1) / total, (weight * w).sum(1) / total
        z, w = z - z0[:, None], w - w0[:, None]
        spread = (weight * np.abs(z) ** 2).sum(1)
        hold = 0.1 * spread + 1e-6  # towards a = 1: with little evidence, a stroke is only shifted
        a = ((weight * np.conj(z) * w).sum(1) + hold) / (spread + hold)
        enough = total > 2
        a, b = np.where(enough, a, 1.0), np.where(enough, w0, z0)
        series = (coefficients[:, 0] + 1j * coefficients[:, 1]) * a[:, None]
        series[:, 0] += b - a * z0
        return np.stack([series.real, series.imag], 1)

    def solve(
        self, prior: np.ndarray, weight: np.ndarray, target: np.ndarray, closed: np.ndarray, softness: float
    ) -> np.ndarray:
        """Ridge problem of each stroke: (B' W B + R) c = B' W p + R c_prior."""
        # The visible part of a stroke must not deform the rest.
        hidden = 1.0 - (weight > 0).mean(1, keepdims=True)
        ridge = self.ridge * softness * (1.0 + HIDDEN * hidden)
        spectrum = weight @ self.doubled
        normal = spectrum[:, self.differences] + spectrum[:, self.sums]
        normal.reshape(len(normal), -1)[:, :: self.harmonics + 1] += ridge + 0.01  # the diagonals
        pulled = (weight[:, None] * target.swapaxes(-1, -2)).reshape(-1, self.n) @ self.basis
        right = pulled.reshape(prior.shape) + prior * (ridge + 0.01)[:, None]
        solved = np.linalg.solve(normal, right.swapaxes(-1, -2)).swapaxes(-1, -2)
        solved[closed] = close(solved[closed])
        return solved


def _mean(values: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mean (...) of values (M, ...) of strokes, weighted by their lengths (M,)."""
    weight = length + 1e-9
    return np.asarray(weight @ values / weight.sum())
