"""CSS basic shapes, to which ``clip-path`` may clip: inset, circle, ellipse, polygon, path, rect and xywh."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from sketch2video.svg.outlines import Subpath, shape
from sketch2video.svg.values import Box, length

BOXES = ("stroke-box", "border-box", "margin-box", "fill-box", "padding-box", "content-box", "view-box")
"""Keywords for the reference box of a shape; for an SVG element, border box and margin box are its stroke box."""

_SHAPE = re.compile(r"([a-z-]+)\(((?:[^()\"']|\"[^\"]*\"|'[^']*')*)\)", re.IGNORECASE)
_RULE = re.compile(r"\s*(evenodd|nonzero)\s*,\s*", re.IGNORECASE)
_SIDES = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
"""Indices of one to four values, as in CSS margins, for top, right, bottom and left."""
_STEPS = 16
"""Points of a round corner."""
_WORDS = {"left": "0%", "top": "0%", "center": "50%", "right": "100%", "bottom": "100%"}


_Lengths = Callable[[Sequence[str], Sequence[float]], list[float] | None]


class BasicShape(NamedTuple):
    """A region: polylines in user units, and whether the even-odd rule applies."""

    outline: list[Subpath]
    even_odd: bool


def basic_shape(
    text: str, box_of: Callable[[str], Box], font_size: float, path: Callable[[str], Sequence[Subpath]]
) -> BasicShape | None:
    """The basic shape that a value of ``clip-path`` names; None if it is no such value.

    Args:
        text: such as ``circle(40%)`` or ``inset(10px round 5px) fill-box``.
        box_of: the reference box of the shape, by its keyword in :data:`BOXES`.
        font_size: user units of an em.
        path: polylines of path data.
    """
    match = _SHAPE.search(text)
    words = (_SHAPE.sub(" ", text, count=1) if match else text).lower().split()
    if len(words) > 1 or any(word not in BOXES for word in words) or not (match or words):
        return None
    box = box_of(words[0] if words else "stroke-box")
    if match is None:
        return BasicShape(_rounded(box, np.zeros((2, 4))), False)
    name, rest = match[1].lower(), match[2].strip()
    rule = _RULE.match(rest)
    even_odd = rule is not None and rule[1].lower() == "evenodd"
    rest = rest[rule.end() :] if rule and name in {"polygon", "path"} else rest
    if name == "path":
        data = re.fullmatch(r"\s*([\"'])(.*)\1\s*", rest, re.DOTALL)
        return BasicShape([_from(part, box) for part in path(data[2])], even_odd) if data else None
    outline = _outline(name, rest, box, font_size)
    return None if outline is None else BasicShape([_from(part, box) for part in outline], even_odd)


def _from(part: Subpath, box: Box) -> Subpath:
    """A line relative to the corner of a box, in user units."""
    return Subpath(part.points + np.array([box.left, box.top]), True)


def _outline(name: str, text: str, box: Box, font_size: float) -> list[Subpath] | None:
    """Polylines relative to the corner of the box."""

    def lengths(texts: Sequence[str], wholes: Sequence[float]) -> list[float] | None:
        found = [length(one, whole, font_size) for one, whole in zip(texts, wholes, strict=True)]
        return None if None in found else [one or 0.0 for one in found]

    if name == "polygon":
        pairs = [pair.split() for pair in text.split(",")]
        if any(len(pair) != 2 for pair in pairs):
            return None
        points = [lengths(pair, box[2:]) for pair in pairs]
        return None if None in points else [Subpath(np.array(points, float), True)] if len(points) > 1 else []
    if name in {"circle", "ellipse"}:
        radii, _, position = (part.strip() for part in f" {text}".partition(" at "))
        centre = lengths(_position(position or "center"), box[2:])
        if centre is None:
            return None
        both = _radii(name, radii.split(), centre, box, font_size)
        if both is None:
            return None
        values = dict(zip(("cx", "cy", "rx", "ry"), (*centre, *both), strict=True))
        return shape("ellipse", lambda key, _: values[key], "", box)
    if name in {"inset", "rect", "xywh"}:
        sides, _, corner = (part.strip() for part in f" {text}".partition(" round "))
        found = _rectangle(name, sides.split(), lengths, box)
        rounding = _corners(corner or "0", lengths, box)
        return None if found is None or rounding is None else _rounded(Box(*found), rounding)
    return None


def _corners(text: str, lengths: _Lengths, box: Box) -> np.ndarray | None:
    """Radii (2, 4), across and down, of the corners from the top left one clockwise: ``border-radius`` of CSS."""
    halves = [half.split() for half in text.split("/")]
    if len(halves) > 2 or any(len(half) not in _SIDES for half in halves):
        return None
    sides = (box.width, box.height)
    radii = [
        lengths([half[at] for at in _SIDES[len(half)]], [side] * 4)
        for half, side in zip((halves[0], halves[-1]), sides, strict=True)
    ]
    known = np.array([part for part in radii if part is not None], float)
    return known if len(known) == 2 and known.min() >= 0 else None


def _rounded(box: Box, radii: np.ndarray) -> list[Subpath]:
    """A rectangle with round corners; radii (2, 4) as of :func:`_corners`, scaled down where they overlap.

    CSS Backgrounds and Borders 3, section 4.5.
    """
    left, top, width, height = box
    if width <= 0 or height <= 0:
        return []
    across, down = radii
    pairs = [(width, across[0] + across[1]), (width, across[2] + across[3])]
    pairs += [(height, down[0] + down[3]), (height, down[1] + down[2])]
    radii = radii * min([1.0, *(side / both for side, both in pairs if both > 0)])
    corners = np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)])
    inward = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    parts = []
    for quarter, (corner, radius, way) in enumerate(zip(corners, radii.T, inward, strict=True)):
        angles = np.linspace(quarter - 2, quarter - 1, _STEPS if radius.all() else 1) * np.pi / 2
        arc = np.stack([np.cos(angles), np.sin(angles)], axis=1) if radius.all() else -way
        parts.append(corner + radius * (way + arc))
    return [Subpath(np.concatenate([np.atleast_2d(part) for part in parts]), True)]


def _position(text: str) -> list[str]:
    """The x and the y of a CSS position of one or two values."""
    words = text.lower().split()
    words = [*words, "center"] if len(words) == 1 else words
    if len(words) == 2 and (words[0] in {"top", "bottom"} or words[1] in {"left", "right"}):
        words.reverse()
    return [_WORDS.get(word, word) for word in words] if len(words) == 2 else ["", ""]


def _radii(
    name: str, words: Sequence[str], centre: Sequence[float], box: Box, font_size: float
) -> tuple[float, float] | None:
    """The radii of a circle or an ellipse."""
    gaps = [(middle, whole - middle) for middle, whole in zip(centre, box[2:], strict=True)]
    if name == "circle":
        if len(words) > 1:
            return None
        word = (words[0] if words else "closest-side").lower()
        every = [abs(gap) for pair in gaps for gap in pair]
        sides = {"closest-side": min(every), "farthest-side": max(every)}
        radius = sides[word] if word in sides else length(word, box.diagonal, font_size)
        return None if radius is None or radius < 0 else (radius, radius)
    found = []
    for word, gap, whole in zip(words or ["closest-side"] * 2, gaps, box[2:], strict=False):
        sides = {"closest-side": min(map(abs, gap)), "farthest-side": max(map(abs, gap))}
        found.append(sides[word.lower()] if word.lower() in sides else length(word, whole, font_size))
    if len(words) not in (0, 2) or any(radius is None or radius < 0 for radius in found):
        return None
    return found[0] or 0.0, found[1] or 0.0


def _rectangle(
    name: str,
    sides: Sequence[str],
    lengths: _Lengths,
    box: Box,
) -> tuple[float, float, float, float] | None:
    """Left, top, width and height."""
    wide, high = box[2:]
    if name == "xywh":
        found = lengths(sides, (wide, high, wide, high)) if len(sides) == 4 else None
        return None if found is None or min(found[2:]) < 0 else (found[0], found[1], found[2], found[3])
    if name == "rect":
        if len(sides) != 4:
            return None
        texts = [auto if one == "auto" else one for one, auto in zip(sides, ("0", "100%", "100%", "0"), strict=True)]
        found = lengths(texts, (high, wide, high, wide))
        if found is None:
            return None
        return found[3], found[0], max(found[1] - found[3], 0.0), max(found[2] - found[0], 0.0)
    if len(sides) not in _SIDES:
        return None
    found = lengths([sides[at] for at in _SIDES[len(sides)]], (high, wide, high, wide))
    if found is None:
        return None
    return found[3], found[0], max(wide - found[1] - found[3], 0.0), max(high - found[0] - found[2], 0.0)


def mask_region(element: Element, around: Box, viewport: Box, font_size: float) -> list[Subpath]:
    """The region of a ``mask``, in user units; by default the box of the masked items with a margin of a tenth.

    Args:
        element: with ``x``, ``y``, ``width``, ``height`` and ``maskUnits``.
        around: box around the masked items.
        viewport: to which percentages refer with ``userSpaceOnUse``.
        font_size: user units of an em.
    """
    by_box = element.get("maskUnits") != "userSpaceOnUse"
    wholes = (1.0, 1.0) if by_box else (viewport.width, viewport.height)
    given = zip(("x", "y", "width", "height"), wholes * 2, (-0.1, -0.1, 1.2, 1.2), strict=True)
    lengths = [(length(element.get(name), whole, font_size), share * whole) for name, whole, share in given]
    x, y, width, height = (default if found is None else found for found, default in lengths)
    if by_box:
        x, width = around.left + x * around.width, width * around.width
        y, height = around.top + y * around.height, height * around.height
    return _rounded(Box(x, y, width, height), np.zeros((2, 4)))
