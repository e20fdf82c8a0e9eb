"""The equation of a whole clip with the size of its frames, and its JSON format.

The document is an object of::

    format      "sketch2video.equation/3"
    formula     meaning of the numbers, as text
    width       W, px of the frames that were drawn
    height      H, px
    fps         frames a second; null if it is unknown
    frames      T, number of frames that the clip was fitted to; it lasts T / fps seconds
    strokes     a list of {"birth": b, "death": d, "x": [[a_00, a_01, ...], [a_10, ...], ...], "y": ...}

by birth, with 0 <= birth < death <= 1. List m of x and y holds the K_m pen harmonics of time function m: those of x and
y are equally long, and none is longer than the one before it. Numbers are the shortest decimals that represent the same
float32; births and deaths, the same double.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sketch2video.curves.equation.clip import ClipEquation, MovingStroke
from sketch2video.curves.exports.json_format import (
    MOST_COEFFICIENTS,
    Equation,
    Number,
    head_of,
    read_document,
    shortest,
)
from sketch2video.errors import UserError

FORMAT = "sketch2video.equation/3"

FORMULA = (
    "x(u, t) = sum_m sum_k x[m][k] cos(k pi u) f_m(t), y likewise, 0 <= u <= 1,"
    " f_0 = 1, f_1 = t, f_m = sin((m - 1) pi t),"
    " t = (time - birth) / (death - birth), time from 0 to 1 over the clip;"
    " in frame widths, x right, y down, from the upper left corner"
)


@dataclass(frozen=True)
class MovingEquation:
    """The equation of a whole clip.

    Attributes:
        clip: the strokes as functions of pen position and time.
        height, width: of the frames, px.
        fps: frames a second of the ``clip.frames`` frames; None if it is unknown.
    """

    clip: ClipEquation
    height: int
    width: int
    fps: float | None = None

    def summary(self) -> str:
        """Number of parameters and of pixels, as a sentence."""
        frames, pixels = self.clip.frames, f"{self.width} x {self.height} pixels"
        return f"{self.clip.num_parameters} numbers stand for a clip of {frames} frames of {pixels}"

    def sampled(self, frames: int | None = None) -> Equation:
        """The clip frame by frame, of the same duration.

        Args:
            frames: their number; None: that of the clip. Twice as many are twice the frame rate.
        """
        curves = self.clip.sample(frames)
        fps = None if self.fps is None else self.fps * len(curves) / self.clip.frames
        return Equation(curves, self.height, self.width, fps)


Series = Annotated[list[Annotated[list[Number], Field(max_length=4096)]], Field(min_length=1, max_length=4096)]


class _Stroke(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    birth: float = Field(ge=0, lt=1)
    death: float = Field(gt=0, le=1)
    x: Series
    y: Series


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["sketch2video.equation/3"]
    formula: str = FORMULA
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    frames: int = Field(ge=1, le=MOST_COEFFICIENTS)
    strokes: list[_Stroke]


def clip_to_json(equation: MovingEquation) -> str:
    """The document that this module describes, a stroke a line."""
    about = {
        "format": FORMAT,
        "formula": FORMULA,
        "width": equation.width,
        "height": equation.height,
        "fps": equation.fps,
        "frames": equation.clip.frames,
    }
    strokes = ",\n  ".join(json.dumps(_written(stroke)) for stroke in equation.clip.strokes)
    return f'{{\n{head_of(about)} "strokes": [\n  {strokes}\n ]\n}}\n'


def clip_from_json(text: str, source: str = "the equation") -> MovingEquation:
    """Read what :func:`clip_to_json` wrote.

    Args:
        text: the document.
        source: its name in errors.

    Raises:
        UserError: it is not JSON, not of this format, or its strokes are inconsistent; the message names the fault.
    """
    document = read_document(_Document, text, source)
    shapes = [(len(stroke.x), max(map(len, (*stroke.x, *stroke.y)))) for stroke in document.strokes]
    if sum(times * max(pen, 1) for times, pen in shapes) > MOST_COEFFICIENTS:
        raise UserError(
            f"{source}: the strokes' harmonics are more than {MOST_COEFFICIENTS} in all; simplify the drawing"
        )
    strokes = []
    for s, (stroke, (times, pen)) in enumerate(zip(document.strokes, shapes, strict=True)):
        limits = [len(row) for row in stroke.x]
        if [len(row) for row in stroke.y] != limits:
            raise UserError(f"{source}: strokes.{s}: the lists of x and y are not equally long; write it again")
        if limits != sorted(limits, reverse=True):
            raise UserError(f"{source}: strokes.{s}: a list is longer than the one before it; write it again")
        coefficients = np.zeros((times, 2, max(pen, 1)), np.float32)
        for m, rows in enumerate(zip(stroke.x, stroke.y, strict=True)):
            coefficients[m, :, : limits[m]] = rows
        try:
            strokes.append(MovingStroke(stroke.birth, stroke.death, coefficients))
        except ValueError as error:
            raise UserError(f"{source}: strokes.{s}: {error}; write it again") from error
    try:
        clip = ClipEquation(tuple(strokes), document.frames)
    except ValueError as error:
        raise UserError(f"{source}: {error}; write it again") from error
    return MovingEquation(clip, document.height, document.width, document.fps)


def _written(stroke: MovingStroke) -> dict[str, Any]:
    rows = [coefficients[:, :limit] for coefficients, limit in zip(stroke.coefficients, stroke.limits, strict=False)]
    x, y = ([[shortest(value) for value in row[axis]] for row in rows] or [[]] for axis in (0, 1))
    return {"birth": stroke.birth, "death": stroke.death, "x": x, "y": y}
