"""The tree of an SVG → the shapes that a browser paints, in its order, in pixels of the page.

Read are ``use``, ``symbol``, nested ``svg``, ``a`` and ``switch``; ``display``, ``visibility`` and ``opacity``; fill
and stroke with the cascade of CSS; transforms, units, view boxes; clips and masks. Text and images are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

import numpy as np

from sketch2video.svg.outlines import Subpath, dashed, shape
from sketch2video.svg.style import INITIAL, Sheet, Style, current_colour, font_size, local_name
from sketch2video.svg.values import (
    MOST,
    Box,
    Colour,
    Matrix,
    around,
    colour,
    fit,
    length,
    reference,
    share,
    transform,
    translation,
    view_box,
)

SHAPES = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
_GROUPS = {"svg", "g", "a", "switch", "use"}
_NOT_DRAWN = {"text", "image", "foreignObject"}

_DEEPEST = 100
"""Most elements within each other, those that ``use`` names counted where they are used."""
_MOST_ELEMENTS = 100_000
"""Most elements that are visited, in all frames; a few that use each other could stand for billions."""
_MOST_POINTS = 5_000_000

_HREF = ("href", "{http://www.w3.org/1999/xlink}href")
_LANGUAGE = "en"


class TooLarge(ValueError):
    """A document draws too much."""


@dataclass
class Painted:
    """A shape as it is painted.

    Attributes:
        outline: of the area that is filled, on the page.
        lines: that are drawn; those of the outline, in dashes where it is dashed.
        fill, stroke: None where there is none.
        even_odd: whether the even-odd rule says what is inside the outline; else the nonzero rule.
        stroke_width: on the page.
        clips: of which each may hide a part of it.
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
    """What is seen of others: where these shapes are, or as far as they are bright if they are a mask's."""

    shapes: Sequence[Painted]
    is_mask: bool = False
    by_alpha: bool = False


@dataclass(frozen=True)
class _Context:
    """What an element gets from where it stands."""

    style: Style
    matrix: Matrix
    box: Box
    opacity: float = 1.0
    depth: int = 0
    used: tuple[int, ...] = ()
    in_clip: bool = False


