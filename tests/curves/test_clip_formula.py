"""Formulas of a whole clip, evaluated by Python's own parser and by sympy."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy
from matplotlib.mathtext import MathTextParser

from sketch2video.curves import CurveSequence, Equation
from sketch2video.curves.exports.clip_formula import clip_to_desmos, clip_to_latex
from sketch2video.curves.exports.desmos_page import desmos_state, to_desmos_page
from sketch2video.curves.exports.geogebra import to_geogebra
from tests.curves.graphing import graph_clip_desmos, graph_clip_latex, graph_desmos
from tests.curves.moving import check_frame, clip, times
from tests.curves.test_html_player import Reader
from tests.studio.chromium import launched

N = 1500


def test_latex_with_time_lands_on_every_frame() -> None:
    equation = clip()
    text = clip_to_latex(equation)
    for frame, time in enumerate(times(equation)):
        check_frame(graph_clip_latex(text, time, N), equation, frame)


def test_latex_is_what_a_typesetter_reads() -> None:
    parser = MathTextParser("path")
    rows = [row for row in clip_to_latex(clip()).splitlines() if "&=" in row or "&\\quad" in row]
    assert len(rows) > 20
    for row in rows:
        assert row.isascii()
        parser.parse(f"${row.removesuffix(chr(92) * 2).replace('&', '')}$")


@pytest.mark.parametrize("turns", [0, -3, 7])
def test_one_paste_into_desmos_has_a_slider_and_lands_on_every_frame(turns: int) -> None:
    equation = clip()
    lines = clip_to_desmos(equation).splitlines()
    assert lines[0] == "T=0"
    for frame, time in enumerate(times(equation)):
        check_frame(graph_clip_desmos(lines, time + turns, N), equation, frame)


def test_strokes_that_share_their_life_share_their_clock() -> None:
    whole = Equation(CurveSequence(clip().curves.coefficients, np.ones((12, 3))), 180, 320, 6.0)
    assert [line[:4] for line in clip_to_desmos(whole).splitlines() if line.startswith("c_")] == ["c_{1"]
    assert "while" not in clip_to_latex(whole)


def test_a_cut_ends_all_lives() -> None:
    whole = Equation(CurveSequence(clip().curves.coefficients, np.ones((12, 3))), 180, 320, 6.0)
    cut = replace(whole, cuts=np.arange(12) == 7)
    text = clip_to_latex(cut)
    assert text.count("while $0\\le t<0.583333$") == text.count("while $0.583333\\le t<1$") == 3
    for frame, time in enumerate(times(cut)):
        check_frame(graph_clip_latex(text, time, N), cut, frame)


def test_brackets_of_desmos_are_sized() -> None:
    for line in clip_to_desmos(clip()).splitlines():
        assert line.count("(") == line.count(r"\left(") == line.count(")") == line.count(r"\right)")


def test_the_state_of_desmos_has_slider_colours_and_widths() -> None:
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    equation = clip(colours=colours)
    state = desmos_state(equation, 2.5)
    slider, curves = state[0], [item for item in state if "color" in item]
    assert slider["latex"] == "T=0"
    assert slider["sliderBounds"] == {"min": "0", "max": "1", "step": ""}
    assert slider["animationPeriod"] == 2000  # 12 frames, 6 a second
    assert len({item["id"] for item in state}) == len(state)
    assert {item["lineWidth"] for item in curves} == {"2.5"}
    lines = [item["latex"] for item in state]
    for frame, time in enumerate(times(equation)):
        check_frame(graph_clip_desmos(lines, time, N), equation, frame)
        for curve in curves:
            drawn = graph_clip_desmos(
                [*(item["latex"] for item in state if item not in curves), curve["latex"]], time, 3
            )
            if len(drawn):
                slot = colours.tolist().index([int(curve["color"][i : i + 2], 16) for i in (1, 3, 5)])
                middle = equation.curves.points(3)[frame, slot, 1] * (1, -1) + (0, 180 / 320)
                assert np.hypot(*(drawn[0, 1] - middle)) * 320 < 0.5


STUB = """window.Desmos = { GraphingCalculator: () => ({
    setMathBounds: (bounds) => { window.bounds = bounds; }, setExpressions: (list) => { window.list = list; } }) };"""
"""In place of Desmos's script, which a test does not load."""


@pytest.mark.parametrize("still", [False, True])
def test_the_page_gives_desmos_its_state(tmp_path: Path, still: bool) -> None:
    equation = clip().only(5) if still else clip()
    (tmp_path / "page.html").write_text(to_desmos_page(equation, 2.0, "my&key"))
    faults: list[str] = []
    asked: list[str] = []
    with launched() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))

        def answer(route: Any) -> None:
            asked.append(route.request.url)
            route.fulfill(content_type="text/javascript", body=STUB)

        page.route(re.compile("^https:"), answer)
        page.goto((tmp_path / "page.html").as_uri())
        given = page.evaluate("({ list: window.list, bounds: window.bounds })")
    assert faults == []
    assert asked == ["https://www.desmos.com/api/v1.11/calculator.js?apiKey=my&key"]
    assert given["list"] == json.loads(json.dumps(desmos_state(equation, 2.0)))
    assert given["bounds"] == pytest.approx({"left": -0.1, "right": 1.1, "bottom": -0.1, "top": 0.6625})


