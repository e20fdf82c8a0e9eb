"""Ways from ink to strokes under one budget of numbers a frame: the project's fit, and what it is compared with.

Each takes ink, uint8 (T, H, W), and gives a :class:`Drawn`.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pyefd

from benchmarks.descent import descend
from sketch2video.curves import CurveSequence, fit_curves, refine_curves
from sketch2video.curves.equation.measure import POINTS, distances
from sketch2video.params import FitParams

CONTOURS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of contours that elliptic Fourier descriptors choose from, by what leaves the ink nearest to them."""

MODES = {"outer": cv2.RETR_EXTERNAL, "all": cv2.RETR_LIST}
REFINEMENT_STEPS = 30


class Drawn(NamedTuple):
    """Strokes as points.

    Attributes:
        points: float32 (T, S, n, 2), px.
        visible: (T, S) bool.
        numbers: that the fullest frame takes.
    """

    points: np.ndarray
    visible: np.ndarray
    numbers: int

    @classmethod
    def of(cls, sequence: CurveSequence, width: int) -> Drawn:
        """The strokes of a sequence on frames ``width`` px wide."""
        return cls(sequence.points(POINTS) * width, sequence.visible, sequence.num_parameters)


def tracked(ink: np.ndarray, fit: FitParams) -> Drawn:
    """This project's fit: strokes tracked through time."""
    return Drawn.of(fitted(ink, fit), ink.shape[2])


def refined(ink: np.ndarray, fit: FitParams) -> Drawn:
    """This project's fit, and some steps of gradient descent from it."""
    return Drawn.of(refine_curves(fitted(ink, fit), ink, steps=REFINEMENT_STEPS), ink.shape[2])


def frame_by_frame(ink: np.ndarray, fit: FitParams) -> Drawn:
    """This project's fit of every frame alone: nothing is tracked."""
    return Drawn.of(fitted_alone(ink, fit), ink.shape[2])


def fitted_alone(ink: np.ndarray, fit: FitParams) -> CurveSequence:
    """The project's fit of every frame alone."""
    alone = [fitted(picture[None], fit) for picture in ink]
    return CurveSequence(
        np.concatenate([one.coefficients for one in alone]), np.concatenate([one.visibility for one in alone])
    )


def fitted(ink: np.ndarray, fit: FitParams) -> CurveSequence:
    """The project's fit with the parameters of the project."""
    return fit_curves(ink, **fit.tracking())


def by_descent(ink: np.ndarray, fit: FitParams) -> Drawn:
    """Gradient descent through the differentiable renderer, every frame alone; see :mod:`benchmarks.descent`."""
    coefficients = np.stack([descend(picture, fit.budget) for picture in ink])
    return Drawn.of(CurveSequence(coefficients, np.ones(coefficients.shape[:2], np.float32)), ink.shape[2])


def elliptic_fourier(ink: np.ndarray, budget: int, contours: int, mode: str) -> Drawn:
    """Elliptic Fourier descriptors (Kuhl and Giardina 1982; ``pyefd``) of each frame's longest contours.

    A contour of H harmonics takes 4 H + 2 numbers. Every contour has one harmonic; the others are shared by length.

    Args:
        ink: (T, H, W) uint8.
        budget: numbers a frame.
        contours: at most so many of a frame, longest first.
        mode: a key of :data:`MODES`: which of OpenCV's contours.
    """
    points = np.zeros((len(ink), contours, POINTS, 2), np.float32)
    visible = np.zeros((len(ink), contours), bool)
    most = 0
    for t, picture in enumerate(ink):
        chosen = _longest_contours(picture, contours, mode)
        harmonics = shared_harmonics(np.array([len(one) for one in chosen]), budget)
        for slot, (contour, order) in enumerate(zip(chosen, harmonics, strict=True)):
            descriptors = pyefd.elliptic_fourier_descriptors(contour, order=int(order))
            centre = pyefd.calculate_dc_coefficients(contour)
            points[t, slot] = pyefd.reconstruct_contour(descriptors, centre, POINTS)
            visible[t, slot] = True
        most = max(most, int((4 * harmonics + 2).sum()))
    return Drawn(points, visible, most)


def elliptic_settings(ink: np.ndarray, budget: int) -> tuple[int, str]:
    """The number of contours and the mode that bring elliptic Fourier descriptors nearest to the ink of a clip.

    The choice is made for each clip, and outside of the clock: the comparison is with the best that they can do.
    """
    choices = [(contours, mode) for contours in CONTOURS for mode in MODES]

    def miss(choice: tuple[int, str]) -> float:
        drawn = elliptic_fourier(ink, budget, *choice)
        return sum(distances(drawn.points, drawn.visible, ink))

    return min(choices, key=miss)


def shared_harmonics(lengths: np.ndarray, budget: int) -> np.ndarray:
    """Harmonics of each contour: one, and the rest of the budget by length: (M,) px -> (M,)."""
    left = (budget - 2 * len(lengths)) // 4 - len(lengths)
    return 1 + (left * lengths / max(lengths.sum(), 1)).astype(np.int64)


def _longest_contours(picture: np.ndarray, count: int, mode: str) -> list[np.ndarray]:
    """The longest contours of a frame as closed polygons (m, 2), px, first point repeated."""
    padded = cv2.copyMakeBorder(np.where(picture > 127, np.uint8(255), np.uint8(0)), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    found, _ = cv2.findContours(padded, MODES[mode], cv2.CHAIN_APPROX_NONE)
    rings = [ring[:, 0] - 0.5 for ring in found if len(ring) > 2]  # pixel centres, the padding taken off
    longest = sorted(rings, key=len, reverse=True)[:count]
    return [np.concatenate([ring, ring[:1]]) for ring in longest]
