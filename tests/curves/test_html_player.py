from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sketch2video.curves import ClipEquation, CurveSequence, Equation, fit_clip
from sketch2video.curves.exports import moving_strokes
from sketch2video.curves.exports.clip_formula import clip_to_desmos, clip_to_latex
from sketch2video.curves.exports.desmos_page import to_desmos_page
from sketch2video.curves.exports.html_player import to_html
from sketch2video.curves.exports.writers import FORMATS, Settings, summary_of
from tests.curves.graphing import graph_desmos
from tests.studio.chromium import launched, playwright_api


class Reader(HTMLParser):
    """The texts of elements, and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.addresses: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._inside = f"{tag}#{named['id']}" if "id" in named else tag
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data


def equation(frames: int = 3) -> Equation:
    coefficients = np.random.default_rng(0).normal(size=(frames, 2, 2, 4)).astype(np.float32)
    coefficients[:, :, :, 3] = 0
    visibility = np.array([[1, index == 0] for index in range(frames)], np.float32)
    return Equation(CurveSequence(coefficients, visibility), 30, 60, 5.0)


def test_the_page_has_the_drawing_in_it_and_asks_for_nothing_else() -> None:
    page = to_html(equation())
    reader = Reader()
    reader.feed(page)
    drawing = json.loads(reader.texts["script#drawing"])
    assert (drawing["width"], drawing["height"], drawing["fps"]) == (60, 30, 5.0)
    assert [len(strokes) for strokes in drawing["frames"]] == [2, 1, 1]
    assert drawing["numbers"] == [14, 8, 8]
    stored = np.array(drawing["frames"][0], np.float32)
    assert np.array_equal(stored, equation().curves.coefficients[0, :, :, :3])
    assert reader.addresses == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page


def test_the_formulas_of_a_clip_are_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []

    def counted(curves: CurveSequence, *args: object, tolerance: float) -> ClipEquation:
        solved.append(tolerance)
        return fit_clip(curves, *args, tolerance=tolerance)  # type: ignore[arg-type]

    monkeypatch.setattr(moving_strokes, "fit_clip", counted)
    for write in (to_html, lambda clip: to_desmos_page(clip, 2.0)):
        write(equation())
    assert solved == [0.1 / 60] * 2
    same = equation()
    to_html(same, tolerance=0.3)
    settings = Settings(tolerance=0.3)
    assert summary_of(same, FORMATS["clip-json"], settings) == summary_of(same, FORMATS["latex"], settings)
    assert solved[2:] == [0.3 / 60]


def test_a_title_is_text() -> None:
    title = '</title><script>alert(1)</script> {{drawing}} & "x"'
    page = to_html(equation(1), title)
    assert page.count("<script") == 2
    reader = Reader()
    reader.feed(page)
    assert reader.texts["h1"].strip() == title


ENDS = """[...document.querySelectorAll("path")].map((path) => [0, path.getTotalLength()].map((length) => {
    const point = path.getPointAtLength(length);
    return [point.x, point.y];
}))"""
"""First and last points of all paths of a page."""


def test_a_browser_plays_it_and_its_formula_is_the_drawing(tmp_path: Path) -> None:
    shown = equation(6)
    (tmp_path / "player.html").write_text(to_html(shown))
    faults: list[str] = []
    with launched() as browser:
        page = browser.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or faults.append(request.url))
        page.goto((tmp_path / "player.html").as_uri())
        playwright_api().expect(page.locator("#number")).not_to_have_text("1")  # it plays
        page.locator("#frame").fill("0")
        assert page.locator("#play").text_content() == "Play"
        assert page.locator("#numbers").text_content() == "14 numbers"
        ends = page.evaluate(ENDS)
        formula = page.evaluate("desmos(drawing.frames[0])")
    assert faults == []
    points = shown.curves.points(50)[0]
    assert np.allclose(ends, points[:, [0, -1]], atol=1e-3)
    graphed = graph_desmos(formula, np.linspace(0, 1, 50))
    assert np.allclose(graphed, np.stack([points[..., 0], 0.5 - points[..., 1]], axis=-1), atol=1e-3)


@pytest.mark.parametrize("kind", ["latex", "desmos"])
def test_the_formulas_of_the_whole_clip_are_copied(tmp_path: Path, kind: str) -> None:
    (tmp_path / "player.html").write_text(to_html(equation(6)))
    with launched() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "player.html").as_uri())
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.locator("#which").select_option("clip")
        page.locator(f"#{kind}").click()
        page.locator("#said").filter(has_text="Copied").wait_for()
        copied = page.evaluate("window.copied")
    write = {"latex": clip_to_latex, "desmos": clip_to_desmos}[kind]
    assert copied == write(equation(6))


def test_a_still_picture_has_only_its_own_formulas(tmp_path: Path) -> None:
    (tmp_path / "player.html").write_text(to_html(equation(1)))
    with launched() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "player.html").as_uri())
        assert not page.locator("#which").is_visible()


def test_strokes_have_their_colours_and_the_numbers_of_these_count(tmp_path: Path) -> None:
    shown = replace(equation(3), colours=np.array([[200, 10, 20], [0, 90, 250]], np.uint8))
    (tmp_path / "player.html").write_text(to_html(shown))
    with launched() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "player.html").as_uri())
        strokes = [(page.locator("#frame").fill(str(frame)), page.evaluate(STROKES))[1] for frame in range(3)]
        assert page.locator("#numbers").text_content() == "14 numbers"
    assert strokes == [["rgb(200, 10, 20)", "rgb(0, 90, 250)"], ["rgb(200, 10, 20)"], ["rgb(200, 10, 20)"]]


STROKES = """[...document.querySelectorAll("path")].map((path) => getComputedStyle(path).stroke)"""