class Walk:
    """Reads the elements of a document.

    Args:
        root: of the document.

    Attributes:
        left_out: names of the elements that would be visible and are not drawn.
    """

    def __init__(self, root: Element) -> None:
        self._root = root
        self._shown: Mapping[str, bool] = {}
        self._sheet = Sheet(root)
        self._by_id: dict[str, Element] = {}
        for element in root.iter():
            self._by_id.setdefault(element.get("id", ""), element)
        self._visited = self._points = 0
        self.left_out: set[str] = set()

    def page(self) -> tuple[float, float] | None:
        """Width and height of what the document shows, in CSS pixels; None if it does not say."""
        box = view_box(self._root.get("viewBox"))
        width, height = (self._side(name) for name in ("width", "height"))
        if box is None:
            return (width, height) if width and height else None
        if width and height:
            return width, height
        if width or height:
            scale = width / box.width if width else (height or 0.0) / box.height
            return scale * box.width, scale * box.height
        return box.width, box.height

    def _side(self, name: str) -> float | None:
        """Width or height of the root; None if it is not said, or in percent of a window."""
        text = self._sheet.declared(self._root).get(name, "")
        return None if "%" in text else length(text, 0.0) or None

    def painted(self, shown: Mapping[str, bool]) -> list[Painted]:
        """What the document paints, the lowest first; on the page, whose top left corner is (0, 0).

        Args:
            shown: overrides ``display`` of elements by their id, such as the frames of an animation.

        Raises:
            TooLarge: it has too many elements, or too many within each other.
        """
        self._shown = shown
        width, height = self.page() or (300.0, 150.0)
        box = view_box(self._root.get("viewBox"))
        matrix = fit(box, width, height, self._root.get("preserveAspectRatio")) if box else np.eye(3)
        style = self._sheet.computed(self._root, INITIAL)
        view = box or Box(0.0, 0.0, width, height)
        matrix = matrix @ around(transform(style.get("transform"), view), style.get("transform-origin"), view)
        if self._is_hidden(self._root, style):
            return []
        context = _Context(style, matrix, view, share(style.get("opacity", "1")))
        return [item for child in self._root for item in self._visit(child, context)]

    def _visit(self, element: Element, context: _Context) -> list[Painted]:
        name = local_name(element)
        self._visited += 1
        if self._visited > _MOST_ELEMENTS or self._points > _MOST_POINTS:
            raise TooLarge(f"draws more than {_MOST_ELEMENTS} elements or {_MOST_POINTS} points")
        if context.depth > _DEEPEST:
            raise TooLarge(f"has more than {_DEEPEST} elements within each other")
        if not name or not _is_for_us(element):
            return []
        style = self._sheet.computed(element, context.style)
        if self._is_hidden(element, style):
            return []
        if name in _NOT_DRAWN and style.get("visibility") == "visible":
            self.left_out.add(name)
        if name not in SHAPES and name not in _GROUPS:
            return []
        matrix = context.matrix
        if "transform" in style:
            moved = transform(style["transform"], context.box)
            matrix = matrix @ around(moved, style.get("transform-origin"), context.box)
        inner = replace(
            context,
            style=style,
            matrix=matrix,
            opacity=context.opacity * share(style.get("opacity", "1")),
            depth=context.depth + 1,
        )
        if name in SHAPES:
            items = self._shape(name, element, inner)
        elif name == "svg":
            items = self._viewport(element, inner, element.get("width"), element.get("height"))
        elif name == "use":
            items = self._use(element, inner)
        elif name == "switch":
            chosen = next((child for child in element if local_name(child) and _is_for_us(child)), None)
            items = [] if chosen is None else self._visit(chosen, inner)
        else:
            items = self._children(element, inner)
        if "clip-path" in style or "mask" in style:
            clips = self._clips(style, inner, items)
            for item in items:
                item.clips += clips
        return items

    def _children(self, element: Element, context: _Context) -> list[Painted]:
        return [item for child in element for item in self._visit(child, context)]

    def _is_hidden(self, element: Element, style: Style) -> bool:
        shown = self._shown.get(element.get("id", ""))
        return style.get("display", "inline").lower() == "none" if shown is None else not shown

    def _viewport(self, element: Element, context: _Context, width: str | None, height: str | None) -> list[Painted]:
        """The content of a nested ``svg``, or of a ``symbol`` that is used."""
        size, style = font_size(context.style), context.style
        wide, high = length(width, context.box.width, size), length(height, context.box.height, size)
        wide, high = context.box.width if wide is None else wide, context.box.height if high is None else high
        if wide <= 0 or high <= 0:
            return []
        box = view_box(element.get("viewBox"))
        matrix = _at_place(context)
        inner = matrix @ fit(box, wide, high, element.get("preserveAspectRatio")) if box else matrix
        items = self._children(element, replace(context, matrix=inner, box=box or Box(0.0, 0.0, wide, high)))
        if style.get("overflow", "hidden") not in {"visible", "auto"}:
            corners = np.array([(0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)])
            window = [Subpath(_moved(corners, matrix), True)]
            clip = Clip([Painted(window, [], Colour(0, 0, 0), None, False, 0.0)])
            for item in items:
                item.clips.append(clip)
        return items

    def _use(self, element: Element, context: _Context) -> list[Painted]:
        target = self._target(element)
        if target is None or id(target) in context.used:
            return []
        used = (*context.used, id(target))
        inner = replace(context, matrix=_at_place(context), used=used, depth=context.depth + 1)
        name = local_name(target)
        if name not in {"symbol", "svg"}:
            return self._visit(target, inner)
        self._visited += 1
        style = self._sheet.computed(target, context.style)
        if name == "svg" and self._is_hidden(target, style):
            return []
        moved = transform(style.get("transform"), context.box)
        opacity = inner.opacity * share(style.get("opacity", "1"))
        inner = replace(inner, style=style, matrix=inner.matrix @ moved, opacity=opacity)
        width, height = (element.get(side, target.get(side)) for side in ("width", "height"))
        return self._viewport(target, inner, width, height)

    def _target(self, element: Element) -> Element | None:
        """The element of this document that another names; never one of another document."""
        link = next((element.get(name, "") for name in _HREF if element.get(name)), "").strip()
        return self._by_id.get(link[1:]) if len(link) > 1 and link.startswith("#") else None

    def _shape(self, name: str, element: Element, context: _Context) -> list[Painted]:
        style, size = context.style, font_size(context.style)
        if style.get("visibility", "visible").lower() != "visible":
            return []

        def measure(key: str, whole: float) -> float | None:
            return length(style.get(key, element.get(key)), whole, size)

        outline = shape(name, measure, lambda key: element.get(key, ""), context.box)
        self._points += sum(len(part.points) for part in outline)
        if not outline:
            return []
        width = length(style["stroke-width"], context.box.diagonal, size)
        width = 1.0 if width is None else max(width, 0.0)
        fill = self._paint("fill", context) if name != "line" else None
        stroke = self._paint("stroke", context) if width else None
        lines = outline
        if stroke is not None and "none" not in style["stroke-dasharray"]:
            texts = style["stroke-dasharray"].replace(",", " ").split()
            pattern = [length(one, context.box.diagonal, size) for one in texts]
            offset = length(style["stroke-dashoffset"], context.box.diagonal, size) or 0.0
            if None not in pattern:
                lines = [dash for part in outline for dash in dashed(part, [one or 0.0 for one in pattern], offset)]
        self._points += sum(len(part.points) for part in lines)
        areas, strokes = (
            [Subpath(_moved(part.points, context.matrix), part.closed) for part in parts] for parts in (outline, lines)
        )
        if not all(np.isfinite(part.points).all() for part in areas + strokes):
            return []
        scale = float(np.sqrt(abs(np.linalg.det(context.matrix[:2, :2]))))
        even_odd = style["clip-rule" if context.in_clip else "fill-rule"].lower() == "evenodd"
        wide = float(np.nan_to_num(scale * width, posinf=MOST))
        return [Painted(areas, strokes, fill, stroke, even_odd, wide)]

    def _paint(self, name: str, context: _Context) -> Colour | None:
        """Colour and alpha of fill or stroke; None if nothing is painted. Of a gradient it is the mean of its stops."""
        if context.in_clip:
            return Colour(0, 0, 0) if name == "fill" else None
        style = context.style
        found = self._colour(style[name], style)
        alpha = found.alpha * share(style[f"{name}-opacity"]) * context.opacity if found else 0.0
        return found._replace(alpha=alpha) if found and alpha > 0 else None

    def _colour(self, text: str, style: Style) -> Colour | None:
        if text.lower() == "none":
            return None
        named = reference(text)
        if named is None:
            return colour(text, current_colour(style)) or Colour(0, 0, 0)
        server = self._by_id.get(named[0])
        if server is not None and local_name(server) == "pattern":
            return Colour(128, 128, 128) if len(server) else None
        if server is not None and local_name(server) in {"linearGradient", "radialGradient"}:
            return self._mean_stop(server)
        return self._colour(named[1], style) if named[1] and reference(named[1]) is None else None

    def _mean_stop(self, gradient: Element) -> Colour | None:
        seen: set[int] = set()
        server: Element | None = gradient
        while server is not None and id(server) not in seen:
            seen.add(id(server))
            stops = [child for child in server if local_name(child) == "stop"]
            if stops:
                colours = []
                for stop in stops:
                    style = self._sheet.computed(stop, INITIAL)
                    found = colour(style.get("stop-color", "black"), current_colour(style)) or Colour(0, 0, 0)
                    colours.append(found._replace(alpha=found.alpha * share(style.get("stop-opacity", "1"))))
                return Colour(*(sum(channel) / len(colours) for channel in zip(*colours, strict=True)))
            server = self._target(server)
        return None

    def _clips(self, style: Style, context: _Context, items: Sequence[Painted]) -> list[Clip]:
        """What ``clip-path`` and ``mask`` of an element with these items leave of it."""
        found: list[Clip] = []
        if context.depth > _DEEPEST:
            raise TooLarge(f"has more than {_DEEPEST} elements within each other")
        for name, kind in (("clip-path", "clipPath"), ("mask", "mask")):
            named = reference(style.get(name))
            element = self._by_id.get(named[0]) if named else None
            if element is None or local_name(element) != kind or id(element) in context.used:
                continue
            own = self._sheet.computed(element, INITIAL)
            matrix = context.matrix @ transform(own.get("transform"), context.box)
            units = element.get("clipPathUnits" if kind == "clipPath" else "maskContentUnits", "userSpaceOnUse")
            if units == "objectBoundingBox":
                matrix = matrix @ _unit_box(items, context.matrix)
            inner = _Context(
                own, matrix, context.box, 1.0, context.depth + 1, (*context.used, id(element)), kind == "clipPath"
            )
            clip = Clip(self._children(element, inner), kind == "mask", own.get("mask-type", "") == "alpha")
            found += [clip, *self._clips(own, inner, items)]
        return found


