"""Coordinates of OpenCV's drawing functions."""

from __future__ import annotations

import numpy as np

FRACTION_BITS = 4
"""Fractional bits of OpenCV's coordinates."""


def fixed_point(points: np.ndarray, size: int) -> np.ndarray:
    """Frame widths to OpenCV's pixel coordinates with ``FRACTION_BITS``; integer coordinates are pixel centres."""
    return ((points * size - 0.5) * 2**FRACTION_BITS).round().astype(np.int32)
