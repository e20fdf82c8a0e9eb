"""An equation in the formats of other programs, by name: the table of all formats."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.clip_formula import clip_to_latex
from sketch2video.curves.exports.clip_json import MovingEquation, clip_to_json
from sketch2video.curves.exports.desmos_page import DEMO_KEY, desmos_text, to_desmos_page
from sketch2video.curves.exports.formula import to_latex
from sketch2video.curves.exports.geogebra import to_geogebra
from sketch2video.curves.exports.html_player import to_html
from sketch2video.curves.exports.json_format import Equation, to_json
from sketch2video.curves.exports.lottie import to_lottie
from sketch2video.curves.exports.moving_strokes import clip_of
from sketch2video.curves.exports.plotter import Plot, to_gcode, to_plotter_svg
from sketch2video.curves.exports.svg_writer import to_animated_svg, to_svg
from sketch2video.errors import UserError
from sketch2video.files import replacing
from sketch2video.media.writing import encode_gif

FINER = 2
"""Supersampling factor of drawn lines: OpenCV's anti-aliasing is poor for thick lines."""

LINE = 1 / 320
"""Width of a drawn line, in longer sides of the picture; at least a pixel."""

VIEW_LINE = 2.5
"""Width of a line in Desmos and GeoGebra, px of their views, whatever the size of the picture is: their default."""


@dataclass(frozen=True)
class Settings:
    """What formats need beside the equation.

    Attributes:
        plot: how a drawing is plotted.
        tolerance: root mean square distance to the strokes of the frames that formulas with time may have, px; None:
            0.1, of frames wider than 640 px in proportion to their width.
        desmos_key: for Desmos's API; None: that of its examples.
    """

    plot: Plot = field(default_factory=Plot)
    tolerance: float | None = None
    desmos_key: str | None = None


@dataclass(frozen=True)
class Format:
    """A format that equations are written in.

    Attributes:
        name: to be chosen by.
        write: returns the content: text, or bytes.
        media_type: of the content.
        endings: of file names that select it; the longest that matches counts. New files get the first one.
        is_text: whether the content is text, which may be printed.
        moves: whether a clip is written whole, else its first frame.
        coloured: whether strokes have their colours.
        in_time: whether a clip is one equation in pen position and time.
    """

    name: str
    write: Callable[[Equation, Settings], str | bytes]
    media_type: str
    endings: tuple[str, ...] = ()
    is_text: bool = True
    moves: bool = True
    coloured: bool = True
    in_time: bool = False


def thickness_of(equation: Equation) -> float:
    """Width of drawn lines, px."""
    return max(LINE * max(equation.height, equation.width), 1.0)


def _latex(equation: Equation, settings: Settings) -> str:
    if len(equation.curves) > 1:
        return clip_to_latex(equation, settings.tolerance)
    return to_latex(equation.curves, 0, equation.height, equation.width)


def _svg(equation: Equation, settings: Settings) -> str:
    curves, size, thickness = equation.curves, (equation.height, equation.width), thickness_of(equation)
    colours = None
    if equation.colours is not None:
        colours = [equation.css_colour(slot) for slot in range(len(equation.colours))]
    if len(curves) == 1:
        return to_svg(curves, 0, *size, thickness, colours)
    return to_animated_svg(curves, equation.fps or 1.0, *size, thickness, colours)


def _desmos(equation: Equation, settings: Settings) -> str:
    return desmos_text(equation, settings.tolerance)


def _desmos_page(equation: Equation, settings: Settings) -> str:
    key = settings.desmos_key or DEMO_KEY
    return to_desmos_page(equation, VIEW_LINE, key, settings.tolerance)


def _geogebra(equation: Equation, settings: Settings) -> bytes:
    return to_geogebra(equation, VIEW_LINE, settings.tolerance)


def _lottie(equation: Equation, settings: Settings) -> str:
    return to_lottie(equation, thickness_of(equation))


def _html(equation: Equation, settings: Settings) -> str:
    return to_html(equation, tolerance=settings.tolerance)


def _json(equation: Equation, settings: Settings) -> str:
    return to_json(equation)


def _clip_json(equation: Equation, settings: Settings) -> str:
    return clip_to_json(_moving(equation, settings))


def _moving(equation: Equation, settings: Settings) -> MovingEquation:
    clip = clip_of(equation, settings.tolerance)
    return MovingEquation(clip, equation.height, equation.width, equation.fps)


def _plotter_svg(equation: Equation, settings: Settings) -> str:
    return to_plotter_svg(equation, settings.plot)


def _gcode(equation: Equation, settings: Settings) -> str:
    return to_gcode(equation, settings.plot)


def _png(equation: Equation, settings: Settings) -> bytes:
    data = io.BytesIO()
    Image.fromarray(_drawn(equation)[0]).save(data, format="PNG")
    return data.getvalue()


