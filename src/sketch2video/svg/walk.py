"""Traversal of an SVG: the shapes that a browser paints, in order, in pixels of the page.

Supported are ``use``, ``symbol``, nested ``svg``, ``a`` and ``switch``; ``display``, ``visibility`` and ``opacity``;
fill and stroke with the cascade of CSS; transforms, units, view boxes; clips and masks. Text and images are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import numpy as np

from sketch2video.svg import markers
from sketch2video.svg.basic_shapes import basic_shape, mask_region
from sketch2video.svg.limits import Limits
from sketch2video.svg.outlines import Subpath, dashed, path, shape
from sketch2video.svg.painted import Clip, Painted, box_around, clip_to, moved
from sketch2video.svg.paints import Paints, target_of
from sketch2video.svg.style import INITIAL, Sheet, Style, font_size, local_name
from sketch2video.svg.values import (
    MOST,
    Box,
    Colour,
    Matrix,
    around,
    fit,
    length,
    reference,
    share,
    transform,
    translation,
    view_box,
)

SHAPES = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
_MARKERS = ("start", "mid", "end")
_CONTEXT = ("context-fill", "context-stroke")
_GROUPS = {"svg", "g", "a", "switch", "use"}
_NOT_DRAWN = {"text", "image", "foreignObject"}

_LANGUAGE = "en"


@dataclass(frozen=True)
class _Context:
    """Inherited state of an element; for a marker's content ``paints`` are fill and stroke of the line."""

    style: Style
    matrix: Matrix
    box: Box
    opacity: float = 1.0
    depth: int = 0
    used: tuple[int, ...] = ()
    in_clip: bool = False
    paints: tuple[Colour | None, Colour | None] = (None, None)


