"""The user's drawing (an image, an SVG, a video or an equation) → curves that condition a system.

Pictures pass through the same fit as the training data, on which the video LDM was trained. Line drawings are used
directly; lines of photographs and filmed scenes are extracted first. An equation (:mod:`~sketch2video.curves.exports.
json_format`) is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sketch2video.curve_vae.given import fit_drawing
from sketch2video.curves import CurveSequence, Equation, fit_curves, from_json
from sketch2video.curves.exports.json_format import is_equation
from sketch2video.errors import UserError
from sketch2video.inputs.texts import read_text
from sketch2video.media.codec import read_clip
from sketch2video.media.containers import VIDEOS, is_clip
from sketch2video.media.pictures import IMAGES, is_animation, is_picture, read_drawing
from sketch2video.params import FitParams, SketchParams
from sketch2video.sketches import draw_lines, extract_sketches, lines_of
from sketch2video.svg import is_svg, read_svg

STILL_ENDINGS = (*IMAGES, ".gif", ".svg", ".svgz", ".json")
"""Extensions of drawings of one frame."""
DRAWING_ENDINGS = (*dict.fromkeys((*STILL_ENDINGS, *VIDEOS)),)
"""Extensions of drawings of whole videos."""

CANVAS = 256
"""Side in pixels at which line drawings are fitted: finer than the model's frames, so that neighbouring lines stay
apart."""


Extract = Callable[[np.ndarray], np.ndarray]
"""From frames of a photograph or a film uint8 (T, H, W, 3) to their lines uint8 (T, H, W)."""


@dataclass(frozen=True)
class Drawing:
    """The user's drawing as curves.

    Attributes:
        curves: T frames.
        fps: frame rate of a video, or that an equation states; None for an image or an SVG.
    """

    curves: CurveSequence
    fps: float | None


def load_drawing(
    path: Path, frames: int, size: int, sketch: SketchParams | None = None, fit: FitParams | None = None
) -> Drawing:
    """Read a drawing as ``frames`` frames of curves.

    All frames of an image or an SVG are equal, except for an SVG with groups ``frame-0000``, ``frame-0001``, ... as
    :func:`~sketch2video.curves.to_animated_svg` writes it; its frames and those of videos and of equations are spread
    evenly in time.

    Args:
        path: an SVG, an image, a video or an equation as JSON, detected by its content.
        frames: T.
        size: side of the model's frames in pixels, at which lines are extracted from photographs.
        sketch: parameters of the extractor; None: the defaults of :func:`~sketch2video.sketches.extract_sketches`.
        fit: parameters of the fit; None: the defaults of :func:`~sketch2video.curves.fit_curves`.

    Raises:
        UserError: the file is damaged or has no lines, or the network that extracts lines is missing.
    """
    extract = _extractor(sketch)
    if is_equation(path):
        equation = _read_equation(path)
        return Drawing(_spread(equation.curves, frames), equation.fps)
    cuts = fps = None
    if is_svg(path) or not is_clip(path):
        ink = _read_still(path, size, extract)
    else:
        clip = read_clip(path, frames, CANVAS)
        ink, cuts, fps = lines_of(clip.frames, CANVAS, size, extract), clip.cuts, clip.fps
    _check_ink(path, ink)
    return Drawing(_spread(fit_curves(ink, cuts, **(fit.tracking() if fit else {})), frames), fps)


def load_still(
    path: Path, most: int, size: int, sketch: SketchParams | None = None, fit: FitParams | None = None
) -> CurveSequence:
    """Read the drawing of one frame as curves of one frame.

    Args:
        path: an SVG, an image or an equation as JSON, detected by its content.
        most: strokes of a clip; see :func:`~sketch2video.curve_vae.given.fit_drawing`.
        size, sketch, fit: see :func:`load_drawing`.

    Raises:
        UserError: the file has several frames or more strokes than a clip, is damaged or has no lines, or the network
            that extracts lines is missing.
    """
    curves = _still_curves(path, most, size, sketch, fit)
    if (strokes := int(curves.visible.sum())) > most:
        raise UserError(
            f"{path} has {strokes} strokes, and the model draws at most {most} a video;"
            " leave out the shortest, or give the drawing of the whole video"
        )
    return curves


def _still_curves(
    path: Path, most: int, size: int, sketch: SketchParams | None, fit: FitParams | None
) -> CurveSequence:
    if is_equation(path):
        curves = _read_equation(path).curves
        _check_one_frame(path, len(curves), "write one with `sketch2video equation --frame`")
        return curves
    if not is_svg(path) and is_clip(path) and (is_animation(path) or not is_picture(path)):
        raise UserError(f"{path} is a video, and a key frame is a still drawing; give a picture")
    ink = _read_still(path, size, _extractor(sketch))
    _check_one_frame(path, len(ink), "save one of its groups frame-0000, frame-0001, ... alone")
    _check_ink(path, ink)
    return fit_drawing(ink[0], most, **(fit.tracking() if fit else {}))


def _check_one_frame(path: Path, frames: int, fix: str) -> None:
    if frames != 1:
        raise UserError(f"{path} has {frames} frames, and a key frame is one; {fix}")


def _extractor(sketch: SketchParams | None) -> Extract:
    return extract_sketches if sketch is None else partial(draw_lines, sketch=sketch)


def _read_still(path: Path, size: int, extract: Extract) -> np.ndarray:
    """The ink of an SVG or an image: uint8 (T, H, W), where T is 1 except for an animated SVG."""
    return read_svg(path, CANVAS).ink if is_svg(path) else lines_of(_read_image(path)[None], CANVAS, size, extract)


def _check_ink(path: Path, ink: np.ndarray) -> None:
    if not ink.any():
        raise UserError(f"{path} shows no lines; draw dark lines on a light background")


def _spread(curves: CurveSequence, frames: int) -> CurveSequence:
    """``frames`` frames, evenly spread in time."""
    chosen = np.linspace(0, len(curves) - 1, frames).round().astype(int)
    return CurveSequence(curves.coefficients[chosen], curves.visibility[chosen])


def _read_equation(path: Path) -> Equation:
    """An equation in the middle of a square, as a picture of its size would be padded."""
    equation = from_json(read_text(path), str(path))
    if not equation.curves.visible.any():
        raise UserError(f"{path} shows no lines; choose another equation")
    return replace(equation, curves=_in_square(equation.curves, equation))


def _in_square(curves: CurveSequence, equation: Equation) -> CurveSequence:
    height, width = equation.height, equation.width
    longer = max(height, width)
    coefficients = curves.coefficients * (width / longer)
    shown = curves.visible[..., None]
    coefficients[..., 0] += shown * np.array([(longer - width) / 2, (longer - height) / 2], np.float32) / longer
    return CurveSequence(coefficients, curves.visibility)


def _read_image(path: Path) -> np.ndarray:
    """An image, upright, on white where it is transparent, padded to a square: uint8 (H, H, 3)."""
    picture = read_drawing(path)
    height, width = picture.shape[:2]
    above, left = (max(width - height, 0)) // 2, (max(height - width, 0)) // 2
    padding = ((above, max(width - height, 0) - above), (left, max(height - width, 0) - left), (0, 0))
    return np.pad(picture, padding, mode="edge")
