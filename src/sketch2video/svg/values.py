"""Values of SVG attributes and CSS properties: lengths, transforms, colours, view boxes."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
from tinycss2.color4 import parse_color

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

LISTED = re.compile(rf"[\s,]*({NUMBER.pattern})")
"""A number of a list, with its separator."""
_LENGTH = re.compile(rf"\s*({NUMBER.pattern})\s*([a-zA-Z]*|%)\s*")
_FUNCTION = re.compile(r"\s*([a-zA-Z]+)\s*\(([^()]*)\)\s*,?")
_PIXELS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4, "q": 96 / 101.6}
"""CSS pixels of an absolute unit."""
_DEGREES = {"": 1, "deg": 1, "grad": 0.9, "rad": 180 / math.pi, "turn": 360}
_URL = re.compile(r"""url\(\s*["']?#([^"')]+)["']?\s*\)\s*(.*)""", re.DOTALL)

MOST = 1e9
"""Numbers beyond this are treated as errors."""

Matrix = np.ndarray
"""float64 (3, 3), from column vectors (x, y, 1)."""


class Box(NamedTuple):
    """A rectangle in user units."""

    left: float
    top: float
    width: float
    height: float

    @property
    def diagonal(self) -> float:
        """The length to which percentages without a direction refer."""
        return math.hypot(self.width, self.height) / math.sqrt(2)


class Colour(NamedTuple):
    """R, G, B in [0, 255] and alpha in [0, 1]."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0


def numbers_of(text: str, most: float = math.inf) -> list[float]:
    """The first ``most`` numbers of a list, up to the first invalid one."""
    numbers: list[float] = []
    at = 0
    while len(numbers) < most and (match := LISTED.match(text, at)):
        numbers.append(max(min(float(match[1]), MOST), -MOST))
        at = match.end()
    return numbers


def length(text: str | None, whole: float, font_size: float = 16.0) -> float | None:
    """A length in user units; None if it is no length.

    Args:
        text: such as ``12``, ``1.5cm``, ``2em`` or ``50%``.
        whole: length of 100 %.
        font_size: user units of an em.
    """
    match = _LENGTH.fullmatch(text or "")
    if not match:
        return None
    number, unit = float(match[1]), match[2].lower()
    scale = {"%": whole / 100, "em": font_size, "rem": 16.0, "ex": font_size / 2, "ch": font_size / 2} | _PIXELS
    return number * scale[unit] if unit in scale and abs(number * scale[unit]) <= MOST else None


def share(text: str | None) -> float:
    """An opacity, as a number or in percent, in [0, 1]; 1 if it is neither."""
    value = length(text, 1.0)
    return 1.0 if value is None else min(max(value, 0.0), 1.0)


def colour(text: str, current: Colour) -> Colour | None:
    """A CSS colour; None if it is none."""
    try:
        found = parse_color(text)
        if found is None:
            return None
        if found == "currentcolor":
            return current
        if found.space != "srgb":
            found = found.to("srgb")
        red, green, blue = (255 * min(max(float(channel or 0), 0.0), 1.0) for channel in found.coordinates)
        return Colour(red, green, blue, min(max(float(found.alpha or 0), 0.0), 1.0))
    except (ValueError, TypeError, AttributeError, NotImplementedError, ZeroDivisionError, OverflowError):
        return None


def reference(text: str | None) -> tuple[str, str] | None:
    """The id that ``url(#id)`` names and what follows it; None if the text is no such reference."""
    match = _URL.fullmatch((text or "").strip())
    return (match[1].strip(), match[2].strip()) if match else None


def transform(text: str | None, box: Box) -> Matrix:
    """The matrix of a transform, of an attribute or of CSS; the identity if it is invalid.

    Args:
        text: a list of functions.
        box: the view box, which percentages refer to.
    """
    matrix, text, at = np.eye(3), (text or "").strip(), 0
    while match := _FUNCTION.match(text, at):
        step = _transform(match[1].lower(), [one for one in re.split(r"[\s,]+", match[2].strip()) if one], box)
        if step is None:
            return np.eye(3)
        matrix, at = matrix @ step, match.end()
    return matrix if at == len(text) and np.isfinite(matrix).all() and np.abs(matrix).max() <= MOST else np.eye(3)


