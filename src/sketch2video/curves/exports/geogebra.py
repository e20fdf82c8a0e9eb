"""A drawing as a GeoGebra file (.ggb): a ZIP archive with ``geogebra.xml``.

A picture is a parametric curve for each stroke. A clip also has a slider T, which plays, and clocks that depend on it.
"""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sketch2video.curves.exports.json_format import Equation
from sketch2video.curves.exports.moving_strokes import (
    CLOCK_DECIMALS,
    Moving,
    clock_of,
    clocks_of,
    is_whole,
    moving_strokes,
    seconds_of,
)
from sketch2video.curves.exports.series_text import Notation, clock_text, number_text, terms_of

_VIEW = 800
"""Width of the view, px; the frame fills it up to a margin."""
_MARGIN = 0.1
_THICKEST = 13
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of the file in the archive: equal drawings are equal files."""


def to_geogebra(equation: Equation, thickness: float, tolerance: float | None = None) -> bytes:
    """A file for GeoGebra Classic, Graphing and the web apps.

    Args:
        equation: a picture or a clip.
        thickness: of the lines, px of the view.
        tolerance: root mean square distance to the strokes of a clip's frames, px; None: the default.
    """
    root = Element("geogebra", {"format": "5.0", "version": "5.0.785.0", "app": "classic", "platform": "w"})
    _view(root, equation)
    kernel = SubElement(root, "kernel")
    SubElement(kernel, "continuous", val="false")
    SubElement(kernel, "decimals", val="5")
    SubElement(kernel, "angle", val="radians")
    construction = SubElement(root, "construction", title="A drawing as an equation", author="", date="")
    strokes = moving_strokes(equation, tolerance)
    clocks = clocks_of(strokes) if len(equation.curves) > 1 else []
    if clocks:
        _slider(construction, seconds_of(equation))
    for number, clock in enumerate(clocks, start=1):
        text = clock_text(*clock, "T", CLOCK_DECIMALS, "*")
        SubElement(construction, "expression", label=f"c_{{{number}}}", exp=text)
        number_element = SubElement(construction, "element", type="numeric", label=f"c_{{{number}}}")
        SubElement(number_element, "show", object="false", label="false")
    for number, moving in enumerate(strokes, start=1):
        clock_name = f"c_{{{clocks.index(clock_of(moving.stroke)) + 1}}}" if clocks else ""
        _curve(construction, f"s_{{{number}}}", moving, clock_name, equation.rgb(moving.slot), thickness)
    xml = b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="utf-8") + b"\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("geogebra.xml", _DATE)
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, xml)
    return data.getvalue()


def _view(root: Element, equation: Equation) -> None:
    """The frame in the middle of a view without axes; both axes have one scale."""
    scale = _VIEW / (1 + 2 * _MARGIN)
    high = equation.height / equation.width
    height = round(scale * (high + 2 * _MARGIN))
    view = SubElement(root, "euclidianView")
    SubElement(view, "viewNumber", viewNo="1")
    SubElement(view, "size", width=str(_VIEW), height=str(height))
    zero = {"xZero": f"{scale * _MARGIN:.6g}", "yZero": f"{height - scale * _MARGIN:.6g}"}
    SubElement(view, "coordSystem", {**zero, "scale": f"{scale:.6g}", "yscale": f"{scale:.6g}"})
    SubElement(view, "evSettings", axes="false", grid="false", gridIsBold="false", pointCapturing="3")
    SubElement(view, "bgColor", r="255", g="255", b="255")
    for axis in ("0", "1"):
        SubElement(view, "axis", id=axis, show="false", label="", unitLabel="", showNumbers="true")


def _slider(construction: Element, seconds: float) -> None:
    """The time T of the clip, from 0 to 1, which plays again and again."""
    SubElement(construction, "expression", label="T", exp="0")
    element = SubElement(construction, "element", type="numeric", label="T")
    SubElement(element, "value", val="0")
    SubElement(element, "show", object="true", label="true")
    slider = {"min": "0", "max": "1", "width": "200", "x": "20", "y": "30", "fixed": "true", "horizontal": "true"}
    SubElement(element, "slider", {**slider, "absoluteScreenLocation": "true", "showAlgebra": "true"})
    # At speed 1, GeoGebra passes the range of a slider in 10 s; type 1 begins again at the end.
    speed = number_text(10 / seconds, 3)
    SubElement(element, "animation", step="0.001", speed=speed, type="1", playing="true")


def _curve(
    construction: Element, label: str, moving: Moving, clock_name: str, rgb: list[int], thickness: float
) -> None:
    notation = Notation(
        pen=lambda k: f"cos({k}*pi*u)" if k > 1 else "cos(pi*u)",
        time=lambda m: clock_name if m == 1 else f"sin({f'{m - 1}*' if m > 2 else ''}pi*{clock_name})",
        times="*",
        space=" ",
    )
    x, y = (" ".join(terms_of(table, moving.decimals, notation)) for table in moving.upright.swapaxes(0, 1))
    command = SubElement(construction, "command", name="CurveCartesian")
    SubElement(command, "input", a0=x, a1=y, a2="u", a3="0", a4="1")
    SubElement(command, "output", a0=label)
    element = SubElement(construction, "element", type="curvecartesian", label=label)
    SubElement(element, "show", object="true", label="false")
    if not is_whole(moving.stroke):
        birth, death = (f"{round(time, 6):g}" for time in (moving.stroke.birth, moving.stroke.death))
        end = "≤" if moving.stroke.death == 1 else "<"
        SubElement(element, "condition", showObject=f"{birth} ≤ T ∧ T {end} {death}")
    red, green, blue = map(str, rgb)
    SubElement(element, "objColor", r=red, g=green, b=blue, alpha="0")
    SubElement(element, "labelMode", val="0")
    # The thickness is in half pixels.
    thick = min(max(round(2 * thickness), 1), _THICKEST)
    SubElement(element, "lineStyle", thickness=str(thick), type="0", typeHidden="1")
