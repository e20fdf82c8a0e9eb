"""A picture, a clip or an SVG, of any size and aspect → its equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.clip_json import FORMAT as CLIP_FORMAT
from sketch2video.curves.exports.clip_json import clip_from_json
from sketch2video.curves.exports.json_format import Equation, from_json, is_equation
from sketch2video.curves.exports.stroke_colours import stroke_colours
from sketch2video.curves.fitting.track import fit_curves
from sketch2video.errors import UserError
from sketch2video.inputs.texts import read_text
from sketch2video.media.codec import read_clip, read_frames
from sketch2video.media.containers import is_clip
from sketch2video.media.pictures import read_drawing
from sketch2video.params import MAX_NUMBERS_PER_FRAME
from sketch2video.sketches import extract_sketches, lines_of
from sketch2video.sketches.drawn import resize, resize_lines
from sketch2video.svg import is_svg, read_svg

CLOSER = 2
"""Ratio of the sizes for line drawings and for photographs, whose texture would use up the strokes."""

SVG_SIDE = 512
"""Least longer side in px of the equation of an SVG, which has no pixels of its own: icons are 24 px wide."""

SVG_RATE = 8.0
"""Frames a second of an SVG with groups of frames."""

_HEAD = 1024
"""Characters of a document in which it states its format."""

COLOUR = 3
"""Numbers of a colour."""


@dataclass(frozen=True)
class _Lines:
    """What is fitted, and where it lies in the picture.

    Attributes:
        ink: (T, h, w) uint8.
        colours: () -> (T, h, w, 3) uint8, the frames that the ink was made from.
        cuts: (T,) bool or None, and frame rate, of a clip.
        height, width: of the picture, px.
        scale, offset: (2,), from the ink's frame widths to the picture's: scale * point + offset.
    """

    ink: np.ndarray
    colours: Callable[[], np.ndarray]
    height: int
    width: int
    scale: np.ndarray
    offset: np.ndarray
    cuts: np.ndarray | None = None
    fps: float | None = None


def equation_of(
    path: Path,
    frames: int,
    size: int,
    extract: Callable[[np.ndarray], np.ndarray] = extract_sketches,
    fit: Mapping[str, Any] | None = None,
    *,
    colour: bool = False,
) -> Equation:
    """Draw a picture or a clip.

    Args:
        path: a video, an image, still or animated, an SVG or an equation as JSON, by its content; an equation is
            returned as it is, that of a whole clip in ``frames`` frames.
        frames: T of a video, spread evenly over its time, at most those that it has; an image, or a video of one frame,
            is one frame.
        size: longer side in px at which lines are extracted from photographs, from line drawings at ``CLOSER`` times
            that; smaller pictures are not enlarged.
        extract: from frames to ink, for photographs.
        fit: settings of :func:`fit_curves`; others have its defaults.
        colour: give each stroke the median colour under it. Its 3 numbers are part of the budget.

    Raises:
        UserError: the file is missing or damaged, or shows no lines; the budget is too small for the strokes; an
            equation has no colours.
    """
    if is_equation(path):
        text = read_text(path)
        moves = CLIP_FORMAT in text[:_HEAD]
        equation = clip_from_json(text, str(path)).sampled(frames) if moves else from_json(text, str(path))
        if colour and equation.colours is None:
            raise UserError(f"{path} has no colours; make it again with --colour from the picture")
        return equation
    lines = _lines_of_svg(path, size) if is_svg(path) else _lines_of_pixels(path, frames, size, extract)
    settings = dict(fit or {})
    curves = _fitted(path, lines, settings)
    colours = None
    if colour:
        most = settings.get("budget", MAX_NUMBERS_PER_FRAME)
        if curves.num_parameters + COLOUR * curves.num_slots > most:
            # A stroke has at least 5 numbers and its colour.
            settings["strokes"] = max(min(curves.num_slots, most // (5 + COLOUR)), 1)
            settings["budget"] = most - COLOUR * settings["strokes"]
            curves = _fitted(path, lines, settings)
        colours = stroke_colours(curves, lines.ink, lines.colours())
    coefficients = curves.coefficients * lines.scale[:, None].astype(np.float32)
    coefficients[..., 0] += (lines.offset * curves.visible[..., None]).astype(np.float32)
    moved = CurveSequence(coefficients, curves.visibility)
    return Equation(moved, lines.height, lines.width, lines.fps, colours, lines.cuts)


def _fitted(path: Path, lines: _Lines, settings: Mapping[str, Any]) -> CurveSequence:
    """Curves in the ink's frame widths, without unused slots."""
    try:
        curves = fit_curves(lines.ink, lines.cuts, **settings)
    except ValueError as error:
        raise UserError(f"{error}; choose another budget or number of strokes") from error
    if not curves.visible.any():
        raise UserError(f"{path} shows no lines; choose a picture with clear outlines, or draw dark lines on white")
    slots = curves.num_slots
    return CurveSequence(curves.coefficients[:, :slots], curves.visibility[:, :slots])


def _lines_of_pixels(path: Path, frames: int, size: int, extract: Callable[[np.ndarray], np.ndarray]) -> _Lines:
    cuts = fps = None
    if is_clip(path):
        clip = read_clip(path, frames, CLOSER * size, square=False)
        if 1 < clip.source_frames < frames:  # repeated frames would make the motion jerk
            clip = read_clip(path, clip.source_frames, CLOSER * size, square=False)
        pictures = clip.frames[:1]
        if clip.source_frames > 1:
            pictures, cuts, fps = clip.frames, clip.cuts, clip.fps
        height, width = next(read_frames(path)).shape[:2]
    else:
        pictures = read_drawing(path)[None]
        height, width = pictures.shape[1:3]
    longer = max(height, width)
    drawn_size, extracted_size = min(CLOSER * size, longer), min(size, longer)
    ink = lines_of(pictures, drawn_size, extracted_size, extract)

    def colours() -> np.ndarray:
        small = resize_lines if max(ink.shape[1:]) == drawn_size else resize
        return np.stack([small(picture, max(ink.shape[1:])) for picture in pictures])

    # The sides of the resized picture are whole pixels: its aspect ratio differs slightly.
    scale = np.array([1.0, (height / width) / (ink.shape[1] / ink.shape[2])])
    return _Lines(ink, colours, height, width, scale, np.zeros(2), cuts, fps)


def _lines_of_svg(path: Path, size: int) -> _Lines:
    drawing = read_svg(path, CLOSER * size)
    enlarged = max(SVG_SIDE / max(drawing.width, drawing.height), 1.0)
    height, width = (max(round(enlarged * side), 1) for side in (drawing.height, drawing.width))
    square, page = drawing.ink.shape[1], np.array([drawing.width, drawing.height])
    sides = np.array([1.0, height / width])  # of the picture, in frame widths
    scale = square / (drawing.scale * page) * sides
    fps = SVG_RATE if len(drawing.ink) > 1 else None
    offset = -drawing.offset / (drawing.scale * page) * sides
    return _Lines(drawing.ink, lambda: drawing.colours, height, width, scale, offset, fps=fps)