def _transform(name: str, arguments: list[str], box: Box) -> Matrix | None:
    if name == "rotate":
        angle = angle_of(arguments[0]) if arguments else None
        if angle is None or len(arguments) not in (1, 3):
            return None
        centre = [length(one, whole) for one, whole in zip(arguments[1:], box[2:], strict=False)] or [0.0, 0.0]
        return None if None in centre else _around(rotation(angle), *centre)  # type: ignore[arg-type]
    if name in {"skewx", "skewy", "skew"}:
        angles = [angle_of(one) for one in arguments]
        if None in angles or not 1 <= len(angles) <= 2:
            return None
        x, y = (math.tan(angle or 0.0) for angle in [*angles, 0.0][:2])
        return (
            _matrix(1, y, x, 1) if name == "skew" else _matrix(1, 0, x, 1) if name == "skewx" else _matrix(1, x, 0, 1)
        )
    wholes = {"translate": box[2:], "translatex": box[2:3], "translatey": box[3:]}.get(name, (1.0,) * 6)
    values = [length(one, whole) for one, whole in zip(arguments, wholes, strict=False)]
    if None in values or len(values) != len(arguments) or not values:
        return None
    v = [value or 0.0 for value in values]
    counts = {"matrix": (6,), "translate": (1, 2), "scale": (1, 2)}.get(name, (1,))
    if len(v) not in counts:
        return None
    match name:
        case "matrix":
            return _matrix(*v)
        case "translate":
            return _matrix(1, 0, 0, 1, *v)
        case "translatex":
            return _matrix(1, 0, 0, 1, v[0])
        case "translatey":
            return _matrix(1, 0, 0, 1, 0, v[0])
        case "scale":
            return _matrix(v[0], 0, 0, v[-1])
        case "scalex":
            return _matrix(v[0], 0, 0, 1)
        case "scaley":
            return _matrix(1, 0, 0, v[0])
    return None


def angle_of(text: str) -> float | None:
    """An angle in radians; None if the text is none."""
    match = _LENGTH.fullmatch(text)
    if not match or match[2].lower() not in _DEGREES or not math.isfinite(float(match[1])):
        return None
    return math.radians(math.fmod(float(match[1]), 1e9) * _DEGREES[match[2].lower()])


def _matrix(a: float, b: float, c: float, d: float, e: float = 0.0, f: float = 0.0) -> Matrix:
    return np.array([[a, c, e], [b, d, f], [0.0, 0.0, 1.0]])


def rotation(angle: float) -> Matrix:
    """The matrix that turns by an angle in radians, clockwise where y is down."""
    return _matrix(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))


def scaling(scale: float) -> Matrix:
    """The matrix that enlarges both sides."""
    return _matrix(scale, 0, 0, scale)


def translation(x: float, y: float) -> Matrix:
    """The matrix that moves by (x, y)."""
    return _matrix(1, 0, 0, 1, x, y)


def _around(matrix: Matrix, x: float, y: float) -> Matrix:
    return translation(x, y) @ matrix @ translation(-x, -y)


def around(matrix: Matrix, origin: str | None, box: Box) -> Matrix:
    """A transform about a CSS ``transform-origin``; the origin of SVG elements is (0, 0) of the view box."""
    words = {"left": "0%", "top": "0%", "center": "50%", "right": "100%", "bottom": "100%"}
    offsets = (origin or "").split()[:2]
    if not offsets:
        return matrix
    if offsets[0] in {"top", "bottom"} or (len(offsets) > 1 and offsets[1] in {"left", "right"}):
        offsets = ["center", *offsets][-2:][::-1]
    offsets = [words.get(offset, offset) for offset in [*offsets, "center"][:2]]
    x, y = length(offsets[0], box.width), length(offsets[1], box.height)
    return matrix if x is None or y is None else _around(matrix, box.left + x, box.top + y)


def view_box(text: str | None) -> Box | None:
    """The box of a ``viewBox``; None if it is missing or empty."""
    numbers = numbers_of(text or "")
    return Box(*numbers) if len(numbers) == 4 and min(numbers[2:]) > 0 else None


def fit(box: Box, width: float, height: float, aspect: str | None) -> Matrix:
    """From a view box to (0, 0, width, height), by ``preserveAspectRatio``."""
    words = (aspect or "").replace("defer", "").split() or ["xMidYMid"]
    across, down = width / box.width, height / box.height
    if words[0] == "none":
        return _matrix(across, 0, 0, down, -across * box.left, -down * box.top)
    scale = max(across, down) if "slice" in words[1:] else min(across, down)
    match = re.fullmatch(r"x(Min|Mid|Max)Y(Min|Mid|Max)", words[0])
    shares = {"Min": 0.0, "Mid": 0.5, "Max": 1.0}
    x, y = (shares[match[1]], shares[match[2]]) if match else (0.5, 0.5)
    return _matrix(
        *(scale, 0, 0, scale),
        x * (width - scale * box.width) - scale * box.left,
        y * (height - scale * box.height) - scale * box.top,
    )
