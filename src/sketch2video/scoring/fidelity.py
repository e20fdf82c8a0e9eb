"""Fidelity to a drawing: distances between the lines that were asked for and those that a video shows.

The lines of a video are those that the stage ``sketch`` extracts from its frames. Each line of the drawing is compared
with the nearest line of the same frame, and each line of the video with the nearest one of the drawing. Lines are
positions to a fraction of a pixel, and every share and mean is weighted by length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.sketches.agreement import TOLERANCE

POINTS = 192
"""Pen positions of a stroke, between which it is straight."""

SPACING = 0.5
"""Longest piece of a line, px."""

REACH = 1 / 16
"""Distance in frame widths up to which a line is taken for the one that was asked for."""

HIGH = 0.95
"""The quantile beside the mean."""

_ROUNDING = 1e-6


class Lines(NamedTuple):
    """The lines of a frame, cut into straight pieces of at most :data:`SPACING` px.

    Attributes:
        middles: (M, 2) float64 px, right and down from the frame's upper left corner.
        steps: (M, 2) float64 px, from the beginning to the end of each piece.
    """

    middles: np.ndarray
    steps: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(M,) px."""
        return np.asarray(np.hypot(self.steps[:, 0], self.steps[:, 1]))


class Fidelity(NamedTuple):
    """How N clips follow their drawings, (N,) float64 each.

    *Asked* are the lines of the drawing, *found* those of the frames. Without lines on the other side, a distance is a
    frame width. Without lines on its own side, it is 0 and a share is 1.

    Attributes:
        asked_length, found_length: px of line a frame.
        asked_px, found_px: mean distance from asked to found lines, and from found to asked ones, px.
        asked_high, found_high: the 95th percentile of these distances.
        asked_near, found_near: share of lines with one of the other kind within :data:`REACH`.
        asked_near_px, found_near_px: mean distance of these; 0 if there are none.
        recall, precision: shares of asked and of found lines with one of the other kind within 1 px.
    """

    asked_length: np.ndarray
    found_length: np.ndarray
    asked_px: np.ndarray
    found_px: np.ndarray
    asked_high: np.ndarray
    found_high: np.ndarray
    asked_near: np.ndarray
    found_near: np.ndarray
    asked_near_px: np.ndarray
    found_near_px: np.ndarray
    recall: np.ndarray
    precision: np.ndarray

    @classmethod
    def concatenate(cls, several: Sequence[Fidelity]) -> Fidelity:
        """Concatenate along the clips."""
        return cls(*(np.concatenate(values) for values in zip(*several, strict=True)))

    @property
    def px(self) -> np.ndarray:
        """Distance of lines that both have: the mean of both directions, px; NaN for clips without such lines."""
        both = (self.asked_near * self.asked_length > 0) & (self.found_near * self.found_length > 0)
        return np.where(both, (self.asked_near_px + self.found_near_px) / 2, np.nan)

    @property
    def share_found(self) -> np.ndarray:
        """``asked_near``; NaN for clips whose drawings have no line."""
        return np.where(self.asked_length > 0, self.asked_near, np.nan)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall within 1 px, 0 if both are; NaN for clips without a line to follow."""
        total = self.precision + self.recall
        f1 = np.where(total > 0, 2 * self.precision * self.recall / np.where(total > 0, total, 1), 0.0)
        return np.where(self.asked_length > 0, f1, np.nan)


MEASURES: dict[str, Callable[[Fidelity], np.ndarray]] = {
    "control_px": lambda clips: clips.px,
    "control_found": lambda clips: clips.share_found,
    "control_f1": lambda clips: clips.f1,
}
"""The scores by name, means over clips where these are defined: distance of lines that drawing and video both have,
share of the drawing's lines that the video has, F1 score of lines within 1 px."""


def lines_of_curves(curves: CurveSequence, height: int, width: int) -> list[Lines]:
    """The lines of each frame of a drawing, without what is outside of the frame.

    Args:
        curves: T frames.
        height, width: of the frames, px.
    """
    points = curves.points(POINTS).astype(np.float64) * width
    frames = []
    for strokes, shown in zip(points, curves.visible, strict=True):
        visible = strokes[shown]
        pieces = _pieces(np.stack([visible[:, :-1], visible[:, 1:]], 2).reshape(-1, 2, 2))
        inside = ((pieces.middles >= 0) & (pieces.middles <= (width, height))).all(1)
        frames.append(Lines(pieces.middles[inside], pieces.steps[inside]))
    return frames


