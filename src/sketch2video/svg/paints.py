"""Paints: colours, and gradients and patterns by their mean."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from sketch2video.svg.style import INITIAL, Sheet, Style, current_colour, local_name
from sketch2video.svg.values import Colour, colour, reference, share

_HREF = ("href", "{http://www.w3.org/1999/xlink}href")


def target_of(element: Element, by_id: Mapping[str, Element]) -> Element | None:
    """The element of this document that another names; never one of another document."""
    link = next((element.get(name, "") for name in _HREF if element.get(name)), "").strip()
    return by_id.get(link[1:]) if len(link) > 1 and link.startswith("#") else None


class Paints:
    """The paints of a document.

    Args:
        sheet: its style rules.
        by_id: its elements.
    """

    def __init__(self, sheet: Sheet, by_id: Mapping[str, Element]) -> None:
        self._sheet, self._by_id = sheet, by_id

    def colour(self, text: str, style: Style) -> Colour | None:
        """The colour of a value of fill or stroke; None for no paint."""
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
        return self.colour(named[1], style) if named[1] and reference(named[1]) is None else None

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
            server = target_of(server, self._by_id)
        return None
