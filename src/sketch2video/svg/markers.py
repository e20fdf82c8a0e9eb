"""Positions, rotations and scales of the markers of a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sketch2video.svg.outlines import Subpath
from sketch2video.svg.values import Box, Matrix, angle_of, fit, length, rotation, scaling, translation

SHAPES = {"path", "line", "polyline", "polygon"}
"""Shapes that have markers."""

_WORDS = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}


class Vertex(NamedTuple):
    """A vertex of a line: x, y in user units, and the direction of the line there in radians."""

    x: float
    y: float
    angle: float


def vertices(outline: Sequence[Subpath]) -> list[Vertex]:
    """The vertices of a line in order; the direction at a corner is the mean of both."""
    found = []
    for part in outline:
        points = np.concatenate([part.points, part.points[:1]]) if part.closed else part.points
        stops = list(range(len(part.points))) if part.stops is None else list(part.stops)
        stops += [len(points) - 1] if part.closed and stops[-1] != len(points) - 1 else []
        steps = np.diff(points, axis=0)
        lengths = np.hypot(*steps.T)
        moves = np.nonzero(lengths > 0)[0]
        directions = steps[moves] / lengths[moves, None]
        for stop in stops:
            ahead = int(np.searchsorted(moves, stop))
            behind = ahead - 1
            if part.closed and stop in (0, len(points) - 1):
                behind, ahead = len(moves) - 1, 0
            sides = [directions[side] for side in (behind, ahead) if 0 <= side < len(moves)]
            x, y = np.sum(sides, 0) if sides else (1.0, 0.0)
            if sides and np.hypot(x, y) < 1e-9:  # a reversal
                y, x = sides[0][0], -sides[0][1]
            found.append(Vertex(float(points[stop, 0]), float(points[stop, 1]), float(np.arctan2(y, x))))
    return found


def placement(
    vertex: Vertex,
    get: Callable[[str], str | None],
    size: tuple[float, float],
    box: Box | None,
    stroke_width: float,
    *,
    is_first: bool,
) -> tuple[Matrix, Matrix]:
    """The matrices from a marker's window to the user units of the line, and from its content to its window.

    Args:
        vertex: the position of the marker.
        get: attributes of the marker.
        size: its ``markerWidth`` and ``markerHeight``.
        box: its view box; None if it has none.
        stroke_width: of the line, user units.
        is_first: whether it begins the line.
    """
    orient = (get("orient") or "0").strip().lower()
    if orient in {"auto", "auto-start-reverse"}:
        angle = vertex.angle + (np.pi if is_first and orient == "auto-start-reverse" else 0.0)
    else:
        angle = angle_of(orient) or 0.0
    content = fit(box, *size, get("preserveAspectRatio")) if box else np.eye(3)
    around = box or Box(0.0, 0.0, *size)
    origin = content @ [_reference(get("refX"), around[0], around[2]), _reference(get("refY"), around[1], around[3]), 1]
    scale = 1.0 if get("markerUnits") == "userSpaceOnUse" else stroke_width
    to_line = translation(vertex.x, vertex.y) @ rotation(angle) @ scaling(scale)
    return to_line @ translation(-origin[0], -origin[1]), content


def _reference(text: str | None, begin: float, whole: float) -> float:
    """``refX`` or ``refY``, for the start and length of the view box."""
    word = (text or "0").strip().lower()
    return begin + whole * _WORDS[word] if word in _WORDS else length(word, whole) or 0.0
