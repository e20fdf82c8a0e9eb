"""An equation in the formats of other programs, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.formula import to_desmos, to_latex
from sketch2video.curves.exports.json_format import Equation, to_json
from sketch2video.curves.exports.svg_writer import to_animated_svg, to_svg
from sketch2video.errors import UserError
from sketch2video.files import replacing
from sketch2video.media.writing import write_gif

FINER = 2
"""Supersampling factor of drawn lines: OpenCV's anti-aliasing is poor for thick lines."""

LINE = 1 / 320
"""Width of a drawn line, in longer sides of the picture; at least a pixel."""


def _svg(equation: Equation) -> str:
    curves, height, width = equation.curves, equation.height, equation.width
    thickness = max(LINE * max(height, width), 1.0)
    if len(curves) == 1:
        return to_svg(curves, 0, height, width, thickness)
    return to_animated_svg(curves, equation.fps or 1.0, height, width, thickness)


def _latex(equation: Equation) -> str:
    return to_latex(equation.curves, 0, equation.height, equation.width)


def _desmos(equation: Equation) -> str:
    return to_desmos(equation.curves, 0, equation.height, equation.width)


def _png(equation: Equation, path: Path) -> None:
    Image.fromarray(_drawn(equation)[0]).save(path, format="PNG")


def _gif(equation: Equation, path: Path) -> None:
    write_gif(path, np.repeat(_drawn(equation)[..., None], 3, axis=-1), equation.fps or 1.0)


def _drawn(equation: Equation) -> np.ndarray:
    """Dark lines on white, of the picture's own size: uint8 (T, H, W)."""
    height, width, curves = equation.height, equation.width, equation.curves
    fine = FINER * height, FINER * width, max(round(FINER * LINE * max(height, width)), FINER)
    frames = zip(curves.coefficients, curves.visibility, strict=True)
    large = (CurveSequence(c[None], v[None]).render(*fine)[0] for c, v in frames)
    return 255 - np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in large])


TEXTS: dict[str, Callable[[Equation], str]] = {"latex": _latex, "desmos": _desmos, "svg": _svg, "json": to_json}
PICTURES: dict[str, Callable[[Equation, Path], None]] = {"png": _png, "gif": _gif}
FORMATS = (*TEXTS, *PICTURES)

STILL = ("latex", "desmos", "png")
"""Formats that show one frame, the first; the others hold all."""

ENDINGS = {".tex": "latex", ".svg": "svg", ".json": "json", ".png": "png", ".gif": "gif"}


def format_of(name: str | None, output: Path | None) -> str:
    """The requested format: the one named, else that of the output's ending; LaTeX where there is no output.

    Raises:
        UserError: the name or the ending is unknown, or a format that is no text has no output.
    """
    if name is None and output is not None:
        name = ENDINGS.get(output.suffix.lower())
        if name is None:
            raise UserError(f"{output}: name a format ({', '.join(FORMATS)}), or end the file with one of its endings")
    name = (name or "latex").lower()
    if name not in FORMATS:
        raise UserError(f"{name} is not a format; choose one of {', '.join(FORMATS)}")
    if name in PICTURES and output is None:
        raise UserError(f"{name} is not text; name a file with --output")
    return name


def write(equation: Equation, format_: str, path: Path) -> None:
    """Write an equation into a file, atomically.

    Args:
        equation: its first frame if the format is one of ``STILL``, else all.
        format_: one of ``FORMATS``.
        path: the file; its ending may be any.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with replacing(path) as partial:
            if format_ in TEXTS:
                partial.write_text(TEXTS[format_](equation), encoding="utf-8")
            else:
                PICTURES[format_](equation, partial)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another file") from error
