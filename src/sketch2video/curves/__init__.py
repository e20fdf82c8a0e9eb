"""The equation: drawings through time as curves with fewer than 300 numbers a frame."""

from sketch2video.curves.equation.clip import ClipEquation, MovingStroke
from sketch2video.curves.equation.measure import FitError, fit_error
from sketch2video.curves.equation.render import render_ink
from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.clip_json import MovingEquation, clip_from_json, clip_to_json
from sketch2video.curves.exports.formula import to_desmos, to_latex
from sketch2video.curves.exports.json_format import Equation, from_json, to_json
from sketch2video.curves.exports.svg_writer import to_animated_svg, to_svg
from sketch2video.curves.fitting.refine import refine_curves
from sketch2video.curves.fitting.time_harmonics import fit_clip
from sketch2video.curves.fitting.track import fit_curves

__all__ = [
    "ClipEquation",
    "CurveSequence",
    "Equation",
    "FitError",
    "MovingEquation",
    "MovingStroke",
    "clip_from_json",
    "clip_to_json",
    "fit_clip",
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
