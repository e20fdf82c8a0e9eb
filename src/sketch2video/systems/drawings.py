"""A drawing of the user's own → curves that a system follows: an image, an SVG or a video.

Whatever it was, the drawing goes through the same fit as the training data's, since that is what the video LDM has
learned to follow. What is already a line drawing is taken as it is; of a photograph, or of a filmed scene, the lines
are extracted first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import cv2
import numpy as np

from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.errors import UserError
from sketch2video.params import FitParams, SketchParams
from sketch2video.sketches import draw_lines, lines_of
from sketch2video.videos import IMAGES, VIDEOS, read_clip, read_picture

DRAWING_ENDINGS = (*IMAGES, ".svg", *VIDEOS)

CANVAS = 256
"""Side in pixels at which line drawings are fitted: finer than the model's frames, so that neighbouring lines stay
apart."""

_LINE = 2
"""Width in pixels of a line that an SVG is rasterised with."""
_SAMPLES = 8
"""Points along a segment (line, Bézier, arc) of an SVG path."""
_SVG_FRAME = re.compile(r"frame-\d+")


@dataclass(frozen=True)
class Drawing:
    """What the user drew.

    Attributes:
        curves: T frames.
        fps: frame rate of a video; None for what stands still, and for an SVG.
    """

    curves: CurveSequence
    fps: float | None


def load_drawing(path: Path, frames: int, size: int, sketch: SketchParams, fit: FitParams) -> Drawing:
    """Read a drawing as ``frames`` frames of curves.

    An image, or an SVG, stands still, except for an SVG with groups ``frame-0000``, ``frame-0001``, ... as
    :func:`~sketch2video.curves.to_animated_svg` writes it; frames of those and of videos are spread evenly in time.

    Args:
        path: ends in one of ``DRAWING_ENDINGS``.
        frames: T.
        size: side of the model's frames in pixels, at which lines are extracted from photographs.
        sketch: of the extractor.
        fit: of the fit.

    Raises:
        UserError: the file is damaged, or shows no lines, or these are to be extracted by a network that is not there.
    """
    cuts = fps = None
    extract = partial(draw_lines, sketch=sketch)
    if path.suffix.lower() == ".svg":
        ink = _read_svg(path)
    elif path.suffix.lower() in IMAGES:
        ink = lines_of(_read_image(path)[None], CANVAS, size, extract)
    else:
        clip = read_clip(path, frames, CANVAS)
        ink, cuts, fps = lines_of(clip.frames, CANVAS, size, extract), clip.cuts, clip.fps
    if not ink.any():
        raise UserError(f"{path} shows no lines; draw dark lines on a light ground")
    curves = fit_curves(ink, cuts, **fit.tracking())
    chosen = np.linspace(0, len(curves) - 1, frames).round().astype(int)
    return Drawing(CurveSequence(curves.coefficients[chosen], curves.visibility[chosen]), fps)


def _read_image(path: Path) -> np.ndarray:
    """An image, upright, on white where it is transparent, padded to a square: uint8 (H, H, 3)."""
    picture = read_picture(path)
    height, width = picture.shape[:2]
    above, left = (max(width - height, 0)) // 2, (max(height - width, 0)) // 2
    padding = ((above, max(width - height, 0) - above), (left, max(height - width, 0) - left), (0, 0))
    return np.pad(picture, padding, mode="edge")


def _read_svg(path: Path) -> np.ndarray:
    """The strokes of an SVG's frames (one, if it is not animated): uint8 (T, CANVAS, CANVAS), 255 ink on 0."""
    from svgpathtools import Document  # takes a second to import

    try:
        document = Document(str(path))
        groups = [child for child in document.root.iter() if _SVG_FRAME.fullmatch(child.get("id", ""))]
        frames = [document.paths_from_group(group) for group in groups] if groups else [document.paths()]
        lines = [[points for stroke in frame for points in _polylines(stroke)] for frame in frames]
    except Exception as error:  # the parser raises whatever its parts raise
        raise UserError(
            f"{path} cannot be read as an SVG ({type(error).__name__}: {error}); export it again"
        ) from error
    every = [points for frame in lines for points in frame]
    if not every:
        raise UserError(f"{path} has no paths; convert its objects to paths")
    left, top, width, height = _view_box(document.root) or _bounds(every)
    scale = CANVAS / max(width, height)
    offset = (CANVAS - scale * np.array([width, height])) / 2 - scale * np.array([left, top])
    ink = np.zeros((len(lines), CANVAS, CANVAS), np.uint8)
    for picture, frame in zip(ink, lines, strict=True):
        pixels = [np.clip(points * scale + offset - 0.5, -(2**14), 2**14).round().astype(np.int32) for points in frame]
        cv2.polylines(picture, pixels, False, 255, _LINE)
    return ink


def _polylines(stroke: Any) -> list[np.ndarray]:
    """Points along each connected piece of a path: (n, 2) float64."""
    lines = []
    for piece in stroke.continuous_subpaths():
        at = [segment.point(u) for segment in piece for u in np.linspace(0, 1, _SAMPLES)]
        lines.append(np.array([(p.real, p.imag) for p in at]))
    return lines


def _view_box(root: Element) -> tuple[float, float, float, float] | None:
    """Left, top, width and height of what an SVG shows; None if it does not say."""
    try:
        box = [float(number) for number in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
    except ValueError:
        box = []
    if len(box) != 4:
        size = [re.fullmatch(r"([\d.]+)(px)?", root.get(name, "")) for name in ("width", "height")]
        box = [0.0, 0.0, *(float(s[1]) for s in size if s)]
    return (box[0], box[1], box[2], box[3]) if len(box) == 4 and min(box[2:]) > 0 else None


def _bounds(lines: list[np.ndarray]) -> tuple[float, float, float, float]:
    """Box around all points, with a margin."""
    low, high = np.concatenate(lines).min(0), np.concatenate(lines).max(0)
    margin = 0.1 * max((high - low).max(), 1e-6)
    left, top = low - margin
    width, height = high - low + 2 * margin
    return float(left), float(top), float(width), float(height)