def lines_of_ink(ink: np.ndarray, width: int) -> list[Lines]:
    """The centre lines of each frame of a line drawing; see :mod:`~sketch2video.curves.fitting.centre_lines`.

    Args:
        ink: uint8 (T, h, w), ink above 127.
        width: of the frames that the drawing belongs to, px; the drawing may have another size.
    """
    scale = width / ink.shape[2]
    return [_pieces(_links(*centre_lines(frame)) * scale) for frame in ink]


def fidelity(asked: Sequence[Sequence[Lines]], found: Sequence[Sequence[Lines]], width: int) -> Fidelity:
    """Compare the lines of N clips with those of their drawings.

    Args:
        asked: of the drawings, for each clip and frame.
        found: of the frames, likewise.
        width: of the frames, px.

    Raises:
        ValueError: the numbers of clips or frames differ.
    """
    rows = [_of_clip(*clip, width) for clip in zip(asked, found, strict=True)]
    return Fidelity(*np.array(rows, np.float64).reshape(len(rows), len(Fidelity._fields)).T)


def _of_clip(asked: Sequence[Lines], found: Sequence[Lines], width: int) -> tuple[float, ...]:
    """The values of :class:`Fidelity` of one clip."""
    frames = list(zip(asked, found, strict=True))
    there = np.concatenate([nearest(mine, other, width) for mine, other in frames])
    back = np.concatenate([nearest(other, mine, width) for mine, other in frames])
    sides = []
    for lines, distance in ((asked, there), (found, back)):
        weight = np.concatenate([frame.lengths for frame in lines])
        near, close = (distance <= bound + _ROUNDING for bound in (REACH * width, TOLERANCE))
        if not len(weight):
            sides.append((0.0, 0.0, 0.0, 1.0, 0.0, 1.0))
            continue
        near_px = np.average(distance[near], weights=weight[near]) if near.any() else 0.0
        sides.append(
            (
                weight.sum() / len(frames),
                np.average(distance, weights=weight),
                _quantile(distance, weight, HIGH),
                np.average(near, weights=weight),
                near_px,
                np.average(close, weights=weight),
            )
        )
    return tuple(float(value) for both in zip(*sides, strict=True) for value in both)


def nearest(lines: Lines, others: Lines, width: int) -> np.ndarray:
    """Distances from the middles of pieces to the nearest other piece: (M,) px; a frame width if there is none.

    That is the piece with the nearest middle, so a distance may be too large by a small part of :data:`SPACING`.
    """
    if not len(lines.middles) or not len(others.middles):
        return np.full(len(lines.middles), float(width))
    index = cKDTree(others.middles, balanced_tree=False, compact_nodes=False).query(lines.middles)[1]
    offset, step = lines.middles - others.middles[index], others.steps[index]
    along = np.clip((offset * step).sum(1) / (step**2).sum(1), -0.5, 0.5)
    return np.asarray(np.hypot(*(offset - along[:, None] * step).T))


def _pieces(segments: np.ndarray) -> Lines:
    """Segments (N, 2, 2) px, cut into pieces; those without a length are left out."""
    start, step = segments[:, 0], segments[:, 1] - segments[:, 0]
    length = np.hypot(step[:, 0], step[:, 1])
    counts = np.ceil(length / SPACING).astype(np.int64)
    of = np.repeat(np.arange(len(segments)), counts)
    position = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = ((position + 0.5) / counts[of])[:, None]
    return Lines(start[of] + share * step[of], step[of] / counts[of, None])


def _links(skeleton: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Segments (N, 2, 2) px between neighbouring pixels of a skeleton; a pixel by itself is one of 1 px.

    Args:
        skeleton, offsets: see :func:`~sketch2video.curves.fitting.centre_lines.centre_lines`.
    """
    rows, columns = np.nonzero(skeleton)
    points = np.stack([columns, rows], 1) + 0.5 + offsets[rows, columns]
    number = np.full((skeleton.shape[0] + 2, skeleton.shape[1] + 2), -1)
    number[rows + 1, columns + 1] = np.arange(len(rows))
    links, alone = [], np.ones(len(rows), bool)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = number[rows + 1 + down, columns + 1 + right]
        joined = other >= 0
        if down and right:  # unless a pixel beside both joins them already
            joined &= (number[rows + 1 + down, columns + 1] < 0) & (number[rows + 1, columns + 1 + right] < 0)
        links.append(np.stack([points[joined], points[other[joined]]], 1))
        alone[joined] = alone[other[joined]] = False
    single = points[alone, None] + np.array([[-0.5, 0.0], [0.5, 0.0]])
    return np.concatenate([*links, single])


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The smallest value that at least ``share`` of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1] * (1 - _ROUNDING))])