def _gif(equation: Equation, settings: Settings) -> bytes:
    drawn = _drawn(equation)
    return encode_gif(drawn if drawn.ndim == 4 else np.repeat(drawn[..., None], 3, axis=-1), equation.fps or 1.0)


def _drawn(equation: Equation) -> np.ndarray:
    """Lines on white, of the picture's own size: uint8 (T, H, W), or (T, H, W, 3) where strokes have colours."""
    height, width, curves = equation.height, equation.width, equation.curves
    fine = FINER * height, FINER * width, max(round(FINER * LINE * max(height, width)), FINER)
    pictures = []
    for coefficients, visibility in zip(curves.coefficients, curves.visibility, strict=True):
        if equation.colours is None:
            ink = CurveSequence(coefficients[None], visibility[None]).render(*fine)[0]
            pictures.append(255 - _smaller(ink, height, width))
            continue
        picture = np.full((height, width, 3), 255.0, np.float32)
        for slot, colour in enumerate(equation.colours):
            stroke = CurveSequence(coefficients[None, slot : slot + 1], visibility[None, slot : slot + 1])
            cover = _smaller(stroke.render(*fine)[0], height, width)[..., None].astype(np.float32) / 255
            picture += cover * (colour - picture)
        pictures.append(picture.round().astype(np.uint8))
    return np.stack(pictures)


def _smaller(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


FORMATS = {
    format_.name: format_
    for format_ in (
        Format("latex", _latex, "text/x-tex", (".tex",), coloured=False, in_time=True),
        Format("desmos", _desmos, "text/plain", (".desmos.txt",), coloured=False, in_time=True),
        Format("desmos-page", _desmos_page, "text/html", (".desmos.html",), in_time=True),
        Format("geogebra", _geogebra, "application/vnd.geogebra.file", (".ggb",), is_text=False, in_time=True),
        Format("svg", _svg, "image/svg+xml", (".svg",)),
        Format("lottie", _lottie, "application/json", (".lottie.json",)),
        Format("html", _html, "text/html", (".html", ".htm")),
        Format("json", _json, "application/json", (".json",)),
        Format("clip-json", _clip_json, "application/json", (".clip.json",), coloured=False, in_time=True),
        Format("plotter-svg", _plotter_svg, "image/svg+xml", (".plot.svg",), moves=False),
        Format("gcode", _gcode, "text/x-gcode", (".gcode", ".nc", ".ngc"), moves=False, coloured=False),
        Format("png", _png, "image/png", (".png",), is_text=False, moves=False),
        Format("gif", _gif, "image/gif", (".gif",), is_text=False),
    )
}
"""All formats by name, in the order of help and documentation."""


def format_of(name: str | None, output: Path | None) -> Format:
    """The requested format: the one named, else that of the output's ending; LaTeX where there is no output.

    Raises:
        UserError: the name or the ending is unknown, or a format that is no text has no output.
    """
    if name is None and output is not None:
        found = [
            (len(ending), format_.name)
            for format_ in FORMATS.values()
            for ending in format_.endings
            if output.name.lower().endswith(ending)
        ]
        if not found:
            raise UserError(f"{output}: name a format ({', '.join(FORMATS)}), or end the file with one of its endings")
        name = max(found)[1]
    name = (name or "latex").lower()
    if name not in FORMATS:
        raise UserError(f"{name} is not a format; choose one of {', '.join(FORMATS)}")
    if not FORMATS[name].is_text and output is None:
        raise UserError(f"{name} is not text; name a file with --output")
    return FORMATS[name]


def summary_of(equation: Equation, format_: Format, settings: Settings) -> str:
    """How many numbers were written for how many pixels, as a sentence."""
    if not format_.in_time or len(equation.curves) == 1:
        return equation.summary()
    moving, colours = _moving(equation, settings), equation.colours
    return moving.summary() + ("" if colours is None else f", {colours.size} for colours")


def content_of(equation: Equation, format_: Format, settings: Settings | None = None) -> bytes:
    """The content of a file with an equation; the arguments are those of :func:`write`."""
    content = format_.write(equation, settings or Settings())
    return content.encode("utf-8") if isinstance(content, str) else content


def write(equation: Equation, format_: Format, path: Path, settings: Settings | None = None) -> None:
    """Write an equation into a file, atomically.

    Args:
        equation: all frames if the format moves, else its first frame.
        format_: one of ``FORMATS``.
        path: the file; its ending may be any.
        settings: of plotters and Desmos; None: the defaults.

    Raises:
        UserError: the file cannot be written.
    """
    content = content_of(equation, format_, settings)
    with replacing(path) as partial:
        partial.write_bytes(content)
