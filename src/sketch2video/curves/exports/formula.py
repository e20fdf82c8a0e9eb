"""Curves as formulas to be graphed elsewhere: LaTeX and Desmos.

The pen position is called t here, x is to the right and y is *up*, as is usual for graphs; both are in frame
widths, so that a frame of H by W px spans 0 <= x <= 1 and 0 <= y <= H / W. Numbers have as many decimals as the size of
the frame requires, and terms that round to zero are omitted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence, cosines

PRECISION = 0.05
"""Distance in px by which rounding may move a curve."""

_TERMS_A_LINE = 3


def to_latex(sequence: CurveSequence, frame: int, height: int, width: int) -> str:
    """One frame as a piece of a LaTeX document that uses amsmath: a pair x_s(t), y_s(t) for each visible stroke."""
    strokes, decimals = _upright(sequence, frame, height, width)
    pieces = [
        f"% A drawing of {width} x {height} px, strokes: {len(strokes)}; \\usepackage{{amsmath}}\n"
        f"For $0 \\le t \\le 1$, with $x$ to the right and $y$ up, both in frame widths"
        f" (the frame is $1$ wide and ${height / width:.6g}$ high):"
    ]
    for number, stroke in enumerate(strokes, start=1):
        index = number if number < 10 else f"{{{number}}}"
        x, y = (_latex_row(f"{axis}_{index}(t)", row, decimals) for axis, row in zip("xy", stroke, strict=True))
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
        x, y = ("".join(_terms(row, decimals, _desmos_cosine)) for row in stroke)
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


def _terms(series: np.ndarray, decimals: int, cosine: Callable[[int], str], space: str = "") -> list[str]:
    """A cosine sum, term by term with signs; the first has none if it is positive."""
    terms: list[str] = []
    for k, value in enumerate(series.round(decimals).tolist()):
        if value:
            sign = ("-" if value < 0 else "+") + space if terms else "-" if value < 0 else ""
            terms.append(f"{sign}{f'{abs(value):.{decimals}f}'.rstrip('0').rstrip('.')}{cosine(k) if k else ''}")
    return terms or ["0"]


def _latex_row(name: str, series: np.ndarray, decimals: int) -> str:
    terms = _terms(series, decimals, lambda k: f"\\cos({k if k > 1 else ''}\\pi t)", " ")
    lines = [" ".join(terms[i : i + _TERMS_A_LINE]) for i in range(0, len(terms), _TERMS_A_LINE)]
    return f"{name} &= " + " \\\\\n&\\quad {}".join(lines)


def _desmos_cosine(k: int) -> str:
    return f"\\cos\\left({k if k > 1 else ''}\\pi t\\right)"
