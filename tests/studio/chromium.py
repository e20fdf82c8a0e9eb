"""A real Chromium, and what a person does with the studio's page in it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
UNITS = 1000
"""Units of the canvas in a frame width."""


def required() -> bool:
    """Whether the tests must not be skipped."""
    return os.environ.get("REQUIRE_CHROMIUM") == "1"


def playwright_api() -> Any:
    """Playwright's module; skips the test where it is missing, unless it is required."""
    if required():
        import playwright.sync_api as api

        return api
    return pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")


@contextmanager
def launched() -> Iterator[Any]:
    """The system's Chromium with a new profile."""
    api = playwright_api()
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if required():
            pytest.fail("REQUIRE_CHROMIUM is 1, but there is no chromium in PATH")
        pytest.skip("needs Chromium in PATH: apt-get install chromium")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """The studio's page in a window of its own; records errors of the console and requests to elsewhere."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.paints: list[dict[str, Any]] = []
        self.tab = self.context.new_page()
        self.tab.on("console", lambda message: self._note(message.type, message.text))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("request", self._request)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.strangers.append(request.url)
        if request.method == "POST" and request.url.endswith("/api/paint"):
            self.paints.append(request.post_data_json)

    def open(self) -> Page:
        """Load the page, and wait until it has started."""
        self.tab.goto(self.address)
        self.tab.wait_for_selector("html[data-ready]")
        return self

    def until(self, holds: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait until a condition holds; its value. The page's policy forbids Playwright's own way, which is eval."""
        end = time.monotonic() + seconds
        while not (value := holds()):
            assert time.monotonic() < end, f"not within {seconds} s; messages: {self.messages()}; {self.errors}"
            self.tab.wait_for_timeout(30)
        return value

    def text(self, selector: str) -> str:
        """Text of an element."""
        return str(self.tab.locator(selector).text_content())

    def messages(self) -> str:
        """What the page tells the person now."""
        return " ".join(self.text(name) for name in ("#status", "#alert", "#video-empty"))

    def generate(self, caption: str) -> None:
        """Type a caption, and wait for its video in the gallery."""
        self.tab.fill("#caption", caption)
        self.tab.click("#generate")
        self.until(lambda: "saved" in self.text("#video-facts"))

    def idle(self) -> None:
        """Wait until nothing is painted, nor about to be."""
        self.tab.wait_for_timeout(400)
        self.until(lambda: self.tab.locator("#painting").is_hidden())

    def keys(self, *names: str) -> None:
        """Press keys, on the canvas."""
        self.tab.locator("#canvas").focus()
        for name in names:
            self.tab.keyboard.press(name)

    def frame(self, index: int) -> None:
        """Go to a frame."""
        self.keys("Home", *["."] * index)
        assert self.text(".frame-label").startswith(f"{index + 1} /")

    def starts(self) -> list[tuple[float, float]]:
        """The first point of each stroke that this frame shows, frame widths."""
        paths = self.tab.eval_on_selector_all("#canvas .plain .line, #canvas .chosen .line", _PATHS)
        points = [re.match(r"M(\S+) ([^C]+)C", path) for path in paths]
        return [(float(match[1]) / UNITS, float(match[2]) / UNITS) for match in points if match]

    def along(self, number: int = -1, frames: int = 8) -> list[tuple[float, float]]:
        """The first point of a stroke in every frame."""
        found = []
        for t in range(frames):
            self.frame(t)
            found.append(self.starts()[number])
        return found

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """A point of the drawing in px of the window."""
        box = self.tab.locator("#canvas").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, *points: tuple[float, float], steps: int = 6) -> None:
        """Press at the first point, in frame widths, and go to the others with the mouse."""
        self.tab.locator("#canvas").scroll_into_view_if_needed()
        self.tab.mouse.move(*self.on_screen(*points[0]))
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*self.on_screen(*point), steps=steps)
        self.tab.mouse.up()

    def pen(self, *points: tuple[float, float]) -> None:
        """Draw a stroke with the pen."""
        before = self.tab.locator(".chip").count()
        self.keys("p")
        self.drag(*points)
        self.until(lambda: self.tab.locator(".chip").count() > before)
        self.keys("v")

    def pixels(self) -> str:
        """The video's picture now."""
        return str(self.tab.eval_on_selector("#video", "canvas => canvas.toDataURL()"))

    def close(self) -> None:
        """Close the window; nothing went wrong in it, and nothing left the machine."""
        self.context.close()
        assert not self.errors, self.errors
        assert not self.strangers, self.strangers


_PATHS = "lines => lines.map((line) => line.getAttribute('d'))"
