"""A drawing for pen plotters: SVG in millimetres, and G-code.

Each stroke is one path with the pen down. Strokes are ordered, and reversed, so that the way with the pen up is short:
the nearest next end from every possible start, improved by reversing parts of the order until none shortens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.exports.beziers import PIECES, beziers, path_data
from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.exports.svg_writer import svg_document

_POINTS = 16
"""Points a harmonic of the polylines before those are left out that the tolerance allows."""


@dataclass(frozen=True)
class Plot:
    """How a drawing is plotted.

    Attributes:
        size: longer side of the drawing, mm.
        pen: width of the pen, mm.
        pen_up, pen_down: lines of G-code.
        feed: speed with the pen down, mm a minute.
        tolerance: of the polylines of G-code, mm.
    """

    size: float = 180.0
    pen: float = 0.4
    pen_up: str = "G0 Z5"
    pen_down: str = "G1 Z0 F500"
    feed: float = 2000.0
    tolerance: float = 0.02


def to_plotter_svg(equation: Equation, plot: Plot) -> str:
    """The first frame as an SVG document in mm: a path for each stroke, in the order in which they are plotted."""
    strokes, order, unit = _ordered(equation, plot)
    paths = []
    for stroke, reverse in order:
        points = beziers(strokes[stroke][None], PIECES * strokes.shape[-1])[0]
        colour = f' stroke="{equation.css_colour(_slots(equation)[stroke])}"' if equation.colours is not None else ""
        paths.append(f'<path d="{path_data(points[::-1] if reverse else points, 3)}"{colour}/>')
    body = "\n".join(paths)
    group = f'<g fill="none" stroke="black" stroke-width="{plot.pen:g}" stroke-linecap="round">\n{body}\n</g>'
    return svg_document(group, equation.height * unit, equation.width * unit, "mm")


def to_gcode(equation: Equation, plot: Plot) -> str:
    """The first frame as G-code in mm: the origin is the lower left corner, y is away from the operator."""
    strokes, order, unit = _ordered(equation, plot)
    height, width = equation.height * unit, equation.width * unit
    lines = [
        f"; A drawing of {width:.1f} x {height:.1f} mm, strokes: {len(strokes)}",
        "G21 ; millimetres",
        "G90 ; absolute positions",
        plot.pen_up,
    ]
    for stroke, reverse in order:
        points = simplified(_polyline(strokes[stroke]), plot.tolerance)
        points = points[::-1] if reverse else points
        places = [f"X{x:.3f} Y{height - y:.3f}" for x, y in points]
        lines += [f"G0 {places[0]}", plot.pen_down]
        lines += [f"G1 {place}" + (f" F{plot.feed:g}" if i == 0 else "") for i, place in enumerate(places[1:])]
        lines.append(plot.pen_up)
    return "\n".join([*lines, "G0 X0 Y0", "M2"]) + "\n"


def pen_order(ends: np.ndarray, start: Sequence[float] = (0.0, 0.0)) -> list[tuple[int, bool]]:
    """An order of strokes with a short way in between.

    Args:
        ends: (S, 2, 2), first and last points of the strokes.
        start: where the pen is before.

    Returns:
        Strokes in their order, and whether each is drawn from its last to its first point.
    """
    if not len(ends):
        return []
    begin = np.asarray(start, np.float64)
    tours = (_improved(_nearest(ends, first), ends, begin) for first in np.ndindex(len(ends), 2))
    return min(tours, key=lambda tour: travel(tour, ends, begin))


def travel(order: Sequence[tuple[int, bool]], ends: np.ndarray, start: Sequence[float] | np.ndarray) -> float:
    """Length of the way with the pen up."""
    entries = np.array([ends[stroke, int(reverse)] for stroke, reverse in order])
    exits = np.array([ends[stroke, 1 - int(reverse)] for stroke, reverse in order])
    return float(np.linalg.norm(entries - np.vstack([start, exits[:-1]]), axis=1).sum())


def simplified(points: np.ndarray, tolerance: float) -> np.ndarray:
    """The polyline (n, 2) without the points from which it stays within a tolerance (Douglas and Peucker 1973)."""
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        chord, inner = points[last] - points[first], points[first + 1 : last] - points[first]
        along = np.clip(inner @ chord / max(float(chord @ chord), 1e-12), 0, 1)
        away = np.linalg.norm(inner - along[:, None] * chord, axis=1)
        if away.max(initial=0.0) > tolerance:
            middle = first + 1 + int(away.argmax())
            keep[middle] = True
            parts += [(first, middle), (middle, last)]
    return points[keep]


def _slots(equation: Equation) -> np.ndarray:
    return np.flatnonzero(equation.curves.visible[0])


def _ordered(equation: Equation, plot: Plot) -> tuple[np.ndarray, list[tuple[int, bool]], float]:
    """Coefficients (S, 2, K) in mm, y down, the order of the strokes, and mm in a px."""
    unit = plot.size / max(equation.height, equation.width)
    strokes = equation.curves.coefficients[0][_slots(equation)].astype(np.float64) * equation.width * unit
    ends = np.matmul(strokes, cosines(2, strokes.shape[-1]).T).swapaxes(1, 2)
    return strokes, pen_order(ends, (0.0, equation.height * unit)), unit


def _polyline(stroke: np.ndarray) -> np.ndarray:
    """Many points (n, 2) of a stroke (2, K)."""
    return (stroke @ cosines(_POINTS * stroke.shape[-1] + 1, stroke.shape[-1]).T).T


Tour = list[tuple[int, bool]]


def _nearest(ends: np.ndarray, first: tuple[int, ...]) -> Tour:
    """From one end of a stroke on, always to the nearest end that is left."""
    tour = [(first[0], bool(first[1]))]
    left = [stroke for stroke in range(len(ends)) if stroke != first[0]]
    while left:
        stroke, reverse = tour[-1]
        away = np.linalg.norm(ends[left] - ends[stroke, 1 - int(reverse)], axis=-1)
        index, end = np.unravel_index(int(away.argmin()), away.shape)
        tour.append((left.pop(int(index)), bool(end)))
    return tour


def _improved(tour: Tour, ends: np.ndarray, start: np.ndarray) -> Tour:
    """The tour after reversals of parts, the most shortening one first, until none shortens it (2-opt)."""
    while True:
        entries = np.array([ends[stroke, int(reverse)] for stroke, reverse in tour])
        exits = np.array([ends[stroke, 1 - int(reverse)] for stroke, reverse in tour])
        before = np.vstack([start, exits[:-1]])
        # Strokes i to j are reversed: from before i to the exit of j, and from the entry of i to the stroke after j.
        joined = np.linalg.norm(before[:, None] - exits, axis=-1)
        joined[:, :-1] += np.linalg.norm(entries[:, None] - entries[1:], axis=-1)
        steps = np.linalg.norm(before - entries, axis=-1)
        gain = np.triu(steps[:, None] + np.append(steps[1:], 0.0) - joined)
        i, j = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[i, j] < 1e-9:
            return tour
        tour[i : j + 1] = [(stroke, not reverse) for stroke, reverse in reversed(tour[i : j + 1])]
