"""How far curves are from the ink that they stand for."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree

from sketch2video.curves.sequence import CurveSequence

POINTS = 192
"""Pen positions a stroke at which distances are taken."""

BLUR = 1.0
"""Standard deviation in px of the blur before two drawings are compared: a line beside a line is not a miss."""


class FitError(NamedTuple):
    """Errors of a clip's curves, means over its frames.

    Attributes:
        ink_to_curve: px from an ink pixel to the nearest visible curve; a frame width where there is ink but no curve.
        curve_to_ink: px from a visible curve's points to the nearest ink pixel; a frame width where there is none.
        rendered_discrepancy: mean squared difference between the rendered and the actual drawing, both blurred by one
            pixel, as a share of the actual drawing's mean square: 0 is perfect, 1 is no better than an empty page.
    """

    ink_to_curve: float
    curve_to_ink: float
    rendered_discrepancy: float


def fit_error(sequence: CurveSequence, ink: np.ndarray) -> FitError:
    """Compare curves with the ink (T, H, W) uint8 that they were fitted to."""
    frames, height, width = ink.shape
    points = sequence.points(POINTS) * width
    there, back = np.zeros(frames), np.zeros(frames)
    for t, shown in enumerate(sequence.visible):
        rows, columns = np.nonzero(ink[t] > 127)
        pixels, curve = np.stack([columns, rows], 1) + 0.5, points[t][shown].reshape(-1, 2)
        if len(pixels) and len(curve):
            there[t] = np.mean(cKDTree(curve).query(pixels)[0])
            back[t] = np.mean(cKDTree(pixels).query(curve)[0])
        else:
            there[t], back[t] = width * (len(pixels) > 0), width * (len(curve) > 0)
    drawn = sequence.render(height, width)
    return FitError(float(there.mean()), float(back.mean()), rendered_discrepancy(drawn, ink))


def rendered_discrepancy(drawn: np.ndarray, ink: np.ndarray) -> float:
    """See :class:`FitError`; both uint8 (T, H, W). 0 if both are empty."""
    difference = total = 0.0
    for hypothesis, actual in zip(drawn, ink, strict=True):
        a, b = (cv2.GaussianBlur(x.astype(np.float32) / 255, (0, 0), BLUR) for x in (hypothesis, actual))
        difference += float(((a - b) ** 2).mean())
        total += float((b**2).mean())
    return difference / total if total else float(difference > 0)
