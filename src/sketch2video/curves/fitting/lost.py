"""Occluded outlines, and their detection where they reappear."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sketch2video.curves.fitting.ink_map import InkFrame
from sketch2video.curves.fitting.matching import moved_towards
from sketch2video.curves.fitting.registration import SEARCH, Registration
from sketch2video.curves.fitting.series import sampled_planes

FOUND, OPEN = 0.15, 0.1
"""An outline is detected again if at least this share of it is on ink that no stroke covers, and at most this share is
neither on ink nor inside of lines, where it may be occluded."""


class Lost(NamedTuple):
    """An occluded outline: the first frame in which it was not found, its coefficients (2, K) in the one
    before, its velocity (2,) in px a frame, and the number of its life."""

    since: int
    coefficients: np.ndarray
    velocity: np.ndarray
    life: int


def placed(
    lost: Lost, frames: int, uncovered: np.ndarray, frame: InkFrame, hides: np.ndarray, onto: Registration, rounds: int
) -> np.ndarray | None:
    """Fit a lost outline (2, K) to uncovered ink, the rest of it occluded; None if it does not fit.

    Args:
        lost: the outline.
        frames: since it was visible last.
        uncovered: (N, 2) px, ink that no stroke draws.
        frame: all ink of the frame.
        hides: (H, W) bool, where it may be occluded.
        onto: how it is moved.
        rounds: number of iterations of rotation and scaling.
    """
    bare = np.zeros(frame.skeleton.shape, bool)
    bare[frame.at(uncovered)] = True
    bare_ink = InkFrame.of(bare, frame.offsets)
    expected = lost.coefficients.copy()
    expected[:, 0] += lost.velocity * frames
    offsets = np.linspace(-SEARCH, SEARCH, 11) * onto.size * min(1 + 0.25 * frames, 2.0)
    shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
    points = (onto.basis[::2] @ expected.T) + shifts[:, None]
    on = (bare_ink.distance_from(points) <= onto.reach).mean(1)
    open_ = frame.in_the_open(points, hides, onto.reach).mean(1)
    away = np.hypot(shifts[:, 0], shifts[:, 1]) / onto.size
    best = int(np.argmax(on - 2 * open_ - away))
    expected[:, 0] += shifts[best]
    series, points = expected[None], sampled_planes(expected[None])
    for _ in range(rounds):
        target = np.moveaxis(bare_ink.ink[bare_ink.nearest[frame.at(points.swapaxes(-1, -2))]], -1, 1)
        weight = (np.hypot(*np.moveaxis(target - points, 1, 0)) <= 2 * onto.reach).astype(np.float64)
        series, points = moved_towards(series, points, weight, np.ascontiguousarray(target))
    expected, points = series[0], points[0].T
    on = bare_ink.distance_from(points) <= onto.reach
    if on.mean() < FOUND or frame.in_the_open(points, hides, onto.reach).mean() > OPEN:
        return None
    return expected
