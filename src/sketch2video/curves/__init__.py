"""The equation: a drawing through time as fewer than 300 numbers a frame."""

from sketch2video.curves.equation import Equation, from_json, to_json
from sketch2video.curves.formula import to_desmos, to_latex
from sketch2video.curves.measure import FitError, fit_error
from sketch2video.curves.refine import refine_curves
from sketch2video.curves.render import render_ink
from sketch2video.curves.sequence import CurveSequence
from sketch2video.curves.svg import to_animated_svg, to_svg
from sketch2video.curves.track import fit_curves

__all__ = [
    "CurveSequence",
    "Equation",
    "FitError",
    "fit_curves",
    "fit_error",
    "from_json",
    "refine_curves",
    "render_ink",
    "to_animated_svg",
    "to_desmos",
    "to_json",
    "to_latex",
    "to_svg",
]
