"""Shapes → polylines: path data, and SVG's basic shapes."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sketch2video.svg.limits import MOST_POINTS, TooLarge
from sketch2video.svg.values import LISTED, MOST, NUMBER, Box, numbers_of

_STEPS = 24
"""Number of segments that approximate a Bézier or an arc."""
_TOKEN = re.compile(rf"[\s,]*(?:([MmLlHhVvCcSsQqTtAaZz])|({NUMBER.pattern}))")
_FLAG = re.compile(r"[\s,]*([01])")
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_SMOOTH = {"S": "CS", "T": "QT"}


class Subpath(NamedTuple):
    """Connected points (n, 2) float64, n at least 2; ``closed`` if the last is joined to the first.

    ``stops`` are the indices of the vertices, at which markers are drawn; None if all are.
    """

    points: np.ndarray
    closed: bool
    stops: tuple[int, ...] | None = None


def path(data: str, most: int = MOST_POINTS) -> list[Subpath]:
    """Polylines of path data; of invalid data the part before the error, as in browsers.

    Args:
        data: commands and their numbers.
        most: number of points that the document may still draw; the end of a closed line counts as one.

    Raises:
        TooLarge: there are more points; no more than ``most`` are built.
    """
    found: list[Subpath] = []
    numbers = array("d")  # x and y of each point of the line: few bytes, for path data may have millions of points
    stops: list[int] = []
    at = start = control = 0j
    last, left = "", most

    def count(points: int) -> None:
        nonlocal left
        left -= points
        if left < 0:
            raise TooLarge(f"draws more than {MOST_POINTS} points")

    def add(points: Sequence[complex] | np.ndarray) -> complex:
        count(len(points))
        numbers.frombytes(np.asarray(points, complex).tobytes())
        return complex(points[-1])

    def end(closed: bool) -> None:
        if len(numbers) > 2:
            found.append(Subpath(np.array(numbers).reshape(-1, 2), closed, tuple(stops)))
        del numbers[:], stops[:]

    for command, values in _commands(data):
        kind, base = command.upper(), at if command.islower() else 0j
        if not found and not numbers and kind != "M":
            break
        pairs = [base + complex(x, y) for x, y in zip(values[-2::-2], values[-1::-2], strict=False)][::-1]
        if kind == "M":
            end(False)
            at = start = add(pairs)
        elif kind == "Z":
            count(1)
            end(True)
            at = start
        else:
            if not numbers:
                add([at])
            # A smooth curve continues from the previous control point, if that is of the same kind.
            mirrored = 2 * at - control if last and last in _SMOOTH.get(kind, "") else at
            if kind == "H":
                at = add([complex(values[0] + base.real, at.imag)])
            elif kind == "V":
                at = add([complex(at.real, values[0] + base.imag)])
            elif kind == "L":
                at = add(pairs)
            elif kind == "A":
                at = add(_arc(at, pairs[-1], *values[:5]))
            else:
                controls = [at, *([mirrored] if kind in _SMOOTH else []), *pairs]
                at, control = add(_bezier(controls)), controls[-2]
        stops.extend([len(numbers) // 2 - 1] if numbers else [])
        last = kind
    end(False)
    return found


def _commands(data: str) -> Iterator[tuple[str, list[float]]]:
    """Yield command and arguments of each segment, up to the first invalid one."""
    at, command = 0, ""
    while match := _TOKEN.match(data, at):
        if match[1]:
            command, at = match[1], match.end()
            if command in "Zz":
                yield command, []
                command = ""
                continue
        elif not command:
            return
        values: list[float] = []
        for number in range(_ARGUMENTS[command.upper()]):
            # The flags of arcs may be followed by the next number without a space.
            is_flag = command in "Aa" and number in (3, 4)
            argument = (_FLAG if is_flag else LISTED).match(data, at)
            if not argument or abs(value := float(argument[1])) > MOST:
                return
            values.append(value)
            at = argument.end()
        yield command, values
        command = {"M": "L", "m": "l"}.get(command, command)


def _bezier(controls: Sequence[complex]) -> np.ndarray:
    """Points of a Bézier of degree 2 or 3 after its first: complex128 (n,)."""
    u = np.linspace(0, 1, _STEPS + 1)[1:]
    degree = len(controls) - 1
    curve = sum(math.comb(degree, i) * (1 - u) ** (degree - i) * u**i * control for i, control in enumerate(controls))
    return np.asarray(curve, complex)


def _arc(start: complex, end: complex, rx: float, ry: float, tilt: float, large: float, sweep: float) -> np.ndarray:
    """Points of an elliptical arc after its first (SVG 1.1, appendix F.6): complex128 (n,)."""
    rx, ry = abs(rx), abs(ry)
    if start == end or not rx or not ry:
        return np.array([end])
    turn = complex(math.cos(math.radians(tilt)), math.sin(math.radians(tilt)))
    half = (start - end) / 2 / turn
    x, y = half.real / rx, half.imag / ry
    square = x * x + y * y
    if square > 1:
        rx, ry, square = rx * math.sqrt(square), ry * math.sqrt(square), 1.0
        x, y = half.real / rx, half.imag / ry
    if not square:
        return np.array([end])
    side = math.sqrt(max(1 / square - 1, 0.0)) * (-1 if bool(large) == bool(sweep) else 1)
    centre = complex(side * y, -side * x)  # on the unit circle that the ellipse is stretched from
    first, last = (math.atan2(v.imag, v.real) for v in (complex(x, y) - centre, complex(-x, -y) - centre))
    span = (last - first) % (2 * math.pi) - (0 if sweep else 2 * math.pi)
    angles = first + span * np.linspace(0, 1, 2 * _STEPS + 1)[1:]
    middle = (start + end) / 2
    ring = rx * (np.cos(angles) + centre.real) + 1j * ry * (np.sin(angles) + centre.imag)
    return np.append((middle + turn * ring)[:-1], end)


Measure = Callable[[str, float], float | None]
"""A shape's attribute as a length, given the length of 100 %; None where it is missing or wrong."""


