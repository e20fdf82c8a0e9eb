"""Sums of functions of pen position and time as text, in the notations of other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PRECISION = 0.05
"""Distance in px by which the rounding of numbers may move a curve."""

_TERMS_A_LINE = 3


@dataclass(frozen=True)
class Notation:
    """How a program writes formulas.

    Attributes:
        pen: cos(k pi u) by k, which is at least 1.
        time: function m of the time tau by m, which is at least 1; not called where nothing depends on time.
        times: between factors.
        space: between terms and signs.
        left, right: brackets.
    """

    pen: Callable[[int], str]
    time: Callable[[int], str] = lambda m: ""
    times: str = ""
    space: str = ""
    left: str = "("
    right: str = ")"


def terms_of(table: np.ndarray, decimals: int, notation: Notation) -> list[str]:
    """The terms of a sum, with signs; the first has none if it is positive. Terms that round to zero are omitted.

    The coefficient of a pen harmonic that changes is a sum in brackets, whose terms are separate pieces, too.

    Args:
        table: (M, K), of time functions and pen harmonics.
        decimals: of the numbers.
        notation: of the program.
    """
    terms: list[str] = []
    for k, column in enumerate(table.round(decimals).T):
        used = np.flatnonzero(column).tolist()
        pen = notation.pen(k) if k else ""
        if used in ([], [0]) or not k or len(used) == 1:
            for m in used:
                factors = [number_text(abs(column[m]), decimals), notation.time(m) if m else "", pen]
                terms.append(_signed(column[m], _product(factors, notation), not terms, notation))
            continue
        inner = [
            _signed(
                column[m],
                _product([number_text(abs(column[m]), decimals), notation.time(m) if m else ""], notation),
                m == used[0],
                notation,
            )
            for m in used
        ]
        inner[0] = ("" if not terms else "+" + notation.space) + notation.left + inner[0]
        inner[-1] += notation.right + notation.times + pen
        terms += inner
    return terms or ["0"]


def latex_row(name: str, terms: Sequence[str]) -> str:
    """A sum as rows of amsmath's ``align*``."""
    lines = [" ".join(terms[i : i + _TERMS_A_LINE]) for i in range(0, len(terms), _TERMS_A_LINE)]
    return f"{name} &= " + " \\\\\n&\\quad {}".join(lines)


def latex_index(number: int) -> str:
    """A number as an index of LaTeX."""
    return str(number) if number < 10 else f"{{{number}}}"


def number_text(value: float, decimals: int) -> str:
    """A number of at least 0 without zeros at its end."""
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def clock_text(offset: float, rate: float, name: str, decimals: int, times: str = "") -> str:
    """``offset + rate * name``; the rate is not written where it is 1."""
    second = name if rate == 1 else number_text(rate, decimals) + times + name
    if not offset:
        return second
    first = ("-" if offset < 0 else "") + number_text(abs(offset), decimals)
    return f"{first}+{second}"


def _product(factors: list[str], notation: Notation) -> str:
    return notation.times.join(factor for factor in factors if factor)


def _signed(value: float, text: str, first: bool, notation: Notation) -> str:
    if first:
        return f"-{text}" if value < 0 else text
    return f"{'-' if value < 0 else '+'}{notation.space}{text}"
