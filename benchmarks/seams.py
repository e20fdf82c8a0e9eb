"""Seams: excess change of a long video at the borders of its windows.

A long video is made of windows of K frames, one every S frames, which are denoised together and merged or generated
apart and joined. A border at frame b is the pair of frames (b - 1, b). What changes in such pairs is compared with what
changes in all other pairs of the same video, so that motion, noise and flicker, which every pair has, cancel.

Four kinds of change are distinguished, since a window may differ from the previous one in its pixels, in its content,
in its sharpness or in its colour, and a change that noise hides in one of them may be visible in another.

Videos also change in the course of time by themselves (what grows changes ever more pixels). The floor of a seam is
therefore what real videos, which have none, score at the same borders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sketch2video.evaluation.consistency import mean, sharpness, unexplained_change
from sketch2video.scoring.metrics import bootstrap_interval

LEAST_EXCESS = {"unexplained": 0.001, "lost": 0.02, "sharpness": 0.02, "colour": 0.0005}
"""An excess that is surely smaller than this is no seam, in the units of :class:`Changes`.

About twice the most that any frame scores as a border in embedded scenes (3 × 16 of 32 frames at 64×64: still ground,
with noise, under a moving camera), which have no seam: 0.0004, 0.012, 0.012 and 0.0001.
"""


class Changes(NamedTuple):
    """What changes between neighbouring frames of N videos; pair t is that of the frames t and t + 1.

    Attributes:
        unexplained: (N, T - 1), the change that flow does not explain, as a share of the full range: what
            :func:`~sketch2video.evaluation.consistency.flicker` averages. NaN where flow finds nothing again.
        lost: (N, T - 1) in [0, 1], share of the frame that flow does not find again: of a cut most, and it is missing
            in ``unexplained``.
        sharpness: (N, T - 1) in [0, 1], how far the sharpness of both frames is apart, as a share of the larger one.
        colour: (N, T - 1) in [0, 1], how far the mean colours of both frames are apart, mean over channels, as a share
            of the full range.
    """

    unexplained: np.ndarray
    lost: np.ndarray
    sharpness: np.ndarray
    colour: np.ndarray


class Seam(NamedTuple):
    """How much more changes at borders than elsewhere, in the units of :class:`Changes`.

    Attributes:
        at_borders: mean over videos of a video's mean over the pairs at borders.
        elsewhere: likewise over all its other pairs.
        excess: the difference; below 0 where the borders are the steadier pairs.
        interval: its 95% interval by bootstrap over videos.
        least: what an excess must be able to reach to count.
    """

    at_borders: float
    elsewhere: float
    excess: float
    interval: tuple[float, float]
    least: float

    @property
    def measurable(self) -> bool:
        """Whether there is a seam: the interval is above 0, and not entirely below ``least``.

        If there is none, there may still be a seam up to the upper end of the interval.
        """
        low, high = self.interval
        return low > 0 and high >= self.least


def borders(starts: Sequence[int], length: int) -> list[int]:
    """Where windows of a video meet: all frames b at which a window begins, or before which one has ended.

    Windows that are joined without overlap have one border between two of them. Of two that overlap, the second one
    begins before the first one has ended, and both positions are borders. The video's own first frame and end are none.

    Args:
        starts: first frame of every window, ascending from 0.
        length: K ≥ 1, frames of a window.

    Returns:
        Ascending; the border at b is the pair of frames (b - 1, b).

    Raises:
        ValueError: the starts are something else, or leave out frames between two windows.
    """
    if not starts or starts[0] != 0 or any(not 0 < step <= length for step in np.diff(starts)):
        raise ValueError(f"windows of {length} must begin at 0 and leave no frame out, not start at {list(starts)}")
    ends = (start + length for start in starts[:-1])
    return sorted({*starts[1:], *(end for end in ends if end < starts[-1] + length)})


def changes(videos: Iterable[np.ndarray]) -> Changes:
    """Measure what changes from frame to frame.

    Args:
        videos: N ≥ 1, each uint8 (T, H, W, 3) RGB with the same T ≥ 2.

    Raises:
        ValueError: the videos are something else, or too small.
    """
    return Changes(*np.stack([_changes(frames) for frames in videos], 1))


def seams(changes: Changes, borders: Sequence[int], bootstrap: int) -> dict[str, Seam]:
    """Compare the pairs at borders with all others, for each kind of change.

    Each video is compared with itself, and the interval is that of the mean over videos: pairs of one video are not
    independent of each other, videos are. With few videos it is too narrow: of 8 to 16 it holds the truth in about 90%.

    Args:
        changes: of N ≥ 2 videos.
        borders: frames b in [1, T - 1], such as :func:`borders` finds; not all of them.
        bootstrap: resamples for the intervals, at least 2.

    Returns:
        A seam for each field of :class:`Changes`. It is of the videos that have numbers on both sides, and NaN where
        fewer than two have.

    Raises:
        ValueError: an argument is out of its range.
    """
    videos, pairs = changes.unexplained.shape
    if videos < 2:
        raise ValueError("an interval over videos needs at least 2 of them")
    if not borders or not all(1 <= border <= pairs for border in borders) or len(set(borders)) == pairs:
        raise ValueError(f"borders must be some, not all, of the frames 1 to {pairs}, not {list(borders)}")
    at_border = np.isin(np.arange(1, pairs + 1), borders)
    return {name: _seam(values, at_border, LEAST_EXCESS[name], bootstrap) for name, values in changes._asdict().items()}


def _changes(frames: np.ndarray) -> np.ndarray:
    """(4, T - 1), in the order of :class:`Changes`."""
    unexplained, seen = unexplained_change(frames)
    sharp = [sharpness(frame[None]) for frame in frames]
    steps = [abs(now - then) / max(now, then) if max(now, then) > 0 else 0.0 for now, then in pairwise(sharp)]
    colours = frames.mean((1, 2), dtype=np.float64) / 255
    return np.stack([unexplained, 1 - seen, steps, np.abs(np.diff(colours, axis=0)).mean(1)])


def _seam(values: np.ndarray, at_border: np.ndarray, least: float, bootstrap: int) -> Seam:
    sides = np.array([(mean(video[at_border]), mean(video[~at_border])) for video in values])
    sides = sides[~np.isnan(sides).any(1)]
    nan = float("nan")
    if len(sides) < 2:
        return Seam(nan, nan, nan, (nan, nan), least)
    at_borders, elsewhere = sides.T
    excess = at_borders - elsewhere
    interval = bootstrap_interval(mean, excess, resamples=bootstrap)
    return Seam(mean(at_borders), mean(elsewhere), mean(excess), interval, least)
