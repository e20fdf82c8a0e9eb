"""An equation with the size of its picture, and its JSON format.

The document is an object of::

    format      "sketch2video.equation/1"
    formula     meaning of the numbers, as text
    width       W, px of the picture that was drawn
    height      H, px
    fps         frames a second; null for a still picture
    harmonics   K
    colours     S lists [red, green, blue], 0 to 255; may be left out
    frames      T lists of S strokes {"visibility": v, "x": [a_0, a_1, ...], "y": [b_0, b_1, ...]}

Trailing zeros of x and y are left out; missing ones up to K are zero. All frames have the same S strokes, and a
stroke is drawn where its visibility is above 0.5. Numbers are the shortest decimals that represent the same float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.errors import UserError

FORMAT = "sketch2video.equation/1"

FORMULA = (
    "x(t) = sum_k x[k] cos(k pi t), y(t) likewise, 0 <= t <= 1;"
    " in frame widths, x right, y down, from the upper left corner"
)


@dataclass(frozen=True, eq=False)
class Equation:
    """The equation of a picture or a clip.

    Attributes:
        curves: T frames.
        height, width: of the picture, px.
        fps: frames a second; None for a still picture.
        colours: (S, 3) uint8 RGB, of the strokes; None where they have none.
        cuts: (T,) bool, frames at which another shot begins; None where that is unknown, as in JSON.
    """

    curves: CurveSequence
    height: int
    width: int
    fps: float | None = None
    colours: np.ndarray | None = None
    cuts: np.ndarray | None = None

    @property
    def num_parameters(self) -> int:
        """Largest number of parameters of a frame, colours included."""
        return self.curves.num_parameters + (0 if self.colours is None else self.colours.size)

    def rgb(self, stroke: int) -> list[int]:
        """The colour of a stroke, red, green and blue in 0 to 255; black where strokes have none."""
        return [0, 0, 0] if self.colours is None else self.colours[stroke].tolist()

    def css_colour(self, stroke: int, default: str = "black") -> str:
        """The colour of a stroke as ``#rrggbb``."""
        return default if self.colours is None else "#{:02x}{:02x}{:02x}".format(*self.rgb(stroke))

    def summary(self) -> str:
        """Number of parameters and of pixels, as a sentence."""
        numbers, pixels = self.num_parameters, f"{self.width} x {self.height} = {self.width * self.height}"
        if len(self.curves) == 1:
            return f"{numbers} numbers stand for {pixels} pixels"
        return f"at most {numbers} numbers a frame stand for {pixels} pixels each, in {len(self.curves)} frames"

    def only(self, frame: int) -> Equation:
        """One frame as a still picture.

        Raises:
            UserError: there is no such frame, or it shows nothing.
        """
        if not 0 <= frame < len(self.curves):
            raise UserError(f"there is no frame {frame}; the frames are 0 to {len(self.curves) - 1}")
        if not self.curves.visible[frame].any():
            raise UserError(f"frame {frame} shows no lines; choose another frame")
        curves = CurveSequence(*(a[frame : frame + 1] for a in (self.curves.coefficients, self.curves.visibility)))
        return Equation(curves, self.height, self.width, colours=self.colours)


MOST_COEFFICIENTS = 2**24
"""Guard against a small document that takes a lot of memory: coefficients are stored for all harmonics."""

Number = Annotated[float, Field(ge=-3e38, le=3e38)]  # what float32 holds


Channel = Annotated[int, Field(ge=0, le=255)]


class _Stroke(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    visibility: Number
    x: list[Number]
    y: list[Number]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["sketch2video.equation/1"]
    formula: str = FORMULA
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    harmonics: int = Field(ge=1, le=4096)
    colours: list[tuple[Channel, Channel, Channel]] | None = None
    frames: list[list[_Stroke]] = Field(min_length=1)


Document = TypeVar("Document", bound=BaseModel)


def head_of(about: Mapping[str, Any]) -> str:
    """The first lines of a document: an entry a line."""
    return "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in about.items())


def read_document(kind: type[Document], text: str, source: str) -> Document:
    """A document of a format.

    Args:
        kind: the format.
        text: the document.
        source: its name in errors.

    Raises:
        UserError: it is not JSON, or not of this format; the message names the fault.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first: Any = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{source}: {key + ': ' if key else ''}{first['msg']}; write it again") from error


def to_json(equation: Equation) -> str:
    """The document that this module describes, a stroke a line."""
    curves = equation.curves
    about: dict[str, Any] = {
        "format": FORMAT,
        "formula": FORMULA,
        "width": equation.width,
        "height": equation.height,
        "fps": equation.fps,
        "harmonics": curves.coefficients.shape[-1],
    }
    if equation.colours is not None:
        about["colours"] = equation.colours.tolist()
    frames = [
        ",\n  ".join(json.dumps(_stroke(*stroke)) for stroke in zip(coefficients, visibility, strict=True))
        for coefficients, visibility in zip(curves.coefficients, curves.visibility, strict=True)
    ]
    body = "],\n [".join(frames)
    return f'{{\n{head_of(about)} "frames": [\n [{body}]\n ]\n}}\n'


def from_json(text: str, source: str = "the equation") -> Equation:
    """Read what :func:`to_json` wrote.

    Args:
        text: the document.
        source: its name in errors.

    Raises:
        UserError: it is not JSON, not of this format, or its strokes are inconsistent; the message names the fault.
    """
    document = read_document(_Document, text, source)
    strokes, harmonics = len(document.frames[0]), document.harmonics
    if len(document.frames) * strokes * harmonics > MOST_COEFFICIENTS:
        raise UserError(
            f"{source}: frames, strokes and harmonics are more than {MOST_COEFFICIENTS} in all; simplify the drawing"
        )
    coefficients = np.zeros((len(document.frames), strokes, 2, harmonics), np.float32)
    visibility = np.zeros((len(document.frames), strokes), np.float32)
    for t, frame in enumerate(document.frames):
        if len(frame) != strokes:
            raise UserError(f"{source}: frames.{t}: {len(frame)} strokes, but the first frame has {strokes}")
        for s, stroke in enumerate(frame):
            visibility[t, s] = stroke.visibility
            for axis, series in enumerate((stroke.x, stroke.y)):
                if len(series) > harmonics:
                    raise UserError(f"{source}: frames.{t}.{s}: {len(series)} numbers, but harmonics is {harmonics}")
                coefficients[t, s, axis, : len(series)] = series
    colours = None
    if document.colours is not None:
        if len(document.colours) != strokes:
            raise UserError(f"{source}: colours: {len(document.colours)} colours, but there are {strokes} strokes")
        colours = np.array(document.colours, np.uint8).reshape(strokes, 3)
    curves = CurveSequence(coefficients, visibility)
    return Equation(curves, document.height, document.width, document.fps, colours)


def is_equation(path: Path) -> bool:
    """Whether a file begins as a JSON object."""
    try:
        with path.open("rb") as file:
            return file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError:
        return False


def _stroke(coefficients: np.ndarray, visibility: np.float32) -> dict[str, Any]:
    x, y = map(shortest_series, coefficients)
    return {"visibility": shortest(visibility), "x": x, "y": y}


def shortest(value: np.float32) -> float:
    """The double whose shortest decimals are those of a single."""
    return float(str(value))


def shortest_series(series: np.ndarray) -> list[float]:
    """Float32 coefficients (K,) without trailing zeros, each as :func:`shortest`."""
    return [shortest(value) for value in np.trim_zeros(series, "b")]
