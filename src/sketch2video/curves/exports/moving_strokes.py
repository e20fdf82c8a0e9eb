"""The strokes of an equation as functions of pen position and time, with their colours, for formulas with t."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sketch2video.curves.equation.clip import ClipEquation, MovingStroke, time_functions
from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.exports.series_text import PRECISION
from sketch2video.curves.fitting.time_harmonics import fit_clip

CLOCK_DECIMALS = 6
"""Of the numbers of clocks."""

NEAR = 0.1
"""Root mean square distance in px from the strokes of the frames, of frames of at most ``LARGE`` px; the greatest is
three to four times as large."""
LARGE = 640
"""Frames that are wider are fitted as precisely as those, in frame widths: lines are found at a smaller size."""


class Moving(NamedTuple):
    """A stroke.

    Attributes:
        stroke: with y down.
        upright: coefficients (M, 2, K) float64 with y up, rounded.
        decimals: of the coefficients.
        slot: of the equation's curves.
    """

    stroke: MovingStroke
    upright: np.ndarray
    decimals: int
    slot: int


@lru_cache(maxsize=1)
def clip_of(equation: Equation, tolerance: float | None = None) -> ClipEquation:
    """The equation of a clip in pen position and time.

    The last one is cached, since a page with several formulas, and the summary of what was written, need it again.

    Args:
        equation: a clip.
        tolerance: root mean square distance to the strokes of the frames, px; None: that of ``NEAR``.
    """
    tolerance = NEAR * max(equation.width / LARGE, 1.0) if tolerance is None else tolerance
    return fit_clip(equation.curves, equation.cuts, tolerance=tolerance / equation.width)


def moving_strokes(equation: Equation, tolerance: float | None = None) -> list[Moving]:
    """The strokes of a clip, fitted in time; of a still picture its visible strokes, which do not change.

    Args:
        equation: a picture or a clip.
        tolerance: as in :func:`clip_of`.
    """
    curves = equation.curves
    if len(curves) == 1:
        slots = np.flatnonzero(curves.visible[0]).tolist()
        strokes = [MovingStroke(0.0, 1.0, curves.coefficients[:1, slot]) for slot in slots]
    else:
        strokes = list(clip_of(equation, tolerance).strokes)
        slots = [_slot_of(stroke, equation) for stroke in strokes]
    found = []
    for stroke, slot in zip(strokes, slots, strict=True):
        upright = stroke.coefficients.astype(np.float64)
        upright[:, 1] *= -1.0
        upright[0, 1, 0] += equation.height / equation.width
        decimals = _decimals(upright, equation.width)
        found.append(Moving(stroke, upright.round(decimals), decimals, slot))
    return found


def seconds_of(equation: Equation) -> float:
    """Duration of a clip; a second of a still picture."""
    return len(equation.curves) / equation.fps if equation.fps else 1.0


def clock_of(stroke: MovingStroke) -> tuple[float, float]:
    """(offset, rate) of :attr:`MovingStroke.clock`, rounded."""
    offset, rate = stroke.clock
    return round(offset, CLOCK_DECIMALS), round(rate, CLOCK_DECIMALS)


def clocks_of(strokes: Iterable[Moving]) -> list[tuple[float, float]]:
    """The different clocks of strokes, in their order."""
    return list(dict.fromkeys(clock_of(moving.stroke) for moving in strokes))


def is_whole(stroke: MovingStroke) -> bool:
    """Whether a stroke lives as long as the clip."""
    return stroke.birth == 0 and stroke.death == 1


def _slot_of(stroke: MovingStroke, equation: Equation) -> int:
    """The slot whose stroke of the frame in the middle of the life is the nearest."""
    curves = equation.curves
    middle = int((stroke.birth + stroke.death) / 2 * len(curves))
    wanted = stroke.at(np.array([(middle + 0.5) / len(curves)]))[0]
    slots = np.flatnonzero(curves.visible[middle])
    there = curves.coefficients[middle, slots, :, : wanted.shape[1]]
    return int(slots[np.abs(there - wanted).sum((1, 2)).argmin()])


def _decimals(coefficients: np.ndarray, width: int) -> int:
    """Decimals with which no point moves by more than ``PRECISION`` at any time."""
    count = len(coefficients)
    times = time_functions(np.linspace(0, 1, 4 * count + 33), count)
    pens = cosines(8 * coefficients.shape[-1] + 1, coefficients.shape[-1])
    for decimals in range(1, 16):
        lost = np.tensordot(times, coefficients - coefficients.round(decimals), 1) @ pens.T * width
        if np.hypot(lost[:, 0], lost[:, 1]).max(initial=0.0) <= PRECISION:
            break
    return decimals
