"""Registration of strokes to the ink of a frame, for a fixed set of strokes.

A stroke is first shifted (chamfer matching, Barrow et al. 1977), then rotated and scaled towards its ink (iterative
closest points, Besl and McKay 1992), and then solved for: a ridge problem that is regularised towards the moved stroke
by a weight that grows with k², so that the position adapts first, and detail only with enough ink.
"""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.nearest import nearest_points
from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting.ink_map import InkFrame
from sketch2video.curves.fitting.matching import misfits, moved_towards, targets_of_points
from sketch2video.curves.fitting.ridge import solved
from sketch2video.curves.fitting.series import close, grid_size, planes, points_at, samples

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
        self.doubled = cosines(self.n, 2 * harmonics - 1, midpoints=True) / 2
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
        misfit = misfits(planes(points), self.offsets, frame.distance, 2.5 * self.reach).reshape(len(points), -1)
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
        distance, index = nearest_points(points, frame.ink, reach)
        weight, target, discrepancy = targets_of_points(
            planes(points), frame.ink, distance, index, frame.nearest, reach, self.reach
        )
        return weight, target.swapaxes(-1, -2), discrepancy

    def similar(self, coefficients: np.ndarray, weight: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Rotate, scale and shift each stroke towards its targets, as complex numbers z -> a z + b."""
        return moved_towards(np.ascontiguousarray(coefficients), planes(samples(coefficients)), weight, planes(target))

    def solve(
        self, prior: np.ndarray, weight: np.ndarray, target: np.ndarray, closed: np.ndarray, softness: float
    ) -> np.ndarray:
        """Ridge problem of each stroke: (B' W B + R) c = B' W p + R c_prior."""
        # The visible part of a stroke must not deform the rest.
        hidden = 1.0 - (weight > 0).mean(1, keepdims=True)
        ridge = self.ridge * softness * (1.0 + HIDDEN * hidden)
        pulled = (weight[:, None] * target.swapaxes(-1, -2)).reshape(-1, self.n) @ self.basis
        right = pulled.reshape(prior.shape) + prior * (ridge + 0.01)[:, None]
        solution = solved(weight @ self.doubled, ridge + 0.01, right)
        solution[closed] = close(solution[closed])
        return solution


def _mean(values: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mean (...) of values (M, ...) of strokes, weighted by their lengths (M,)."""
    weight = length + 1e-9
    return np.asarray(weight @ values / weight.sum())
