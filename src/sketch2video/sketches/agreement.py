"""How well a drawing agrees with another: precision, recall and F-score of ink, with a tolerance of one pixel."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

TOLERANCE = 1.0
"""Pixels, from centre to centre."""


class Agreement(NamedTuple):
    """Shares in [0, 1].

    Attributes:
        precision: of the drawn ink, the share within ``TOLERANCE`` of true ink; 1 if nothing is drawn.
        recall: of the true ink, the share within ``TOLERANCE`` of drawn ink; 1 if there is none.
        f_score: their harmonic mean; 0 if both are.
    """

    precision: float
    recall: float
    f_score: float


def ink_agreement(drawn: np.ndarray, true: np.ndarray) -> Agreement:
    """Compare the ink of a drawing with the true ink.

    Args:
        drawn: uint8 (H, W), ink where above 127.
        true: likewise.

    Raises:
        ValueError: the shapes differ.
    """
    if drawn.shape != true.shape:
        raise ValueError(f"the drawing is {drawn.shape}, the true one {true.shape}")
    precision, recall = _share_near(drawn, true), _share_near(true, drawn)
    both = precision + recall
    return Agreement(precision, recall, 2 * precision * recall / both if both else 0.0)


def mean_agreement(drawn: np.ndarray, true: np.ndarray) -> Agreement:
    """The means over pictures, uint8 (N, H, W) each, of :func:`ink_agreement`; N is at least 1."""
    each = [ink_agreement(*pair) for pair in zip(drawn, true, strict=True)]
    return Agreement(*(float(mean) for mean in np.mean(each, axis=0)))


def _share_near(ink: np.ndarray, other: np.ndarray) -> float:
    marked = ink > 127
    if not marked.any():
        return 1.0
    if not (other > 127).any():
        return 0.0
    distance = cv2.distanceTransform((other <= 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[marked] <= TOLERANCE).mean())
