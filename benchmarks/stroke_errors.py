"""Measures of drawings as strokes: what they are like, and how far one drawing is from another.

A *stroke* is one life of a slot, as in :mod:`sketch2video.curve_vae.strokes`. Nothing here depends on the order of
strokes or on the slots that they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from sketch2video.curve_vae.strokes import lives_of
from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.measure import displacement

POINTS = 64
"""Pen positions of a stroke."""
NEVER_TOGETHER = 1e6
"""Frame widths: the distance of two strokes that no frame shows both of."""

DISTRIBUTIONS = {
    "strokes": "strokes a frame",
    "length": "length of a stroke, frame widths",
    "speed": "speed, px a frame",
    "lives": "strokes a clip",
}
"""What :func:`distributions` gives, and what tables and plots call it."""


def distributions(clips: Sequence[CurveSequence], size: int) -> dict[str, np.ndarray]:
    """What drawings are like: samples of each of ``DISTRIBUTIONS``, of all clips together.

    Args:
        clips: drawings.
        size: of the frames, px.

    Returns:
        ``strokes``, visible in each frame of each clip; ``length`` of each visible stroke in each frame, frame widths;
        ``speed``, how far the points of a stroke move to the next frame, mean over the stroke, px; ``lives``, how many
        strokes each clip has from its first frame to its last. Float64, one axis each, possibly empty.
    """
    samples: dict[str, list[np.ndarray]] = {name: [] for name in DISTRIBUTIONS}
    for clip in clips:
        points = clip.points(POINTS).astype(np.float64)
        samples["strokes"].append(clip.visible.sum(1))
        steps = np.linalg.norm(np.diff(points[clip.visible], axis=1), axis=-1)
        samples["length"].append(steps.sum(1))
        samples["speed"].append(displacement(points * size, clip.visible))
        samples["lives"].append(np.array([len(lives_of(clip.visibility))]))
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in samples.items()}


class Matching(NamedTuple):
    """Strokes of two drawings of a clip, paired.

    Attributes:
        distance: sum over all frames that show both strokes of a pair of the mean distance between their points at the
            same pen position, frame widths.
        frames: how many such frames there are.
        unmatched: strokes of either drawing without a partner.
    """

    distance: float
    frames: int
    unmatched: int


def match_strokes(actual: CurveSequence, drawn: CurveSequence) -> Matching:
    """Pair as many strokes as can be, so that the sum of the pairs' mean distances is the least.

    The distance of two strokes is the mean over the frames that show both; strokes that no frame shows both of are no
    pair. What one drawing shows longer than the other does not count.

    Args:
        actual, drawn: of as many frames.
    """
    (real, real_seen), (made, made_seen) = (_strokes_of(sequence) for sequence in (actual, drawn))
    apart = np.zeros((len(real), len(made)))
    together = np.zeros(apart.shape, np.int64)
    for t in range(len(actual)):
        both = real_seen[:, None, t] & made_seen[None, :, t]
        distance = np.linalg.norm(real[:, None, t] - made[None, :, t], axis=-1).mean(-1)
        apart += distance * both
        together += both
    cost = np.where(together > 0, apart / np.maximum(together, 1), NEVER_TOGETHER)
    rows, columns = linear_sum_assignment(cost)
    pairs = together[rows, columns] > 0
    rows, columns = rows[pairs], columns[pairs]
    return Matching(
        distance=float(apart[rows, columns].sum()),
        frames=int(together[rows, columns].sum()),
        unmatched=len(real) + len(made) - 2 * len(rows),
    )


def ink_distance(actual: CurveSequence, drawn: CurveSequence) -> np.ndarray:
    """How far two drawings are from each other as ink, whichever strokes it is made of: (T,) float64, frame widths.

    The mean distance from a point of one drawing to the nearest point of the other, mean of both ways; every piece of a
    line counts by its length. A frame that only one of them draws in is a frame width off, an empty one in both 0.

    Args:
        actual, drawn: of as many frames.
    """
    found = np.zeros(len(actual))
    for t in range(len(actual)):
        (real, real_weights), (made, made_weights) = (_points_of(sequence, t) for sequence in (actual, drawn))
        if len(real) and len(made):
            there = np.average(cKDTree(made).query(real)[0], weights=real_weights)
            back = np.average(cKDTree(real).query(made)[0], weights=made_weights)
            found[t] = (there + back) / 2
        else:
            found[t] = float(len(real) > 0 or len(made) > 0)
    return found


def part_of(sequence: CurveSequence, frames: slice | Sequence[int]) -> CurveSequence:
    """Some frames of a drawing."""
    return CurveSequence(sequence.coefficients[frames], sequence.visibility[frames])


def _strokes_of(sequence: CurveSequence) -> tuple[np.ndarray, np.ndarray]:
    """Points (L, T, POINTS, 2) of every stroke, frame widths, and the frames that show it, (L, T) bool."""
    slots, births, ends = lives_of(sequence.visibility).T
    frame = np.arange(len(sequence))
    seen = (frame >= births[:, None]) & (frame < ends[:, None])
    return sequence.points(POINTS).astype(np.float64).swapaxes(0, 1)[slots], seen


def _points_of(sequence: CurveSequence, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 2) of all strokes of a frame, frame widths, and the length of line that each represents, (P,)."""
    points = part_of(sequence, slice(frame, frame + 1)).points(POINTS)[0][sequence.visible[frame]].astype(np.float64)
    if not len(points):
        return np.zeros((0, 2)), np.zeros(0)
    steps = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    lengths = (np.pad(steps, ((0, 0), (1, 0))) + np.pad(steps, ((0, 0), (0, 1)))) / 2 + 1e-9
    return points.reshape(-1, 2), lengths.ravel()
