"""A picture or a clip, of any size and aspect → its equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.fitting.track import fit_curves
from sketch2video.errors import UserError
from sketch2video.media.codec import read_clip, read_frames
from sketch2video.media.containers import is_clip
from sketch2video.media.pictures import read_picture
from sketch2video.sketches import extract_sketches, lines_of

CLOSER = 2
"""Ratio of the sizes for line drawings and for photographs, whose texture would use up the strokes."""


def equation_of(
    path: Path,
    frames: int,
    size: int,
    extract: Callable[[np.ndarray], np.ndarray] = extract_sketches,
    fit: Mapping[str, Any] | None = None,
) -> Equation:
    """Draw a picture or a clip.

    Args:
        path: a video or an image, still or animated, by its content.
        frames: T of a video, spread evenly over its time; an image, or a video of one frame, is one frame.
        size: longer side in px at which lines are extracted from photographs, from line drawings at ``CLOSER`` times
            that; smaller pictures are not enlarged.
        extract: from frames to ink, for photographs.
        fit: settings of :func:`fit_curves`; others have its defaults.

    Raises:
        UserError: the file is missing or damaged, or shows no lines; the budget is too small for the strokes.
    """
    if is_clip(path):
        clip = read_clip(path, frames, CLOSER * size, square=False)
        moves = clip.source_frames > 1
        pictures, cuts, fps = (clip.frames, clip.cuts, clip.fps) if moves else (clip.frames[:1], None, None)
        height, width = next(read_frames(path)).shape[:2]
    else:
        pictures, cuts, fps = read_picture(path)[None], None, None
        height, width = pictures.shape[1:3]
    longer = max(height, width)
    ink = lines_of(pictures, min(CLOSER * size, longer), min(size, longer), extract)
    try:
        curves = fit_curves(ink, cuts, **(fit or {}))
    except ValueError as error:
        raise UserError(f"{error}; choose another budget or number of strokes") from error
    if not curves.visible.any():
        raise UserError(f"{path} shows no lines; choose a picture with clear outlines, or draw dark lines on white")
    # The sides of the resized picture are whole pixels: its aspect ratio differs slightly.
    aspect = np.array([[1.0], [(height / width) / (ink.shape[1] / ink.shape[2])]])
    slots = curves.num_slots
    used = CurveSequence(curves.coefficients[:, :slots] * aspect, curves.visibility[:, :slots])
    return Equation(used, height, width, fps)
