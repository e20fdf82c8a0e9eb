"""The CSS cascade of an SVG: style sheets, style attributes, presentation attributes, inheritance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

import cssselect2
import tinycss2

from sketch2video.svg.values import Colour, colour, length, reference

Style = Mapping[str, str]
"""Properties of an element by name; custom ones begin with ``--``."""

INITIAL = {
    "fill": "black",
    "fill-opacity": "1",
    "fill-rule": "nonzero",
    "stroke": "none",
    "stroke-width": "1",
    "stroke-opacity": "1",
    "stroke-dasharray": "none",
    "stroke-dashoffset": "0",
    "visibility": "visible",
    "color": "black",
    "font-size": "16px",
    "clip-rule": "nonzero",
    "marker-start": "none",
    "marker-mid": "none",
    "marker-end": "none",
}
"""Properties that children inherit, with the values of the root."""

_OWN = {
    *("display", "opacity", "clip-path", "mask", "filter", "overflow", "transform", "transform-origin"),
    *("stop-color", "stop-opacity", "mask-type"),
    *("x", "y", "width", "height", "cx", "cy", "r", "rx", "ry"),
}
"""Properties that concern one element only, and may be attributes, too."""

_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,\s*((?:[^()]|\([^()]*\))*))?\)")
_LIGHT_DARK = re.compile(r"light-dark\(((?:[^(),]|\([^()]*\))*),(?:[^()]|\([^()]*\))*\)")
_MOST_LENGTH = 10_000
"""Largest length of a value in characters: nested variables could grow without bounds."""


class Sheet:
    """The style rules of a document.

    Args:
        root: of the document.
    """

    def __init__(self, root: Element) -> None:
        self._matcher = cssselect2.Matcher()
        for element in root.iter():
            if local_name(element) == "style" and element.get("type", "text/css") in ("", "text/css"):
                self._add(tinycss2.parse_stylesheet("".join(element.itertext()), True, True))
        wrapped = cssselect2.ElementWrapper.from_xml_root(root)
        self._wrapper = {id(one.etree_element): one for one in wrapped.iter_subtree()}
        self._declared: dict[int, dict[str, str]] = {}
        self._parent = {child: parent for parent in root.iter() for child in parent}
        self._in_tree: dict[Element, Style] = {}

    def _add(self, rules: list[tinycss2.ast.Node]) -> None:
        for rule in rules:
            if rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content:
                if _is_for_screens(tinycss2.serialize(rule.prelude)):
                    self._add(tinycss2.parse_rule_list(rule.content, True, True))
            elif rule.type == "qualified-rule":
                try:
                    selectors = cssselect2.compile_selector_list(rule.prelude)
                except cssselect2.SelectorError:
                    continue
                for selector in selectors:
                    if selector.pseudo_element is None:
                        self._matcher.add_selector(selector, _declarations(rule.content))

    def declared(self, element: Element) -> dict[str, str]:
        """Declarations for an element, in ascending priority: attributes, rules, style attribute, important ones."""
        known = self._declared.get(id(element))
        if known is not None:
            return known
        found = {name: value for name, value in element.attrib.items() if name in INITIAL or name in _OWN}
        matched = sorted(self._matcher.match(self._wrapper[id(element)]), key=lambda match: match[:2])
        layers = [payload for *_, payload in matched]
        layers.append(_declarations(tinycss2.parse_component_value_list(element.get("style", ""))))
        for important in (False, True):
            for layer in layers:
                found |= {name: value for name, value, strong in layer if strong == important}
        self._declared[id(element)] = found
        return found

    def in_tree(self, element: Element) -> Style:
        """The style of an element in the document tree, which inherits from its parents."""
        if element not in self._in_tree:
            parent = self._parent.get(element)
            inherited = INITIAL if parent is None else self.in_tree(parent)
            self._in_tree[element] = self.computed(element, inherited)
        return self._in_tree[element]

    def computed(self, element: Element, parent: Style) -> Style:
        """The style of an element, given that of its parent."""
        inherited = {name: value for name, value in parent.items() if name in INITIAL or name.startswith("--")}
        declared = self.declared(element)
        style = inherited | {name: value for name, value in declared.items() if name.startswith("--")}
        for name, value in declared.items():
            value = _resolved(value, style).strip()
            keyword = value.lower()
            if keyword == "inherit" or (keyword in {"unset", "revert", "revert-layer"} and name in INITIAL):
                value = parent.get(name, INITIAL.get(name, ""))
            elif keyword in {"initial", "unset", "revert", "revert-layer"}:
                value = INITIAL.get(name, "")
            if name == "font-size":
                size = font_size(parent)
                value = f"{length(value, size, size) or size}px"
            if name not in {"fill", "stroke"} or is_paint(value):
                style[name] = value
        return style


def local_name(element: Element) -> str:
    """The name of an SVG element; empty if it is of another namespace."""
    if not isinstance(element.tag, str):
        return ""
    namespace, _, name = element.tag.rpartition("}")
    return name if namespace in ("", "{http://www.w3.org/2000/svg") else ""


def font_size(style: Style) -> float:
    """In user units."""
    return length(style.get("font-size"), 16.0) or 16.0


def current_colour(style: Style) -> Colour:
    """The value of ``currentColor``."""
    black = Colour(0, 0, 0)
    return colour(style.get("color", ""), black) or black


def is_paint(text: str) -> bool:
    """Whether a text is a value of fill or stroke."""
    known = text.lower() in {"none", "context-fill", "context-stroke"}
    return known or reference(text) is not None or colour(text, Colour(0, 0, 0)) is not None


def _declarations(content: list[tinycss2.ast.Node]) -> list[tuple[str, str, bool]]:
    """Name, value and whether it is important of each declaration."""
    found = []
    for node in tinycss2.parse_blocks_contents(content, True, True):
        if node.type == "declaration":
            name = node.name if node.name.startswith("--") else node.lower_name
            names = [f"marker-{which}" for which in ("start", "mid", "end")] if name == "marker" else [name]
            found += [(one, tinycss2.serialize(node.value).strip(), node.important) for one in names]
    return found


def _resolved(value: str, variables: Style) -> str:
    """A value with its variables replaced; empty, as of an invalid value, where one is missing."""
    for _ in range(10):
        if "var(" not in value or len(value) > _MOST_LENGTH:
            break
        value = _VARIABLE.sub(lambda match: variables.get(match[1], match[2] or ""), value)
    return _LIGHT_DARK.sub(r"\1", value[:_MOST_LENGTH])


def _is_for_screens(query: str) -> bool:
    """Whether a media query matches a screen with a light colour scheme."""
    queries = [part.strip().lower() for part in query.split(",")]
    return any(one in {"", "all", "screen", "(prefers-color-scheme: light)"} for one in queries)
