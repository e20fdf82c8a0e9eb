"""A drawing through time as a Lottie animation (the JSON of lottie.github.io/lottie-spec), for apps and web pages.

Each life of a stroke is a layer with one path. Its shape has a key frame for each frame; players move it linearly in
between, at any frame rate.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sketch2video.curves.exports.beziers import PIECES, beziers
from sketch2video.curves.exports.json_format import Equation

_STILL_RATE = 30.0
"""Frames a second of a still picture, for which players need one."""
_LINEAR = {"i": {"x": 1, "y": 1}, "o": {"x": 0, "y": 0}}
_ROUND = 2
"""Lottie's number of round caps, and of round joins."""
_SHAPES = 4
"""Lottie's number of layers of shapes."""


def to_lottie(equation: Equation, thickness: float) -> str:
    """A Lottie document of the picture's size.

    Args:
        equation: a picture or a clip.
        thickness: of the lines, px.
    """
    curves = equation.curves
    layers = []
    for slot, visible in enumerate(curves.visible.T):
        borders = np.flatnonzero(np.diff(visible, prepend=False, append=False)).reshape(-1, 2)
        for first, end in borders.tolist():
            series = curves.coefficients[first:end, slot].astype(np.float64) * equation.width
            rgb = [round(channel / 255, 4) for channel in equation.rgb(slot)]
            layers.append(_layer(series, first, end, rgb, thickness))
    for index, layer in enumerate(layers, start=1):
        layer |= {"ind": index, "nm": f"stroke {index}"}
    document = {
        "v": "5.5.0",
        "nm": "drawing",
        "fr": equation.fps or _STILL_RATE,
        "ip": 0,
        "op": len(curves),
        "w": equation.width,
        "h": equation.height,
        "ddd": 0,
        "assets": [],
        "layers": layers,
    }
    return json.dumps(document, separators=(",", ":")) + "\n"


def _layer(series: np.ndarray, first: int, end: int, rgb: list[float], thickness: float) -> dict[str, Any]:
    """A stroke that is visible from frame ``first`` to before ``end``: coefficients (L, 2, K) in px."""
    harmonics = int(np.flatnonzero((series != 0).any((0, 1))).max(initial=0)) + 1
    shapes = [_shape(points) for points in beziers(series[..., :harmonics], PIECES * harmonics)]
    path: dict[str, Any] = {"a": 0, "k": shapes[0]}
    if len(shapes) > 1:
        keys = [{"t": first + i, "s": [shape], **_LINEAR} for i, shape in enumerate(shapes[:-1])]
        # Nothing follows the last key frame: with an easing, rlottie would draw nothing.
        path = {"a": 1, "k": [*keys, {"t": end - 1, "s": [shapes[-1]]}]}
    stroke = {
        "ty": "st",
        "c": {"a": 0, "k": [*rgb, 1]},
        "o": {"a": 0, "k": 100},
        "w": {"a": 0, "k": round(thickness, 3)},
        "lc": _ROUND,
        "lj": _ROUND,
    }
    return {
        "ty": _SHAPES,
        "ip": first,
        "op": end,
        "st": 0,
        "sr": 1,
        "ddd": 0,
        "bm": 0,
        "ks": _transform(),
        "shapes": [{"ty": "gr", "nm": "line", "it": [{"ty": "sh", "ks": path}, stroke, {"ty": "tr", **_transform()}]}],
    }


def _shape(points: np.ndarray) -> dict[str, Any]:
    """Control points (1 + 3 pieces, 2) as vertices with tangents relative to them."""
    vertices = points[::3]
    incoming, outgoing = np.zeros_like(vertices), np.zeros_like(vertices)
    incoming[1:], outgoing[:-1] = points[2::3] - vertices[1:], points[1::3] - vertices[:-1]
    return {
        "c": False,
        **{key: at.round(3).tolist() for key, at in (("v", vertices), ("i", incoming), ("o", outgoing))},
    }


def _transform() -> dict[str, Any]:
    """A transform that changes nothing."""
    fixed = {"a": [0, 0], "p": [0, 0], "s": [100, 100], "r": 0, "o": 100}
    return {key: {"a": 0, "k": value} for key, value in fixed.items()}