def test_the_page_says_that_desmos_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(to_desmos_page(clip(), 2.0))
    with launched() as browser:
        page = browser.new_page()
        page.route(re.compile("^https:"), lambda route: route.abort())
        page.goto((tmp_path / "page.html").as_uri())
        assert "cannot be reached" in page.locator("#said").text_content()
    reader = Reader()
    reader.feed((tmp_path / "page.html").read_text())
    assert json.loads(reader.texts["script#drawing"])["text"] == clip_to_desmos(clip())


def geogebra(data: bytes) -> ElementTree.Element:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["geogebra.xml"]
        return ElementTree.fromstring(archive.read("geogebra.xml"))


def graph_geogebra(root: ElementTree.Element, time: float, n: int) -> np.ndarray:
    """The visible curves of a construction when the slider has a value, by sympy: (M, n, 2)."""
    construction = root.find("construction")
    assert construction is not None
    values: dict[str, Any] = {}
    for expression in construction.iter("expression"):
        name = expression.get("label", "").replace("{", "").replace("}", "")
        values[name] = time if name == "T" else float(sympy.sympify(expression.get("exp"), locals={"T": values["T"]}))
    u = np.linspace(0, 1, n)
    elements = {element.get("label"): element for element in construction.iter("element")}
    strokes = []
    for command in construction.iter("command"):
        assert command.get("name") == "CurveCartesian"
        given, output = command.find("input"), command.find("output")
        assert given is not None
        assert output is not None
        assert [given.get(f"a{i}") for i in (2, 3, 4)] == ["u", "0", "1"]
        condition = elements[output.get("a0")].find("condition")
        if condition is not None:
            text = condition.get("showObject", "").replace("≤", "<=").replace("∧", " and ")
            if not eval(text, {"T": time}):
                continue
        pair = []
        for key in ("a0", "a1"):
            text = given.get(key, "").replace("{", "").replace("}", "")
            symbol = sympy.Symbol("u")
            formula = sympy.sympify(text, locals={**{k: sympy.Float(v) for k, v in values.items()}, "u": symbol})
            pair.append(sympy.lambdify(symbol, formula, "numpy")(u) + 0 * u)
        strokes.append(np.stack(pair, axis=1))
    return np.array(strokes).reshape(-1, n, 2)


def test_geogebra_draws_every_frame() -> None:
    equation = clip()
    root = geogebra(to_geogebra(equation, 2.0))
    for frame, time in enumerate(times(equation)):
        check_frame(graph_geogebra(root, time, N), equation, frame)
    check_frame(graph_geogebra(geogebra(to_geogebra(equation.only(5), 2.0)), 0.5, N), equation, 5)


def test_a_ggb_has_the_structure_of_geogebras_schema() -> None:
    """Elements in GeoGebra's order: views, kernel, construction; an element after what defines it."""
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    root = geogebra(to_geogebra(clip(colours=colours), 2.0))
    assert root.tag == "geogebra"
    assert root.get("format") == "5.0"
    assert [child.tag for child in root] == ["euclidianView", "kernel", "construction"]
    construction = root[2]
    defined = set()
    for before, element in zip(construction, list(construction)[1:], strict=False):
        if element.tag == "element":
            output = before.find("output")
            label = before.get("label") if output is None else output.get("a0")
            assert element.get("label") == label
            defined.add(label)
            assert element.get("type") == ("numeric" if before.tag == "expression" else "curvecartesian")
    slider = next(element for element in construction.iter("element") if element.get("label") == "T")
    found = slider.find("slider")
    assert found is not None
    assert (found.get("min"), found.get("max")) == ("0", "1")
    animation = slider.find("animation")
    assert animation is not None
    assert animation.get("playing") == "true"
    assert float(animation.get("speed", "0")) == 5  # 10 s at speed 1; the clip lasts 2 s
    seen = {tuple(int(item.get(key, "")) for key in "rgb") for item in construction.iter("objColor")}
    assert seen == {tuple(colour) for colour in colours.tolist()}
    scale = root[0].find("coordSystem")
    assert scale is not None
    assert scale.get("scale") == scale.get("yscale")
    assert to_geogebra(clip(), 2.0) == to_geogebra(clip(), 2.0)


def test_a_still_picture_in_desmos_is_what_was_pasted_before() -> None:
    still = clip().only(5)
    curves = [item["latex"] for item in desmos_state(still, 2.0)]
    drawn = graph_desmos("\n".join(curves), np.linspace(0, 1, N))
    check_frame(drawn, still, 0)
