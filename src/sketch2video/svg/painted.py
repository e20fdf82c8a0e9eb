"""Painted items: shapes on the page, and their clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sketch2video.svg.outlines import Subpath
from sketch2video.svg.values import Box, Colour, Matrix


@dataclass
class Painted:
    """A painted shape.

    Attributes:
        outline: of the area that is filled, on the page.
        lines: that are drawn; those of the outline, in dashes where it is dashed.
        fill, stroke: None where there is none.
        even_odd: whether the inside of the outline is by the even-odd rule; else by the nonzero rule.
        stroke_width: on the page.
        clips: each may hide a part of it.
    """

    outline: list[Subpath]
    lines: list[Subpath]
    fill: Colour | None
    stroke: Colour | None
    even_odd: bool
    stroke_width: float
    clips: list[Clip] = field(default_factory=list)


@dataclass(frozen=True)
class Clip:
    """A clip or mask: others are visible where these shapes are, or in proportion to their brightness for a mask."""

    shapes: Sequence[Painted]
    is_mask: bool = False
    by_alpha: bool = False


def clip_to(outline: Sequence[Subpath], matrix: Matrix, even_odd: bool = False) -> Clip:
    """A clip to the inside of an outline.

    Args:
        outline: in user units.
        matrix: from user units to the page.
        even_odd: the fill rule.
    """
    area = [Subpath(moved(part.points, matrix), True) for part in outline]
    return Clip([Painted(area, [], Colour(0, 0, 0), None, even_odd, 0.0)] if area else [])


def moved(points: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Points (n, 2) under a matrix."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def box_around(items: Sequence[Painted], matrix: Matrix, *, with_strokes: bool = False) -> Box | None:
    """The box around items, in the user units from which a matrix maps to the page; None if there is none.

    Args:
        items: on the page.
        matrix: from user units to the page.
        with_strokes: whether strokes extend the box by half their width.
    """
    determinant = abs(np.linalg.det(matrix))
    if determinant < 1e-12 or not items:
        return None
    back, unit, corners = np.linalg.inv(matrix), np.sqrt(determinant), []
    for item in items:
        inside = moved(np.concatenate([part.points for part in item.outline]), back)
        reach = item.stroke_width / unit / 2 if with_strokes and item.stroke else 0.0
        corners += [inside.min(0) - reach, inside.max(0) + reach]
    low, high = np.min(corners, 0), np.max(corners, 0)
    return Box(*low.tolist(), *(high - low).tolist())


def visible_points(items: Sequence[Painted]) -> Iterator[np.ndarray]:
    """Yield the points (n, 2) of all items."""
    for item in items:
        if item.fill is not None or item.stroke is not None:
            yield from (part.points for part in item.outline)
