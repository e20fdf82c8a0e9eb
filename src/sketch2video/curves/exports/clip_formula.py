"""A whole clip as formulas with time: LaTeX, and lines and expressions for Desmos.

x is to the right and y is *up*, both in frame widths. A stroke is a sum of products of cosines of the pen
position and functions of its own clock, which is linear in time (:mod:`~sketch2video.curves.equation.clip`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sketch2video.curves.equation.clip import MovingStroke
from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.exports.moving_strokes import (
    CLOCK_DECIMALS,
    clock_of,
    clocks_of,
    is_whole,
    moving_strokes,
    seconds_of,
)
from sketch2video.curves.exports.series_text import Notation, clock_text, latex_index, latex_row, terms_of


@dataclass(frozen=True)
class Curve:
    """A line of Desmos that draws a stroke.

    Attributes:
        latex: its formula.
        slot: of the equation's curves.
    """

    latex: str
    slot: int


def clip_to_latex(equation: Equation, tolerance: float | None = None) -> str:
    """A clip as a piece of a LaTeX document that uses amsmath: x_s(u, t), y_s(u, t) for each life of a stroke.

    Args:
        equation: a clip.
        tolerance: root mean square distance to the strokes of the frames, px; None: the default of ``moving_strokes``.
    """
    strokes = moving_strokes(equation, tolerance)
    clocks = clocks_of(strokes)
    height, width = equation.height, equation.width
    pieces = [
        f"% A clip of {seconds_of(equation):g} s, {width} x {height} px, strokes: {len(strokes)};"
        " \\usepackage{amsmath}\n"
        f"For $0 \\le u \\le 1$ and the time $0 \\le t < 1$ of the clip, with $x$ to the right and $y$ up,"
        f" both in frame widths (the frame is $1$ wide and ${height / width:.6g}$ high), and"
    ]
    clock_rows = [
        f"\\tau_{latex_index(i)} &= {clock_text(*clock, 't', CLOCK_DECIMALS)}"
        for i, clock in enumerate(clocks, start=1)
    ]
    if clock_rows:
        pieces.append("\\begin{align*}\n" + " \\\\\n".join(clock_rows) + "\n\\end{align*}")
    for number, moving in enumerate(strokes, start=1):
        tau = f"\\tau_{latex_index(clocks.index(clock_of(moving.stroke)) + 1)}"
        notation = Notation(
            pen=lambda k: f"\\cos({k if k > 1 else ''}\\pi u)",
            time=lambda m, tau=tau: tau if m == 1 else f"\\sin({m - 1 if m > 2 else ''}\\pi {tau})",  # type: ignore[misc]
            space=" ",
        )
        rows = [
            latex_row(f"{axis}_{latex_index(number)}(u, t)", terms_of(table, moving.decimals, notation))
            for axis, table in zip("xy", moving.upright.swapaxes(0, 1), strict=True)
        ]
        when = "" if is_whole(moving.stroke) else f"while ${_life(moving.stroke, 't')}$,\n"
        pieces.append(f"{when}\\begin{{align*}}\n" + " \\\\\n".join(rows) + "\n\\end{align*}")
    return "\n".join(pieces) + "\n"


def clip_to_desmos(equation: Equation, tolerance: float | None = None) -> str:
    """A clip as lines to paste into Desmos at once: a slider T, the time m, clocks, and a curve for each stroke.

    Desmos reserves t for the parameter of curves. Its sliders go from -10 to 10; m is T without its whole part, so that
    the clip is repeated. Arguments are those of :func:`clip_to_latex`.
    """
    clocks, curves = desmos_expressions(equation, tolerance)
    return "".join(f"{line}\n" for line in ["T=0", *clocks, *(curve.latex for curve in curves)])


def desmos_expressions(equation: Equation, tolerance: float | None = None) -> tuple[list[str], list[Curve]]:
    """The definitions of m and of the clocks from the slider T, and the curves."""
    strokes = moving_strokes(equation, tolerance)
    clocks = clocks_of(strokes)
    lines = ["m=\\operatorname{mod}\\left(T,1\\right)"]
    for number, clock in enumerate(clocks, start=1):
        lines.append(f"c_{{{number}}}={clock_text(*clock, 'm', CLOCK_DECIMALS)}")
    curves = []
    for moving in strokes:
        clock_name = f"c_{{{clocks.index(clock_of(moving.stroke)) + 1}}}"
        notation = Notation(
            pen=lambda k: f"\\cos\\left({k if k > 1 else ''}\\pi t\\right)",
            time=lambda m, c=clock_name: c if m == 1 else f"\\sin\\left({m - 1 if m > 2 else ''}\\pi {c}\\right)",  # type: ignore[misc]
            left="\\left(",
            right="\\right)",
        )
        x, y = ("".join(terms_of(table, moving.decimals, notation)) for table in moving.upright.swapaxes(0, 1))
        latex = f"\\left({x},{y}\\right)\\left\\{{0\\le t\\le1\\right\\}}"
        if not is_whole(moving.stroke):
            latex += f"\\left\\{{{_life(moving.stroke, 'm')}\\right\\}}"
        curves.append(Curve(latex, moving.slot))
    return lines, curves


def _life(stroke: MovingStroke, name: str) -> str:
    return f"{round(stroke.birth, 6):g}\\le {name}<{round(stroke.death, 6):g}"
