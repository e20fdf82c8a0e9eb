"""Curves as formulas to be graphed elsewhere: LaTeX and Desmos.

The pen position is called t here, x is to the right and y is *up*, as is usual for graphs; both are in frame
widths, so that a frame of H by W px spans 0 <= x <= 1 and 0 <= y <= H / W. Numbers have as many decimals as the size of
the frame requires, and terms that round to zero are omitted.
"""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence, cosines
from sketch2video.curves.exports.series_text import PRECISION, Notation, latex_index, latex_row, terms_of

_LATEX = Notation(pen=lambda k: f"\\cos({k if k > 1 else ''}\\pi t)", space=" ")
_DESMOS = Notation(pen=lambda k: f"\\cos\\left({k if k > 1 else ''}\\pi t\\right)")


def to_latex(sequence: CurveSequence, frame: int, height: int, width: int) -> str:
    """One frame as a piece of a LaTeX document that uses amsmath: a pair x_s(t), y_s(t) for each visible stroke."""
    strokes, decimals = _upright(sequence, frame, height, width)
    pieces = [
        f"% A drawing of {width} x {height} px, strokes: {len(strokes)}; \\usepackage{{amsmath}}\n"
        f"For $0 \\le t \\le 1$, with $x$ to the right and $y$ up, both in frame widths"
        f" (the frame is $1$ wide and ${height / width:.6g}$ high):"
    ]
    for number, stroke in enumerate(strokes, start=1):
        x, y = (
            latex_row(f"{axis}_{latex_index(number)}(t)", terms_of(row[None], decimals, _LATEX))
            for axis, row in zip("xy", stroke, strict=True)
        )
        pieces.append(f"\\begin{{align*}}\n{x} \\\\\n{y}\n\\end{{align*}}")
    return "\n".join(pieces) + "\n"


def to_desmos(sequence: CurveSequence, frame: int, height: int, width: int) -> str:
    """One frame as lines to paste into Desmos at once: a parametric curve for each visible stroke.

    Desmos reads LaTeX with sized brackets, one expression a line; its parameter is always t, and
    a restriction in braces follows the point.
    """
    strokes, decimals = _upright(sequence, frame, height, width)
    lines = []
    for stroke in strokes:
        x, y = ("".join(terms_of(row[None], decimals, _DESMOS)) for row in stroke)
        lines.append(f"\\left({x},{y}\\right)\\left\\{{0\\le t\\le1\\right\\}}\n")
    return "".join(lines)


def _upright(sequence: CurveSequence, frame: int, height: int, width: int) -> tuple[np.ndarray, int]:
    """Coefficients (M, 2, K) float64 of the visible strokes with y up, and the decimals that they need."""
    strokes = sequence.coefficients[frame][sequence.visible[frame]].astype(np.float64)
    strokes[:, 1] *= -1.0
    strokes[:, 1, 0] += height / width
    basis = cosines(8 * strokes.shape[-1] + 1, strokes.shape[-1])
    for decimals in range(1, 16):
        lost = np.matmul(strokes - strokes.round(decimals), basis.T) * width
        if np.hypot(lost[:, 0], lost[:, 1]).max(initial=0.0) <= PRECISION:
            break
    return strokes, decimals