def _at_place(context: _Context) -> Matrix:
    """The matrix of an element's content, which its ``x`` and ``y`` move."""
    size, sides = font_size(context.style), (("x", context.box.width), ("y", context.box.height))
    x, y = (length(context.style.get(name), whole, size) or 0.0 for name, whole in sides)
    return context.matrix @ translation(x, y)


def _unit_box(items: Sequence[Painted], matrix: Matrix) -> Matrix:
    """From the unit square to the box around items, in the user units that a matrix brings to the page."""
    points = [part.points for item in items for part in item.outline]
    if not points or abs(np.linalg.det(matrix)) < 1e-12:
        return np.eye(3)
    inside = _moved(np.concatenate(points), np.linalg.inv(matrix))
    low, high = inside.min(0), inside.max(0)
    return np.array([[high[0] - low[0], 0, low[0]], [0, high[1] - low[1], low[1]], [0, 0, 1.0]])


def _moved(points: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Points (n, 2) under a matrix."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _is_for_us(element: Element) -> bool:
    """Whether an element's conditions hold: no extensions are known, and the language is English."""
    if element.get("requiredExtensions") is not None:
        return False
    languages = element.get("systemLanguage")
    return languages is None or any(one.strip().lower().split("-")[0] == _LANGUAGE for one in languages.split(","))


def visible_points(items: Sequence[Painted]) -> Iterator[np.ndarray]:
    """Yield the points (n, 2) of all that is painted."""
    for item in items:
        if item.fill is not None or item.stroke is not None:
            yield from (part.points for part in item.outline)
