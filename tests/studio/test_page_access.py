"""The page of the studio for everybody: by keyboard alone, and by the rules of axe-core."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.studio.chromium import Page
from tests.studio.serving import CAPTION, served


@pytest.fixture(scope="module")
def axe() -> str:
    """Source of axe-core: the file that AXE_CORE names. Continuous integration fetches it."""
    named = os.environ.get("AXE_CORE")
    if not named:
        pytest.skip("needs axe-core: its axe.min.js (npm pack axe-core), named by AXE_CORE")
    return Path(named).read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing(browser, drawing_studio, axe: str, scheme: str, width: int):
    address = drawing_studio.address
    # The page's own policy would keep the checker out.
    options = {"viewport": {"width": width, "height": 860}, "color_scheme": scheme, "bypass_csp": True}
    page = Page(browser, address, **options).open()
    page.tab.add_script_tag(content=axe)

    def check(state: str) -> None:
        violations = page.tab.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], [n["html"] for n in each["nodes"]]) for each in violations] == [], state

    check("empty")
    page.tab.click("#settings-button")
    check("settings")
    page.tab.click("#settings-button")
    page.generate(CAPTION)
    page.pen((0.2, 0.2), (0.5, 0.3), (0.6, 0.6))
    page.keys("o", "n")
    page.idle()
    check("a stroke is selected")
    page.keys("c", "l")
    check("comparing")
    page.tab.click("#download-button")
    check("menu")
    page.tab.keyboard.press("Escape")
    page.keys("?")
    check("shortcuts")
    page.close()


def test_axe_finds_nothing_without_a_model(browser, axe: str, tmp_path):
    with served(lambda: [], tmp_path / "gallery") as running:
        page = Page(browser, running.address, bypass_csp=True).open()
        page.tab.add_script_tag(content=axe)
        violations = page.tab.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], [n["html"] for n in each["nodes"]]) for each in violations] == []
        page.close()


def test_everything_by_keyboard(page: Page):
    press = page.tab.keyboard.press
    assert page.tab.evaluate("() => document.activeElement.id") == "caption"
    page.tab.keyboard.type(CAPTION)
    press("Enter")
    page.until(lambda: "saved" in page.text("#video-facts"))

    def tab_to(wanted: str) -> None:
        for _ in range(80):
            press("Tab")
            if page.tab.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
                return
        raise AssertionError(f"Tab does not reach {wanted}")

    strokes = page.tab.locator(".chip").count()
    tab_to("#add-shape")
    press("Enter")
    page.until(lambda: page.tab.evaluate("() => document.activeElement.textContent") == "Circle")
    press("ArrowDown")
    press("Enter")
    page.until(lambda: page.tab.locator(".chip").count() == strokes + 1)
    tab_to("#canvas")
    press("Home")
    assert page.tab.locator("#canvas .chosen").count() == 1
    before = page.starts()[-1]
    press("ArrowRight")
    press("ArrowDown")
    after = page.starts()[-1]
    assert after[0] - before[0] == pytest.approx(0.005, abs=1e-4)
    assert after[1] - before[1] == pytest.approx(0.005, abs=1e-4)
    for key in ("+", "]", "k", "h", "h", "Control+d", "Delete", "o"):
        press(key)
    assert page.tab.locator(".chip").count() == strokes + 1
    press("n")
    assert "numbers" in page.text("#status")
    tab_to(".scrub")
    press("End")
    assert page.text(".frame-label") == "8 / 8"
    tab_to("#video-actions button:not(:disabled)")
    tab_to("#copy-button")
    tab_to("#gallery .thumb")
    press("Enter")
    page.until(lambda: page.tab.locator(".chip").count() == strokes)
    press("?")
    assert page.tab.locator("#shortcuts").is_visible()
    press("Escape")
    assert page.tab.locator("#shortcuts").is_hidden()
    page.idle()
