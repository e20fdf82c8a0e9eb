"""Drawings of the API as curves, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.stroke_keys import with_key_frames
from sketch2video.curves.exports.json_format import shortest_series
from sketch2video.errors import UserError
from sketch2video.studio.schemas import FARTHEST, MOST_FRAMES, MOST_HARMONICS, MOST_STROKES, Drawing, Row, Stroke


def to_curves(drawing: Drawing) -> CurveSequence:
    """The curves that a drawing shows, its key frames included; a slot for each stroke."""
    strokes = [_with_keys(stroke) for stroke in drawing.strokes]
    harmonics = max((each.shape[-1] for each in strokes), default=1)
    coefficients = np.zeros((drawing.frames, len(strokes), 2, harmonics), np.float32)
    visibility = np.zeros((drawing.frames, len(strokes)), np.float32)
    for slot, (stroke, each) in enumerate(zip(drawing.strokes, strokes, strict=True)):
        coefficients[:, slot, :, : each.shape[-1]] = each
        visibility[:, slot] = stroke.visible
    return CurveSequence(coefficients, visibility)


def kept_frames(drawing: Drawing, frames: Sequence[int]) -> dict[int, CurveSequence]:
    """Some frames of a drawing, one frame each, by their indices."""
    curves = to_curves(drawing)
    return {
        frame: CurveSequence(curves.coefficients[frame : frame + 1], curves.visibility[frame : frame + 1])
        for frame in frames
    }


def to_drawing(curves: CurveSequence, fps: float) -> Drawing:
    """A drawing without key frames of the strokes that are ever visible.

    Raises:
        UserError: it has more frames, strokes or harmonics than a drawing may have, or is far outside of the frame.
    """
    used = curves.visible.any(0)
    if len(curves) > MOST_FRAMES or used.sum() > MOST_STROKES or curves.coefficients[..., MOST_HARMONICS:].any():
        raise UserError(
            f"the drawing has more than {MOST_FRAMES} frames, {MOST_STROKES} strokes or {MOST_HARMONICS} harmonics;"
            " choose a simpler one"
        )
    if np.abs(curves.coefficients[:, used]).max(initial=0.0) > FARTHEST:
        raise UserError("the drawing is far outside of the frame; choose another one")
    strokes = []
    for slot in np.flatnonzero(used).tolist():
        x, y = (
            [shortest_series(row) for row in curves.coefficients[:, slot, axis, :MOST_HARMONICS]] for axis in (0, 1)
        )
        visible = curves.visible[:, slot].tolist()
        strokes.append(Stroke.model_construct(id=f"s{slot + 1}", x=x, y=y, visible=visible, keys=[]))
    return Drawing.model_construct(frames=len(curves), fps=fps, strokes=strokes)


def _with_keys(stroke: Stroke) -> np.ndarray:
    base = _array([*stroke.x, *stroke.y]).reshape(2, len(stroke.x), -1).swapaxes(0, 1)
    return with_key_frames(base, {key.frame: _array([key.x, key.y]) for key in stroke.keys})


def _array(rows: list[Row]) -> np.ndarray:
    """Rows of different lengths as one array, padded by zeros to one column at least: (n, K) float32."""
    out = np.zeros((len(rows), max(map(len, rows), default=0) or 1), np.float32)
    for row, values in zip(out, rows, strict=True):
        row[: len(values)] = values
    return out
