"""The user's drawing (an image, an SVG, a video or an equation) → curves that condition a system.

Pictures pass through the same fit as the training data, on which the video LDM was trained. Line drawings are used
directly; lines of photographs and filmed scenes are extracted first. An equation (:mod:`~sketch2video.curves.exports.
json_format`) is used as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sketch2video.curves import CurveSequence, Equation, fit_curves, from_json
from sketch2video.curves.exports.json_format import is_equation
from sketch2video.errors import UserError
from sketch2video.inputs.texts import read_text
from sketch2video.media.codec import read_clip
from sketch2video.media.containers import VIDEOS, is_clip
from sketch2video.media.pictures import IMAGES, read_drawing
from sketch2video.params import FitParams, SketchParams
from sketch2video.sketches import draw_lines, extract_sketches, lines_of
from sketch2video.svg import is_svg, read_svg

DRAWING_ENDINGS = (*IMAGES, ".svg", ".svgz", ".json", *VIDEOS)

CANVAS = 256
"""Side in pixels at which line drawings are fitted: finer than the model's frames, so that neighbouring lines stay
apart."""


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
    cuts = fps = None
    extract = extract_sketches if sketch is None else partial(draw_lines, sketch=sketch)
    if is_equation(path):
        return _read_equation(path, frames)
    if is_svg(path):
        ink = read_svg(path, CANVAS).ink
    elif not is_clip(path):
        ink = lines_of(_read_image(path)[None], CANVAS, size, extract)
    else:
        clip = read_clip(path, frames, CANVAS)
        ink, cuts, fps = lines_of(clip.frames, CANVAS, size, extract), clip.cuts, clip.fps
    if not ink.any():
        raise UserError(f"{path} shows no lines; draw dark lines on a light background")
    return Drawing(_spread(fit_curves(ink, cuts, **(fit.tracking() if fit else {})), frames), fps)


def _spread(curves: CurveSequence, frames: int) -> CurveSequence:
    """``frames`` frames, evenly spread in time."""
    chosen = np.linspace(0, len(curves) - 1, frames).round().astype(int)
    return CurveSequence(curves.coefficients[chosen], curves.visibility[chosen])


def _read_equation(path: Path, frames: int) -> Drawing:
    """An equation in the middle of a square, as a picture of its size would be padded."""
    equation = from_json(read_text(path), str(path))
    if not equation.curves.visible.any():
        raise UserError(f"{path} shows no lines; choose another equation")
    drawing = _spread(equation.curves, frames)
    return Drawing(_in_square(drawing, equation), equation.fps)


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
