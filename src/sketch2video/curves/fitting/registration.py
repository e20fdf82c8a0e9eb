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
from sketch2video.curves.fitting.matching import best_shifts, distances_to_ink, misfits, targets_of_points
from sketch2video.curves.fitting.ridge import solved
from sketch2video.curves.fitting.series import close, grid_size

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


COARSE = 4
"""Every so manieth point of a stroke is compared with the ink where it is only shifted."""


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
        self.doubled = cosines(self.n, 2 * harmonics - 1, midpoints=True) / 2
        self.ridge = stiffness * self.n * np.arange(harmonics) ** 2.0
        self.reach = max(REACH * width, 1.5)
        self.gap = max(GAP * width, 3.0)
        self.offsets = np.linspace(-SEARCH, SEARCH, 9) * width

    def momentum(self, own: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Predicted velocities (M, 2) from previous ones: those of long strokes are kept, short ones get the mean."""
        common = _mean(own, length)
        weight = (length / (length + PLAIN * self.size))[:, None]
        return weight * own + (1 - weight) * common

    def shift_onto_ink(self, points: np.ndarray, length: np.ndarray, frame: InkFrame) -> np.ndarray:
        """The shift (M, 2) to ink of strokes with points (M, 2, n); a common one unless the ink indicates others."""
        apart = misfits(_coarse(points), self.offsets, frame.distance, 2.5 * self.reach)
        own = RELUCTANCE * (1 + PLAIN * self.size / np.maximum(length, 1.0))
        return best_shifts(apart, self.offsets, (length + 1e-9) / (length + 1e-9).sum(), RELUCTANCE, own)

    def stays(self, before: np.ndarray, moved: np.ndarray, frame: InkFrame) -> np.ndarray:
        """Strokes (M,) that are on ink also without motion: the motion of a line along itself is not observable.

        Args:
            before: (M, 2, n) px, points without motion.
            moved: (M, 2, n) px, with it.
            frame: the ink.
        """
        there, here = (
            distances_to_ink(_coarse(points), frame.distance, self.reach, 2.5 * self.reach)[1]
            for points in (before, moved)
        )
        return there <= here + STAY

    def targets(self, points: np.ndarray, frame: InkFrame, reach: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Targets of strokes with points (M, 2, n), and the distance of the ink from them.

        Returns:
            The weight (M, n) of each target, 0 where no ink is in reach; the targets (M, 2, n), px; the discrepancy:
            the mean distance in px from ink to the nearest stroke, clipped at :attr:`reach`.
        """
        distance, index = nearest_points(points.swapaxes(-1, -2), frame.ink, reach)
        return targets_of_points(points, frame.ink, distance, index, frame.nearest, reach, self.reach)

    def solve(
        self, prior: np.ndarray, weight: np.ndarray, target: np.ndarray, closed: np.ndarray, softness: float
    ) -> np.ndarray:
        """Ridge problem of each stroke: (B' W B + R) c = B' W p + R c_prior.

        Args:
            prior: coefficients (M, 2, K) px.
            weight: (M, n) of the targets.
            target: (M, 2, n) px.
            closed: strokes (M,) that end where they start.
            softness: factor of the stiffness.
        """
        # The visible part of a stroke must not deform the rest.
        hidden = 1.0 - (weight > 0).mean(1, keepdims=True)
        ridge = self.ridge * softness * (1.0 + HIDDEN * hidden) + 0.01
        solution = np.ascontiguousarray(solved(prior, weight, target, ridge, self.basis, self.doubled))
        if closed.any():
            solution[closed] = close(solution[closed])
        return solution


def _coarse(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points[..., ::COARSE])


def _mean(values: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mean (...) of values (M, ...) of strokes, weighted by their lengths (M,)."""
    weight = length + 1e-9
    return np.asarray(weight @ values / weight.sum())