class Walk:
    """Reads the elements of a document.

    Args:
        root: of the document.

    Attributes:
        left_out: names of the elements that would be visible and are not drawn.
        not_applied: properties that would change what is visible.
    """

    def __init__(self, root: Element) -> None:
        self._root = root
        self._shown: Mapping[str, bool] = {}
        self._sheet = Sheet(root)
        self._by_id: dict[str, Element] = {}
        for element in root.iter():
            self._by_id.setdefault(element.get("id", ""), element)
        self._paints = Paints(self._sheet, self._by_id)
        self._limits = Limits()
        self._paths: dict[str, list[Subpath]] = {}
        self.left_out: set[str] = set()
        self.not_applied: set[str] = set()

    def page(self) -> tuple[float, float] | None:
        """Width and height of the document, in CSS pixels; None if it does not define them."""
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
        """Width or height of the root; None if it is missing, or in percent of a window."""
        text = self._sheet.declared(self._root).get(name, "")
        return None if "%" in text else length(text, 0.0) or None

    def painted(self, shown: Mapping[str, bool]) -> list[Painted]:
        """The painted items of the document, the lowest first; on the page, whose top left corner is (0, 0).

        Args:
            shown: overrides ``display`` of elements by their id, such as the frames of an animation.

        Raises:
            TooLarge: it draws too much, in all frames so far.
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
        if self._shown.get(element.get("id", "")) is False:
            self._limits.skip()
            return []
        self._limits.visit(context.depth)
        name = local_name(element)
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
            turned = transform(style["transform"], context.box)
            matrix = matrix @ around(turned, style.get("transform-origin"), context.box)
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
        if items and style.get("filter", "").lower() not in {"", "none"}:
            self.not_applied.add("filter")
        return items

    def _children(self, element: Element, context: _Context) -> list[Painted]:
        return [item for child in element for item in self._visit(child, context)]

    def _is_hidden(self, element: Element, style: Style) -> bool:
        shown = self._shown.get(element.get("id", ""))
        return style.get("display", "inline").lower() == "none" if shown is None else not shown

    def _viewport(self, element: Element, context: _Context, width: str | None, height: str | None) -> list[Painted]:
        """The content of a nested ``svg``, or of a ``symbol`` that is used."""
        size = font_size(context.style)
        wide, high = length(width, context.box.width, size), length(height, context.box.height, size)
        wide, high = context.box.width if wide is None else wide, context.box.height if high is None else high
        if wide <= 0 or high <= 0:
            return []
        box = view_box(element.get("viewBox"))
        matrix = _translated(context)
        inner = matrix @ fit(box, wide, high, element.get("preserveAspectRatio")) if box else matrix
        inside = replace(context, matrix=inner, box=box or Box(0.0, 0.0, wide, high))
        return self._in_window(element, inside, (wide, high), matrix)

    def _in_window(
        self, element: Element, context: _Context, size: tuple[float, float], matrix: Matrix
    ) -> list[Painted]:
        """The content of an element, clipped to a window unless it may overflow.

        ``matrix`` is from the window to the page.
        """
        items = self._children(element, context)
        if context.style.get("overflow", "hidden") not in {"visible", "auto"}:
            clip = clip_to(_window(*size), matrix)
            for item in items:
                item.clips.append(clip)
        return items

    def _use(self, element: Element, context: _Context) -> list[Painted]:
        target = target_of(element, self._by_id)
        if target is None or id(target) in context.used:
            return []
        used = (*context.used, id(target))
        inner = replace(context, matrix=_translated(context), used=used, depth=context.depth + 1)
        name = local_name(target)
        if name not in {"symbol", "svg"}:
            return self._visit(target, inner)
        self._limits.visit(inner.depth)
        style = self._sheet.computed(target, context.style)
        if name == "svg" and self._is_hidden(target, style):
            return []
        turned = transform(style.get("transform"), context.box)
        opacity = inner.opacity * share(style.get("opacity", "1"))
        inner = replace(inner, style=style, matrix=inner.matrix @ turned, opacity=opacity)
        width, height = (element.get(side, target.get(side)) for side in ("width", "height"))
        return self._viewport(target, inner, width, height)

    def _shape(self, name: str, element: Element, context: _Context) -> list[Painted]:
        style, size = context.style, font_size(context.style)
        if style.get("visibility", "visible").lower() != "visible":
            return []

        def measure(key: str, whole: float) -> float | None:
            return length(style.get(key, element.get(key)), whole, size)

        if name == "path":
            outline = self._path(element.get("d", ""))
        else:
            outline = shape(name, measure, element.get("points", ""), context.box, self._limits.points_left)
        self._count(outline)
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
                lines = []
                for part in outline:
                    dashes = dashed(part, [one or 0.0 for one in pattern], offset)
                    self._count(dashes)
                    lines += dashes
        areas, strokes = (
            [Subpath(moved(part.points, context.matrix), part.closed) for part in parts] for parts in (outline, lines)
        )
        if not all(np.isfinite(part.points).all() for part in areas + strokes):
            return []
        scale = float(np.sqrt(abs(np.linalg.det(context.matrix[:2, :2]))))
        even_odd = style["clip-rule" if context.in_clip else "fill-rule"].lower() == "evenodd"
        wide = float(np.nan_to_num(scale * width, posinf=MOST))
        items = [Painted(areas, strokes, fill, stroke, even_odd, wide)]
        if name in markers.SHAPES and not context.in_clip:
            items += self._markers(outline, width, replace(context, paints=(fill, stroke)))
        return items

    def _path(self, data: str) -> list[Subpath]:
        """Polylines of path data; each is built once, since ``use`` may repeat a path hundreds of times."""
        if data not in self._paths:
            self._paths[data] = path(data, self._limits.points_left)
        return self._paths[data]

    def _count(self, lines: Iterable[Subpath]) -> None:
        self._limits.draw(sum(len(line.points) for line in lines))

    def _markers(self, outline: Sequence[Subpath], width: float, context: _Context) -> list[Painted]:
        """The markers on a line of some stroke width, whose paints the context has."""
        first, between, last = (self._named(context.style[f"marker-{which}"], "marker") for which in _MARKERS)
        if first is None and between is None and last is None:
            return []
        stops = markers.vertices(outline)
        items = []
        for number, stop in enumerate(stops):
            ends = [(first, number == 0), (last, number == len(stops) - 1)]
            chosen = [element for element, is_here in ends if is_here] or [between]
            for element in chosen:
                if element is not None and id(element) not in context.used:
                    items += self._marker(element, stop, width, context, number == 0 and element is first)
        return items

    def _marker(
        self, element: Element, stop: markers.Vertex, width: float, context: _Context, is_first: bool
    ) -> list[Painted]:
        self._limits.visit(context.depth)
        style = self._sheet.in_tree(element)
        sides = (("markerWidth", context.box.width), ("markerHeight", context.box.height))
        wide, high = (length(element.get(name, "3"), whole, font_size(style)) or 0.0 for name, whole in sides)
        box = view_box(element.get("viewBox"))
        if wide <= 0 or high <= 0 or (box is None and element.get("viewBox")):
            return []
        window, content = markers.placement(stop, element.get, (wide, high), box, width, is_first=is_first)
        window = context.matrix @ window
        inner = replace(
            context,
            style=style,
            matrix=window @ content,
            box=box or Box(0.0, 0.0, wide, high),
            opacity=context.opacity * share(style.get("opacity", "1")),
            depth=context.depth + 1,
            used=(*context.used, id(element)),
        )
        return self._in_window(element, inner, (wide, high), window)

    def _paint(self, name: str, context: _Context) -> Colour | None:
        """Colour and alpha of fill or stroke; None for no paint. For a gradient it is the mean of its stops."""
        if context.in_clip:
            return Colour(0, 0, 0) if name == "fill" else None
        style, value = context.style, context.style[name].lower()
        if value in _CONTEXT:
            found = context.paints[_CONTEXT.index(value)]
            return found and found._replace(alpha=found.alpha * share(style[f"{name}-opacity"]))
        found = self._paints.colour(style[name], style)
        alpha = found.alpha * share(style[f"{name}-opacity"]) * context.opacity if found else 0.0
        return found._replace(alpha=alpha) if found and alpha > 0 else None

    def _clips(self, style: Style, context: _Context, items: Sequence[Painted]) -> list[Clip]:
        """Apply ``clip-path`` and ``mask`` of an element to its items."""
        found: list[Clip] = []
        for name, kind in (("clip-path", "clipPath"), ("mask", "mask")):
            element = self._named(style.get(name), kind)
            if element is None:
                found += self._clip_by_shape(name, style.get(name, ""), context, items)
            if element is None or id(element) in context.used:
                continue
            self._limits.visit(context.depth)
            own = self._sheet.in_tree(element)
            matrix = context.matrix @ transform(own.get("transform"), context.box)
            units = element.get("clipPathUnits" if kind == "clipPath" else "maskContentUnits", "userSpaceOnUse")
            if units == "objectBoundingBox":
                box = box_around(items, context.matrix)
                matrix = matrix if box is None else matrix @ _unit_square_to(box)
            inner = _Context(
                own, matrix, context.box, 1.0, context.depth + 1, (*context.used, id(element)), kind == "clipPath"
            )
            clip = Clip(self._children(element, inner), kind == "mask", own.get("mask-type", "") == "alpha")
            found += [clip, *self._clips(own, inner, items)]
            if kind == "mask" and (box := box_around(items, context.matrix)) is not None:
                found.append(clip_to(mask_region(element, box, context.box, font_size(own)), context.matrix))
        return found

    def _clip_by_shape(self, name: str, text: str, context: _Context, items: Sequence[Painted]) -> list[Clip]:
        """Apply a ``clip-path`` that is not a reference to items."""
        if text.lower() in {"", "none"} or reference(text) is not None or not items:
            return []

        def box_of(word: str) -> Box:
            if word == "view-box":
                return context.box
            strokes = word in {"stroke-box", "border-box", "margin-box"}
            return box_around(items, context.matrix, with_strokes=strokes) or Box(0.0, 0.0, 0.0, 0.0)

        inside = basic_shape(text, box_of, font_size(context.style), self._path) if name == "clip-path" else None
        if inside is None:
            self.not_applied.add(name)
            return []
        self._count(inside.outline)
        return [clip_to(inside.outline, context.matrix, inside.even_odd)]

    def _named(self, text: str | None, kind: str) -> Element | None:
        """The element of a kind that ``url(#id)`` names; None if there is none."""
        named = reference(text)
        element = self._by_id.get(named[0]) if named else None
        return element if element is not None and local_name(element) == kind else None


def _translated(context: _Context) -> Matrix:
    """The matrix of an element's content, translated by its ``x`` and ``y``."""
    size, sides = font_size(context.style), (("x", context.box.width), ("y", context.box.height))
    x, y = (length(context.style.get(name), whole, size) or 0.0 for name, whole in sides)
    return context.matrix @ translation(x, y)


def _unit_square_to(box: Box) -> Matrix:
    """From the unit square to a box."""
    return np.array([[box.width, 0, box.left], [0, box.height, box.top], [0, 0, 1.0]])


def _window(width: float, height: float) -> list[Subpath]:
    """A rectangle whose corner is (0, 0)."""
    return [Subpath(np.array([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]), True)]


def _is_for_us(element: Element) -> bool:
    """Whether an element's conditions hold: no extensions are known, and the language is English."""
    if element.get("requiredExtensions") is not None:
        return False
    languages = element.get("systemLanguage")
    return languages is None or any(one.strip().lower().split("-")[0] == _LANGUAGE for one in languages.split(","))
