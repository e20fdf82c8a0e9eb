"""A drawing through time as one HTML file that plays it: no other files, no network."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.curves.exports.clip_formula import clip_to_desmos, clip_to_latex
from sketch2video.curves.exports.json_format import Equation, shortest_series

_PAGE = Path(__file__).with_name("html_player.html")


def to_html(equation: Equation, title: str = "A drawing as an equation", tolerance: float | None = None) -> str:
    """A page that plays an equation, with its frames to scrub, its speed, and its formulas to copy.

    Formulas are those of the frame that is shown, and for a clip those with time.

    Args:
        equation: a picture or a clip.
        title: shown above the drawing; any text.
        tolerance: root mean square distance to the strokes of a clip's frames, px; None: the default.
    """
    curves = equation.curves
    frames = [
        [[shortest_series(row) for row in stroke] for stroke in strokes[shown]]
        for strokes, shown in zip(curves.coefficients, curves.visible, strict=True)
    ]
    extra = 0 if equation.colours is None else equation.colours.size
    numbers = [
        extra + sum(sum(map(len, stroke)) for stroke in strokes) + curves.visibility.shape[1] for strokes in frames
    ]
    document: dict[str, Any] = {
        "width": equation.width,
        "height": equation.height,
        "fps": equation.fps,
        "numbers": numbers,
        "frames": frames,
    }
    if len(curves) > 1:
        document["clip"] = {
            "latex": clip_to_latex(equation, tolerance),
            "desmos": clip_to_desmos(equation, tolerance),
        }
    if equation.colours is not None:
        document["colours"] = [
            [equation.css_colour(slot) for slot in np.flatnonzero(shown).tolist()] for shown in curves.visible
        ]
    data = json.dumps(document, separators=(",", ":"))
    # A script element ends at the first "</script", even within a string.
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    page = _PAGE.read_text(encoding="utf-8")
    return page.replace("{{drawing}}", data).replace("{{title}}", html.escape(title))
