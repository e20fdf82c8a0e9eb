"""Error against time: this fit by its number of rounds, and gradient descent with as many numbers.

The error is the distance from the ink to the nearest curve alone, which favours gradient descent: its curves may also
run where there is no ink.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clips import Clip
from benchmarks.clock import clocked
from benchmarks.descent import descend
from benchmarks.methods import fitted
from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.measure import POINTS, distances
from sketch2video.params import FitParams

ROUNDS = (1, 2, 3, 4)
SCHEDULES = (50, 200, 800)
"""Lengths of gradient descent, in steps: what is planned long is better in the end, what is planned short is sooner."""

FRAMES = 4
"""This fit runs over so many frames of each clip; the last of them is the one that both are compared on."""

REPEATS = 5
"""This fit takes so few milliseconds that the median of so many times is taken."""

FEW = 3
"""Up to so many strokes descend from ellipses, more from lines."""


class Point(NamedTuple):
    """CPU milliseconds a frame, and px from ink to curve after them, means over clips."""

    ms: float
    error: float


def race(clips: Sequence[Clip], fit: FitParams) -> dict[str, Any]:
    """Run both on one frame of each clip.

    Returns:
        ``fit``: a :class:`Point` for each number of rounds; ``descent``: for each schedule its points;
        ``times_longer``: how many times the CPU time of this fit gradient descent needs, by its best schedule, until it
        is as near to the ink, one number a clip, None where it is not within ``limit_s`` (CPU seconds that its longest
        schedule takes, mean).
    """
    _descent(clips[0].ink[0], fit.budget, 1, 2)  # what is only done once in a process is not timed
    rows = [_race(clip, fit) for clip in clips]
    points = {
        str(steps): [
            Point(*np.mean([row["descent"][steps][i] for row in rows], axis=0).tolist())
            for i in range(min(len(row["descent"][steps]) for row in rows))
        ]
        for steps in SCHEDULES
    }
    return {
        "clips": [clip.name for clip in clips],
        "numbers": [row["numbers"] for row in rows],
        "fit": [Point(*np.mean([row["fit"][i] for row in rows], axis=0).tolist()) for i in range(len(ROUNDS))],
        "descent": points,
        "times_longer": [row["times_longer"] for row in rows],
        "limit_s": points[str(max(SCHEDULES))][-1].ms / 1e3,
    }


def _race(clip: Clip, fit: FitParams) -> dict[str, Any]:
    ink = clip.ink[:FRAMES]
    ours = []
    for rounds in ROUNDS:
        settings = fit.model_copy(update={"rounds": rounds})
        runs = [clocked(partial(fitted, ink, settings)) for _ in range(REPEATS)]
        sequence = runs[0][0]
        last = sequence.coefficients[-1][sequence.visible[-1]]
        ms = 1e3 * float(np.median([seconds for _, seconds in runs])) / len(ink)
        ours.append(Point(ms, miss(last, ink[-1])))
    strokes = max(len(last), 1)
    numbers = max(int(np.count_nonzero(last)) + strokes, 5 * strokes)
    descents = {steps: _descent(ink[-1], numbers, strokes, steps) for steps in SCHEDULES}
    enough = [point.ms for points in descents.values() for point in points if point.error <= ours[-1].error]
    return {
        "numbers": numbers,
        "fit": ours,
        "descent": descents,
        "times_longer": min(enough) / ours[-1].ms if enough else None,
    }


def _descent(picture: np.ndarray, numbers: int, strokes: int, steps: int) -> list[Point]:
    points: list[Point] = []

    def watch(seconds: float, coefficients: np.ndarray) -> None:
        points.append(Point(1e3 * seconds, miss(coefficients, picture)))

    start = "ellipses" if strokes <= FEW else "lines"
    clocked(partial(descend, picture, numbers, strokes=strokes, steps=steps, start=start, watch=watch))
    return points


def miss(coefficients: np.ndarray, picture: np.ndarray) -> float:
    """Mean distance in px from the ink of a frame (H, W) to the nearest of its strokes (S, 2, K)."""
    frame = CurveSequence(coefficients[None], np.ones((1, len(coefficients)), np.float32))
    return distances(frame.points(POINTS) * picture.shape[1], frame.visible, picture[None])[0]
