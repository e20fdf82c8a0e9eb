"""Curves as SVG, for browsers and editors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.beziers import PIECES, beziers, path_data


def to_svg(
    sequence: CurveSequence,
    frame: int,
    height: int,
    width: int,
    thickness: float = 1.0,
    colours: Sequence[str] | None = None,
) -> str:
    """One frame as an SVG document of ``height`` by ``width`` px: each visible stroke is one path of cubic Béziers.

    Args:
        sequence: the drawing.
        frame: index of the frame.
        height, width: of the document, px.
        thickness: of the lines, px.
        colours: of all S strokes, in CSS; None: black.
    """
    return svg_document(_group(sequence, frame, width, thickness, colours), height, width)


def to_animated_svg(
    sequence: CurveSequence,
    fps: float,
    height: int,
    width: int,
    thickness: float = 1.0,
    colours: Sequence[str] | None = None,
) -> str:
    """All frames as one endlessly repeated SVG animation: groups ``frame-0000``, ``frame-0001``, ... shown in turn.

    Browsers play it; editors show the first frame and list the others as hidden groups. Arguments are those of
    :func:`to_svg`; ``fps`` are frames a second.
    """
    frames = len(sequence)
    groups = []
    for frame in range(frames):
        group = _group(sequence, frame, width, thickness, colours)
        shown = ["inline"] if frame == 0 else ["none", "inline"]
        at = [0.0] if frame == 0 else [0.0, frame / frames]
        if frame + 1 < frames:
            shown, at = [*shown, "none"], [*at, (frame + 1) / frames]
        groups.append(
            f'<g id="frame-{frame:04d}" display="{shown[0]}">\n{group}\n'
            f'<animate attributeName="display" values="{";".join(shown)}"'
            f' keyTimes="{";".join(f"{time:.6g}" for time in at)}" calcMode="discrete"'
            f' dur="{frames / fps:.6g}s" repeatCount="indefinite"/>\n</g>'
        )
    return svg_document("\n".join(groups), height, width)


def svg_document(body: str, height: float, width: float, unit: str = "") -> str:
    """A document whose user units are px, or another CSS unit."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.10g}{unit}" height="{height:.10g}{unit}"'
        f' viewBox="0 0 {width:.10g} {height:.10g}">\n{body}\n</svg>\n'
    )


def _group(
    sequence: CurveSequence, frame: int, width: int, thickness: float, colours: Sequence[str] | None = None
) -> str:
    shown = np.flatnonzero(sequence.visible[frame])
    coefficients = sequence.coefficients[frame][shown].astype(np.float64)
    strokes = [path_data(stroke) for stroke in beziers(coefficients, PIECES * coefficients.shape[-1]) * width]
    own = [""] * len(shown) if colours is None else [f' stroke="{colours[slot]}"' for slot in shown.tolist()]
    paths = "".join(f'\n<path d="{data}"{colour}/>' for data, colour in zip(strokes, own, strict=True))
    return f'<g fill="none" stroke="black" stroke-width="{thickness:g}" stroke-linecap="round">{paths}\n</g>'
