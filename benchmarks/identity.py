"""Identity: how much the colours and the outline of a video's object change.

An object may move, grow and turn, but its colours and its outline should stay. Each has a descriptor for every frame
that is invariant to position, size and direction, and is compared with the first frame (total change) and with the
previous one (time of the change). No network is used; the foreground has to be given.

Colours are compared as distributions over the foreground, by the earth mover's distance along each axis of CIE Lab
(Rubner et al. 2000, "The Earth Mover's Distance as a Metric for Image Retrieval"). Distances between histograms bin by
bin are at their maximum as soon as two colours share no bin; this one goes on growing. Outlines
are compared by the overlap of the foregrounds laid over each other, centre on centre, with one area and turned to where
they fit best. The principal axis is undefined for a square, a star or a circle, and Hu's moments change with the
pixel grid almost as much as with the shape.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

QUANTILES = 64
"""By which the distribution of a channel is described."""
RINGS, SPOKES = 32, 128
"""Of the polar grid on which shapes are compared."""
REACH = 3.0
"""Radius of that grid, in radii of the disc that has the shape's area; what is farther out is left out."""
SOFTNESS = 0.15
"""Standard deviation, in the same radii, of the filter that hides the pixel grid of small masks.

The sharper the masks, the more of a shape's distance from itself is the grid: with 0.15, embedded objects at 64×64 that
move, grow or turn are at most 0.016 from what they were, with 0.1 twice that; other shapes are 0.03 (a square for a
circle) to 0.2 away.
"""


class Identity(NamedTuple):
    """How far the foreground is from what it was: of the P frames that have one, each but the first is compared.

    Attributes:
        colour_from_first: (P - 1,) ≥ 0, :func:`colour_distance` from the first of them.
        colour_from_previous: (P - 1,) ≥ 0, likewise from the one before.
        shape_from_first: (P - 1,) in [0, 1], :func:`shape_distance` from the first of them.
        shape_from_previous: (P - 1,) in [0, 1], likewise from the one before.
        left_out: frames without foreground.
    """

    colour_from_first: np.ndarray
    colour_from_previous: np.ndarray
    shape_from_first: np.ndarray
    shape_from_previous: np.ndarray
    left_out: int

    def summary(self) -> dict[str, float]:
        """``colour_drift`` and ``shape_drift``, means from the first; ``_jump``, the largest from the previous frame.

        NaN where fewer than two frames have a foreground.
        """
        if not len(self.colour_from_first):
            return dict.fromkeys(("colour_drift", "colour_jump", "shape_drift", "shape_jump"), float("nan"))
        return {
            "colour_drift": float(self.colour_from_first.mean()),
            "colour_jump": float(self.colour_from_previous.max()),
            "shape_drift": float(self.shape_from_first.mean()),
            "shape_jump": float(self.shape_from_previous.max()),
        }


def identity(frames: np.ndarray, masks: np.ndarray) -> Identity:
    """Compare the foreground of every frame with that of the first frame and of the previous one.

    Frames without foreground are left out, so that the frames before and after them are neighbours. An object that the
    frame's edge or another object covers in part has another shape; several objects in one mask are one thing.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 1.
        masks: bool (T, H, W), True where the foreground is.

    Raises:
        ValueError: frames or masks are something else.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if masks.dtype != np.bool_ or masks.shape != frames.shape[:3]:
        raise ValueError(f"masks must be bool {frames.shape[:3]}, not {masks.dtype} {masks.shape}")
    there = np.flatnonzero(masks.any((1, 2)))
    colours = [foreground_colours(frames[t], masks[t]) for t in there]
    shapes = [foreground_shape(masks[t]) for t in there]
    later = range(1, len(there))
    return Identity(
        colour_from_first=np.array([colour_distance(colours[0], colours[p]) for p in later]),
        colour_from_previous=np.array([colour_distance(colours[p - 1], colours[p]) for p in later]),
        shape_from_first=np.array([shape_distance(shapes[0], shapes[p]) for p in later]),
        shape_from_previous=np.array([shape_distance(shapes[p - 1], shapes[p]) for p in later]),
        left_out=len(frames) - len(there),
    )


def foreground_colours(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The distribution of the foreground's colours, as quantiles of each channel of CIE Lab.

    Pixels are weighted by the square of their distance from the background, since those at the edge are mixed with it,
    more so for small or blurred objects.

    Args:
        frame: uint8 (H, W, 3) RGB.
        mask: bool (H, W), somewhere True.

    Returns:
        (64, 3) float64: L in [0, 100], a and b about in [-128, 127].
    """
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[mask]
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weights = np.square(inside[1:-1, 1:-1][mask], dtype=np.float64)
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    quantiles = []
    for values in lab.T:
        order = np.argsort(values, kind="stable")
        passed = np.cumsum(weights[order])
        quantiles.append(np.interp(levels, (passed - weights[order] / 2) / passed[-1], values[order]))
    return np.stack(quantiles, 1)


def colour_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Earth mover's distance along each axis of CIE Lab, put together as the sides of a box.

    If all colours move by the same way this is ΔE (CIE 1976) between before and after: about 2 is just visible, red and
    green are about 170 apart.

    Args:
        a, b: (64, 3) of :func:`foreground_colours`.
    """
    return float(np.linalg.norm(np.abs(a - b).mean(0)))


def foreground_shape(mask: np.ndarray) -> np.ndarray:
    """A mask around its own centre, in polar coordinates and with a unit of length that follows from its area.

    Args:
        mask: bool (H, W), somewhere True.

    Returns:
        (32, 128) float64 ≥ 0, rings from the centre outwards, clockwise: share of each cell that the foreground covers,
        times the root of the cell's share of the area.
    """
    rows, columns = np.nonzero(mask)
    radius = np.sqrt(len(rows) / np.pi)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SOFTNESS * radius, borderType=cv2.BORDER_CONSTANT)
    distance = (np.arange(RINGS)[:, None] + 0.5) / RINGS * REACH
    angle = np.arange(SPOKES) * 2 * np.pi / SPOKES
    x = columns.mean() + radius * distance * np.cos(angle)
    y = rows.mean() + radius * distance * np.sin(angle)
    covered = cv2.remap(
        soft, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(covered * np.sqrt(distance), np.float64)


def shape_distance(a: np.ndarray, b: np.ndarray) -> float:
    """One less the overlap, at the turn where it is largest: 0 for the same shape, 1 for nothing in common.

    The overlap is ``a·b / (a·a + b·b - a·b)`` (Tanimoto), which is intersection over union where all numbers are 0 or
    1. All turns at once are a circular correlation along the spokes.

    Args:
        a, b: (32, 128) of :func:`foreground_shape`.
    """
    spectrum = (np.fft.rfft(a) * np.conj(np.fft.rfft(b))).sum(0)
    common = np.fft.irfft(spectrum, SPOKES).max()
    return float(np.clip(1 - common / ((a**2).sum() + (b**2).sum() - common), 0, 1))
