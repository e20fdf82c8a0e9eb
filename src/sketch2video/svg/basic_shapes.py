"""CSS basic shapes, to which ``clip-path`` may clip: inset, circle, ellipse, polygon, path, rect and xywh."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sketch2video.svg.outlines import Subpath, path, shape
from sketch2video.svg.values import Box, length

BOXES = ("stroke-box", "border-box", "margin-box", "fill-box", "padding-box", "content-box", "view-box")
"""Words for the box that a shape counts from; of an element of SVG, border box and margin box are its stroke box."""

_SHAPE = re.compile(r"([a-z-]+)\(((?:[^()\"']|\"[^\"]*\"|'[^']*')*)\)", re.IGNORECASE)
_RULE = re.compile(r"\s*(evenodd|nonzero)\s*,\s*", re.IGNORECASE)
_SIDES = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
"""Of one to four values as in CSS margins, those that the top, right, bottom and left have."""
_WORDS = {"left": "0%", "top": "0%", "center": "50%", "right": "100%", "bottom": "100%"}


class BasicShape(NamedTuple):
    """What is inside: polylines in user units, and whether the even-odd rule holds."""

    outline: list[Subpath]
    even_odd: bool


def basic_shape(text: str, box_of: Callable[[str], Box], font_size: float) -> BasicShape | None:
    """The basic shape that a value of ``clip-path`` names; None if it is no such value.

    Args:
        text: such as ``circle(40%)`` or ``inset(10px round 5px) fill-box``.
        box_of: the box that the shape counts from, by its word in :data:`BOXES`.
        font_size: user units of an em.
    """
    match = _SHAPE.search(text)
    words = (_SHAPE.sub(" ", text, count=1) if match else text).lower().split()
    if len(words) > 1 or any(word not in BOXES for word in words) or not (match or words):
        return None
    box = box_of(words[0] if words else "stroke-box")
    if match is None:
        return BasicShape(_rounded(box, 0.0), False)
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
    """A line that counts from the corner of a box, in user units."""
    return Subpath(part.points + np.array([box.left, box.top]), True)


def _outline(name: str, text: str, box: Box, font_size: float) -> list[Subpath] | None:
    """Polylines that count from the corner of the box."""

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
        return shape("ellipse", lambda key, _: values[key], str, box)
    if name in {"inset", "rect", "xywh"}:
        sides, _, corner = (part.strip() for part in f" {text}".partition(" round "))
        found = _rectangle(name, sides.split(), lengths, box)
        radius = length(corner or "0", box.width, font_size)  # one for all corners
        return None if found is None or radius is None else _rounded(Box(*found), radius)
    return None


def _rounded(box: Box, radius: float) -> list[Subpath]:
    """A rectangle with round corners."""
    values = dict(zip(("x", "y", "width", "height", "rx", "ry"), (*box, radius, radius), strict=True))
    return shape("rect", lambda key, _: values[key], str, box)


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
    lengths: Callable[[Sequence[str], Sequence[float]], list[float] | None],
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
