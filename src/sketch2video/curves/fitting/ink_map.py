"""The ink of one frame of a drawing: distances to it, enclosed regions, and its assignment to strokes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree


@dataclass
class InkFrame:
    """The ink of a frame: its lines, distances to them, and the nearest line pixel of each pixel.

    Without ink all distances are infinite.

    Attributes:
        skeleton: (H, W) bool, lines one pixel wide.
        offsets: (H, W, 2) px, from the centres of pixels to the centre of the line, less than 0.5 along each axis; see
            :func:`~sketch2video.curves.fitting.centre_lines.centre_lines`.
        ink: (N, 2) px, the centres of the line at its pixels.
        distance: (H, W) px, between the centres of pixels.
        nearest: (H, W) int64, index of the nearest point of ``ink``.
    """

    skeleton: np.ndarray
    offsets: np.ndarray
    ink: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray

    @classmethod
    def of(cls, skeleton: np.ndarray, offsets: np.ndarray) -> InkFrame:
        """Of a skeleton and its offsets."""
        rows, columns = np.nonzero(skeleton)
        ink = np.stack([columns, rows], 1) + 0.5 + offsets[rows, columns]
        if not len(ink):
            far, none = np.full(skeleton.shape, np.inf, np.float32), np.zeros(skeleton.shape, np.int64)
            return cls(skeleton, offsets, ink, far, none)
        empty = (~skeleton).astype(np.uint8)
        distance, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        index = np.zeros(int(labels.max()) + 1, np.int64)
        index[labels[rows, columns]] = np.arange(len(ink))
        return cls(skeleton, offsets, ink, distance, index[labels])

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels nearest to ``points`` (..., 2)."""
        height, width = self.skeleton.shape
        columns = np.clip(points[..., 0], 0, width - 1).astype(np.int64)
        return np.clip(points[..., 1], 0, height - 1).astype(np.int64), columns

    def distance_from(self, points: np.ndarray) -> np.ndarray:
        """Distance in px of ``points`` (..., 2) to the ink; it keeps growing outside the frame."""
        height, width = self.skeleton.shape
        outside = np.maximum(0.0, np.maximum(-points, points - (width, height))).sum(-1)
        return self.distance[self.at(points)] + outside

    def in_the_open(self, points: np.ndarray, inside: np.ndarray, reach: float) -> np.ndarray:
        """Points (..., 2) that are neither within ``reach`` px of ink nor possibly occluded: (...) bool.

        Args:
            points: px.
            inside: (H, W) bool, pixels that lines surround; see :func:`surrounded`.
            reach: px.
        """
        return np.asarray((self.distance_from(points) > reach) & ~inside[self.at(points)])

    def distance_from_shifted(self, points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Distances as of :meth:`distance_from` after every shift of ``offsets`` (D,): (M, n, 2) -> (M, D, D, n).

        The first D is of shifts to the right, the second of shifts down.
        """
        size = np.array(self.skeleton.shape[::-1])
        moved = points[:, None] + offsets[:, None, None]
        outside = np.maximum(0.0, np.maximum(-moved, moved - size))
        pixels = np.clip(moved, 0, size - 1).astype(np.int64) * (1, size[0])
        distance = self.distance.ravel()[pixels[:, :, None, :, 0] + pixels[:, None, :, :, 1]]
        return distance + (outside[:, :, None, :, 0] + outside[:, None, :, :, 1])


def meet(points: np.ndarray, frame: InkFrame, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign the ink of a frame to strokes, whose points are (M, n, 2).

    Returns:
        For each pixel of ink (N,): the distance in px to the nearest point, infinite beyond ``reach``; the number of
        that point among all M n; and the stroke that it belongs to, -1 beyond ``reach``.
    """
    tree = cKDTree(points.reshape(-1, 2), balanced_tree=False, compact_nodes=False)
    distance, nearest = map(np.asarray, tree.query(frame.ink, distance_upper_bound=reach))
    return distance, nearest, np.where(np.isfinite(distance), nearest // points.shape[1], -1)


def regions(ink: np.ndarray, gap: float, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Regions of at least ``area`` pixels that lines surround, up to small gaps.

    Returns:
        Labels (H, W) of all regions, and those of the enclosed ones: all but the outside.
    """
    labels, stats, margin = _labelled(ink, gap)
    large = stats[:, cv2.CC_STAT_AREA] >= area
    large[[0, labels[0, 0]]] = False
    return labels[margin], np.flatnonzero(large)


def surrounded(ink: np.ndarray, gap: float) -> np.ndarray:
    """Pixels that lines surround, up to small gaps, or cover: (H, W) bool."""
    labels, _, margin = _labelled(ink, gap)
    return np.asarray(labels != labels[0, 0])[margin]


def _labelled(ink: np.ndarray, gap: float) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """Labels of the regions between dilated lines, with an outer margin; their statistics; the slice of the picture."""
    side = 2 * int(gap / 2) + 1
    walls = cv2.dilate(np.pad(ink.astype(np.uint8), side), np.ones((side, side), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - walls, connectivity=4)
    return labels, stats, (slice(side, -side), slice(side, -side))


def enclosed(ink: np.ndarray, gap: float, area: float) -> Iterator[np.ndarray]:
    """The regions of :func:`regions`, with the dilated ink around them: uint8 (H, W) masks."""
    labels, inside = regions(ink, gap, area)
    side = 2 * int(gap / 2) + 1
    for region in inside:
        yield cv2.dilate((labels == region).astype(np.uint8), np.ones((side, side), np.uint8))


def without_specks(mask: np.ndarray, least: float) -> np.ndarray:
    """Connected parts of at least ``least`` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    return np.asarray(kept[labels])