def shape(name: str, measure: Measure, vertices: str, box: Box, most: int = MOST_POINTS) -> list[Subpath]:
    """Polylines of a shape other than a path; none if it is not drawn.

    Args:
        name: of the element, such as ``rect``.
        measure: its lengths.
        vertices: its attribute ``points``; empty if it has none.
        box: the view box, which percentages refer to.
        most: number of points that the document may still draw; of more vertices one more is returned.
    """

    def across(key: str) -> float:
        return measure(key, box.width) or 0.0

    def down(key: str) -> float:
        return measure(key, box.height) or 0.0

    def radii() -> tuple[float, float]:
        rx, ry = measure("rx", box.width), measure("ry", box.height)
        return (ry if rx is None else rx) or 0.0, (rx if ry is None else ry) or 0.0

    match name:
        case "line":
            return [Subpath(np.array([(across("x1"), down("y1")), (across("x2"), down("y2"))]), False)]
        case "polyline" | "polygon":
            numbers = numbers_of(vertices, 2 * (most + 1))
            points = np.array(numbers[: len(numbers) // 2 * 2]).reshape(-1, 2)
            return [Subpath(points, name == "polygon")] if len(points) > 1 else []
        case "circle":
            radius = measure("r", box.diagonal) or 0.0
            return _ellipse(across("cx"), down("cy"), radius, radius)
        case "ellipse":
            return _ellipse(across("cx"), down("cy"), *radii())
        case "rect":
            return _rectangle(across("x"), down("y"), across("width"), down("height"), *radii())
    return []


def _ellipse(cx: float, cy: float, rx: float, ry: float) -> list[Subpath]:
    if rx <= 0 or ry <= 0:
        return []
    angles = np.linspace(0, 2 * np.pi, 4 * _STEPS, endpoint=False)
    return [Subpath(np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1), True)]


def _rectangle(x: float, y: float, width: float, height: float, rx: float, ry: float) -> list[Subpath]:
    if width <= 0 or height <= 0:
        return []
    rx, ry = min(max(rx, 0.0), width / 2), min(max(ry, 0.0), height / 2)
    corners = np.array([(x + width, y), (x + width, y + height), (x, y + height), (x, y)])
    if not rx or not ry:
        return [Subpath(corners, True)]
    inward = np.array([(-rx, ry), (-rx, -ry), (rx, -ry), (rx, ry)])
    parts = []
    for quarter, (corner, inside) in enumerate(zip(corners, inward, strict=True)):
        angles = np.linspace(quarter - 1, quarter, _STEPS) * np.pi / 2
        parts.append(corner + inside + np.stack([rx * np.cos(angles), ry * np.sin(angles)], axis=1))
    return [Subpath(np.concatenate(parts), True)]


def dashed(line: Subpath, pattern: list[float], offset: float, most: int = 10_000) -> list[Subpath]:
    """The dashes of a line; the whole line if the pattern is empty or gives more than ``most`` dashes.

    Args:
        line: to be dashed.
        pattern: lengths of dash and gap in turn; of an odd number it is repeated once.
        offset: into the pattern, at which the line begins.
        most: dashes.
    """
    pattern = pattern * 2 if len(pattern) % 2 else pattern
    points = np.concatenate([line.points, line.points[:1]]) if line.closed else line.points
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    period = sum(pattern)
    if not pattern or min(pattern) < 0 or period <= 0 or along[-1] / period * len(pattern) > most:
        return [line]
    edges = np.concatenate([[0.0], np.cumsum(pattern)])
    found: list[Subpath] = []
    begin = -math.fmod(offset, period) - (period if offset < 0 else 0)
    while begin < along[-1]:
        for dash, gap in zip(edges[:-1:2], edges[1::2], strict=True):
            first, last = max(begin + dash, 0.0), min(begin + gap, along[-1])
            if last > first:
                inner = along[np.searchsorted(along, first, "right") : np.searchsorted(along, last, "left")]
                where = np.concatenate([[first], inner, [last]])
                at = np.stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)], axis=1)
                found.append(Subpath(at, False))
        begin += period
    return found
