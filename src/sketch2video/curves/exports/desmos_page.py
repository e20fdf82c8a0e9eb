"""A page to host oneself: a drawing in Desmos's calculator, with colours, widths and a slider that plays."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from sketch2video.curves.exports.clip_formula import Curve, clip_to_desmos, desmos_expressions
from sketch2video.curves.exports.formula import to_desmos
from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.exports.moving_strokes import seconds_of

DEMO_KEY = "dcb31709b452b1cf9dc26972add0fda6"
"""The key of Desmos's own examples, for trying things out; published pages need one from desmos.com/my-api."""

_PAGE = Path(__file__).with_name("desmos_page.html")
_MARGIN = 0.1


def to_desmos_page(equation: Equation, thickness: float, key: str = DEMO_KEY, tolerance: float | None = None) -> str:
    """An HTML page that loads Desmos's calculator from desmos.com and draws the equation in it.

    Args:
        equation: a picture or a clip.
        thickness: of the lines, px.
        key: for Desmos's API.
        tolerance: root mean square distance to the strokes of a clip's frames, px; None: the default.
    """
    high = equation.height / equation.width
    document = {
        "expressions": desmos_state(equation, thickness, tolerance),
        "bounds": {"left": -_MARGIN, "right": 1 + _MARGIN, "bottom": -_MARGIN, "top": high + _MARGIN},
        "text": desmos_text(equation, tolerance),
    }
    data = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    page = _PAGE.read_text(encoding="utf-8").replace("{{key}}", html.escape(key))
    return page.replace("{{drawing}}", data)


def desmos_text(equation: Equation, tolerance: float | None = None) -> str:
    """A picture or a clip as lines to paste into Desmos."""
    if len(equation.curves) > 1:
        return clip_to_desmos(equation, tolerance)
    return to_desmos(equation.curves, 0, equation.height, equation.width)


def desmos_state(equation: Equation, thickness: float, tolerance: float | None = None) -> list[dict[str, Any]]:
    """The expressions for ``calculator.setExpressions`` of Desmos's API."""
    listed: list[dict[str, Any]] = []
    if len(equation.curves) > 1:
        definitions, curves = desmos_expressions(equation, tolerance)
        slider: dict[str, Any] = {
            "id": "T",
            "latex": "T=0",
            "sliderBounds": {"min": "0", "max": "1", "step": ""},
            "playing": True,
            "loopMode": "LOOP_FORWARD",
            "animationPeriod": round(1000 * seconds_of(equation)),
        }
        listed += [slider, *({"id": f"d{i}", "latex": latex} for i, latex in enumerate(definitions, start=1))]
    else:
        slots = equation.curves.visible[0].nonzero()[0].tolist()
        curves = [Curve(line, slot) for line, slot in zip(desmos_text(equation).splitlines(), slots, strict=True)]
    for number, curve in enumerate(curves, start=1):
        listed.append(
            {
                "id": f"s{number}",
                "latex": curve.latex,
                "color": equation.css_colour(curve.slot, "#000000"),
                "lineWidth": str(round(thickness, 2)),
                "parametricDomain": {"min": "0", "max": "1"},
            }
        )
    return listed
