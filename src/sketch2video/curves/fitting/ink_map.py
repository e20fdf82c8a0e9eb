"""The ink of one frame of a drawing: distances to it, enclosed regions, and its assignment to strokes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from sketch2video.compiled import compiled
from sketch2video.curves.equation.nearest import are_near, nearest_points


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
    _regions: dict[float, Regions] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, skeleton: np.ndarray, offsets: np.ndarray) -> InkFrame:
        """Of a skeleton and its offsets."""
        pixels, ink = _centres(skeleton, offsets)
        if not len(ink):
            far, none = np.full(skeleton.shape, np.inf, np.float32), np.zeros(skeleton.shape, np.int64)
            return cls(skeleton, offsets, ink, far, none)
        empty = 1 - skeleton.view(np.uint8)
        distance, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        return cls(skeleton, offsets, ink, distance, _numbered(labels, pixels))

    def regions(self, gap: float) -> Regions:
        """Regions between the lines, with gaps of up to ``gap`` px closed."""
        if gap not in self._regions:
            self._regions[gap] = Regions.of(self.skeleton, gap)
        return self._regions[gap]

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels nearest to ``points`` (..., 2)."""
        return pixels(points, self.skeleton.shape)

    def distance_from(self, points: np.ndarray) -> np.ndarray:
        """Distance in px of ``points`` (..., 2) to the ink; it keeps growing outside the frame."""
        return self.distance[self.at(points)] + outside(points, self.skeleton.shape)

    def in_the_open(self, points: np.ndarray, inside: np.ndarray, reach: float) -> np.ndarray:
        """Points (..., 2) that are neither within ``reach`` px of ink nor possibly occluded: (...) bool.

        Args:
            points: px.
            inside: (H, W) bool, pixels that lines surround; see :class:`Regions`.
            reach: px.
        """
        return np.asarray((self.distance_from(points) > reach) & ~inside[self.at(points)])


def meet(points: np.ndarray, frame: InkFrame, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign the ink of a frame to strokes, whose points are (M, n, 2).

    Returns:
        For each pixel of ink (N,): the distance in px to the nearest point, infinite beyond ``reach``; the number of
        that point among all M n; and the stroke that it belongs to, -1 beyond ``reach``.
    """
    distance, nearest = nearest_points(points, frame.ink, reach)
    return distance, nearest, np.where(nearest >= 0, nearest // points.shape[1], -1)


def near(points: np.ndarray, others: np.ndarray, reach: float) -> np.ndarray:
    """Which of other points (N, 2) have one of ``points`` (..., 2) within ``reach`` px: (N,) bool."""
    return are_near(points, others, reach)


def pixels(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a frame of a shape (H, W) that are nearest to ``points`` (..., 2)."""
    height, width = shape
    columns, rows = points[..., 0], points[..., 1]
    return (
        np.minimum(np.maximum(rows, 0), height - 1).astype(np.int64),
        np.minimum(np.maximum(columns, 0), width - 1).astype(np.int64),
    )


def outside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Distance in px, along both axes together, of ``points`` (..., 2) from a frame of a shape (H, W); 0 inside."""
    height, width = shape
    x, y = points[..., 0], points[..., 1]
    return np.asarray(np.maximum(0.0, np.maximum(-x, x - width)) + np.maximum(0.0, np.maximum(-y, y - height)))


class Regions(NamedTuple):
    """Regions of a drawing between its lines, up to small gaps.

    Attributes:
        labels: (H, W) int32, 0 for lines and their gaps.
        outer: the label of the outside.
        areas: (R,) px, of each label; that of the outside includes a margin.
        boxes: (R, 4), of each label: its first row and the one after its last, its first column and the one after
            its last; the margin counts for the outside.
    """

    labels: np.ndarray
    outer: int
    areas: np.ndarray
    boxes: np.ndarray

    @classmethod
    def of(cls, ink: np.ndarray, gap: float) -> Regions:
        """Of ink (H, W) bool; gaps of up to ``gap`` px are closed."""
        side = 2 * int(gap / 2) + 1
        padded = cv2.copyMakeBorder(ink.view(np.uint8), side, side, side, side, cv2.BORDER_CONSTANT)
        between = 1 - cv2.dilate(padded, np.ones((side, side), np.uint8))
        count, labels = cv2.connectedComponents(between, connectivity=4)
        areas, boxes = _areas_and_boxes(labels, count)
        return cls(labels[side:-side, side:-side], int(labels[0, 0]), areas, boxes - side)

    @property
    def surrounded(self) -> np.ndarray:
        """Pixels that lines surround or cover: (H, W) bool."""
        return np.asarray(self.labels != self.outer)

    def enclosed(self, area: float) -> np.ndarray:
        """Labels of the regions of at least ``area`` px that lines surround."""
        large = self.areas >= area
        large[[0, self.outer]] = False
        return np.flatnonzero(large)


@compiled
def _centres(skeleton: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a skeleton (H, W), row by row: their indices among all pixels (N,), and their centres with offsets
    (H, W, 2) added (N, 2)."""
    width = skeleton.shape[1]
    pixels = np.nonzero(skeleton.ravel())[0]
    ink = np.empty((len(pixels), 2))
    for i in range(len(pixels)):
        row, column = pixels[i] // width, pixels[i] % width
        ink[i, 0] = column + 0.5 + offsets[row, column, 0]
        ink[i, 1] = row + 0.5 + offsets[row, column, 1]
    return pixels, ink


@compiled
def _numbered(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Replace the labels (H, W) of pixels, given by their indices (N,), by 0, ..., N - 1: int64 (H, W)."""
    height, width = labels.shape
    index, numbers = np.zeros(height * width + 1, np.int64), np.empty((height, width), np.int64)
    for i in range(len(pixels)):
        index[labels[pixels[i] // width, pixels[i] % width]] = i
    for row in range(height):
        for column in range(width):
            numbers[row, column] = index[labels[row, column]]
    return numbers


@compiled
def _areas_and_boxes(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Areas (R,) and boxes (R, 4) of R labels (H, W); see :class:`Regions`."""
    height, width = labels.shape
    areas, boxes = np.zeros(count, np.int64), np.zeros((count, 4), np.int64)
    boxes[:, 0], boxes[:, 2] = height, width
    for row in range(height):
        for column in range(width):
            label = labels[row, column]
            box = boxes[label]
            areas[label] += 1
            box[0], box[1] = min(box[0], row), row + 1
            box[2], box[3] = min(box[2], column), max(box[3], column + 1)
    return areas, boxes


def without_specks(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...], least: float) -> np.ndarray:
    """Connected parts of at least ``least`` pixels: (H, W) bool, from pixels in rows and columns (N,) of a shape."""
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 1
    labels = cv2.connectedComponents(mask, connectivity=8)[1][rows, columns]
    few = np.bincount(labels)[labels] < least
    mask[rows[few], columns[few]] = 0
    return mask.view(bool)
