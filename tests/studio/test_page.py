"""The page of the studio, end to end in a real Chromium with tiny models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sketch2video.curves import from_json
from sketch2video.studio.app import STATIC
from tests.studio.chromium import Page
from tests.studio.serving import CAPTION

LINE = [(0.2, 0.3), (0.35, 0.36), (0.5, 0.3)]
HEAVIEST = 400_000
"""Most bytes of the page."""


def test_the_page_is_light():
    assert sum(file.stat().st_size for file in STATIC.rglob("*") if file.is_file()) <= HEAVIEST


def test_a_typed_caption_is_drawn_and_moves(page: Page):
    page.tab.fill("#caption", CAPTION)
    page.until(lambda: page.tab.locator(".chip").count() > 0)
    before = page.text(".frame-label")
    page.until(lambda: page.text(".frame-label") != before)
    page.until(lambda: "seed" in page.text("#video-facts"))
    assert [paint["gallery"] for paint in page.paints] == [False]


def test_a_stroke_moves_between_its_key_frames_by_the_interpolated_amount(page: Page):
    page.frame(0)
    page.pen(*LINE)
    still = page.along()
    assert still == [still[0]] * 8
    page.frame(7)
    page.keys("Escape")
    x, y = still[7]
    page.drag((x, y), (x + 0.2, y + 0.1))
    moved = np.array(page.along()) - still
    assert np.abs(moved - np.outer(np.arange(8) / 7, moved[7])).max() < 1e-4
    assert np.abs(moved[7] - [0.2, 0.1]).max() < 0.003  # a pixel
    page.keys("Control+z")
    assert page.along() == still
    page.keys("Control+Shift+z")
    assert np.abs(np.array(page.along()) - still - moved).max() < 1e-6


def test_a_whole_motion_follows_one_key_frame(page: Page):
    page.tab.fill("#caption", CAPTION)
    page.until(lambda: page.tab.locator(".chip").count() > 0)
    page.idle()
    page.keys("Control+a")
    before = page.along(0)
    page.frame(3)
    page.keys("Shift+ArrowRight", "Shift+ArrowDown")
    moved = np.array(page.along(0)) - before
    assert np.abs(moved - 0.05).max() < 1e-4


def test_a_change_is_painted_with_the_same_seed_and_undone(page: Page):
    page.tab.fill("#seed", "7")
    page.generate(CAPTION)
    page.frame(2)
    first = page.pixels()
    page.pen(*LINE)
    page.until(lambda: len(page.paints) > 1 and page.tab.locator("#painting").is_hidden())
    page.idle()
    assert page.pixels() != first
    assert {paint["seed"] for paint in page.paints} == {7}
    assert len(page.paints[-1]["drawing"]["strokes"]) == len(page.paints[0]["drawing"]["strokes"]) + 1
    painted = len(page.paints)
    page.keys("Control+z")
    page.until(lambda: page.pixels() == first)
    assert len(page.paints) == painted, "a video that was painted is not painted again"


def test_before_and_after_are_divided_by_a_slider(page: Page):
    page.generate(CAPTION)
    page.frame(2)
    before = page.pixels()
    page.pen(*LINE)
    page.until(lambda: page.tab.locator("#compare-button").is_enabled())
    page.idle()
    after = page.pixels()
    page.keys("c")
    page.tab.locator("#compare-at").focus()
    page.tab.keyboard.press("Home")
    assert page.pixels() == after
    page.tab.keyboard.press("End")
    assert page.pixels() == before


def test_a_reload_brings_everything_back(page: Page):
    page.tab.fill("#seed", "5")
    page.generate(CAPTION)
    page.pen(*LINE)
    page.idle()
    page.frame(4)
    page.tab.wait_for_timeout(500)

    def shown():
        return page.starts(), page.pixels(), page.tab.input_value("#caption"), page.tab.input_value("#seed")

    before, painted = shown(), len(page.paints)
    page.tab.reload()
    page.tab.wait_for_selector("html[data-ready]")
    page.idle()
    assert shown() == before
    assert page.text(".frame-label") == "5 / 8"
    assert len(page.paints) == painted


def test_drawing_and_video_are_downloaded(page: Page, tmp_path):
    page.frame(0)
    page.pen(*LINE)
    page.tab.fill("#caption", CAPTION)
    page.tab.locator("#caption").blur()
    page.idle()

    def download(kind: str) -> bytes:
        page.tab.click("#download-button")
        with page.tab.expect_download() as waiting:
            page.tab.click(f'[data-kind="{kind}"]')
        waiting.value.save_as(tmp_path / kind)
        return bytes((tmp_path / kind).read_bytes())

    equation = from_json(download("json").decode())
    assert equation.curves.coefficients.shape[:3] == (8, 1, 2)
    start = equation.curves.coefficients[0, 0].sum(-1)
    assert np.abs(start - page.starts()[0]).max() < 1e-3
    assert b"ftyp" in download("mp4")[:16]
    assert download("gif").startswith(b"GIF89a")
    assert download("svg").startswith(b"<svg")
    assert download("html").lower().startswith(b"<!doctype html>")
    beginnings = {
        "lottie": b"{",
        "latex": b"% A clip",
        "desmos": b"T=0",
        "desmos-page": b"<!doctype html>",
        "geogebra": b"PK",
    }
    beginnings |= {"clip-json": b'{\n "format"', "plotter-svg": b"<svg", "gcode": b"; "}
    for kind, beginning in beginnings.items():
        assert download(kind).startswith(beginning), kind
    assert page.tab.locator("#gallery li").count() >= 1


def test_the_gallery_brings_a_video_back_and_removes_it(page: Page):
    page.tab.fill("#seed", "11")
    page.generate("<b>a blue star</b> grows")
    page.frame(0)
    before = page.starts()
    card = page.tab.locator("#gallery li").first
    page.until(lambda: "<b>a blue star</b> grows" in str(card.text_content()))  # text, not HTML
    assert page.tab.locator("#gallery b").count() == 0
    key = card.get_attribute("data-key")
    page.pen(*LINE)
    page.tab.fill("#seed", "12")
    page.idle()
    page.tab.click(f'[data-key="{key}"] .thumb')
    page.until(lambda: page.tab.input_value("#seed") == "11")
    assert page.starts() == before
    page.tab.on("dialog", lambda dialog: dialog.accept())
    page.tab.click(f'[data-key="{key}"] .remove')
    page.until(lambda: page.tab.locator(f'[data-key="{key}"]').count() == 0)


def test_errors_are_shown(page: Page, tmp_path):
    (tmp_path / "not_a_picture.png").write_text("words")
    page.tab.set_input_files("#file", tmp_path / "not_a_picture.png")
    page.until(lambda: page.text("#alert"))
    page.generate(CAPTION)
    page.tab.click("#settings-button")
    guidance = page.tab.get_by_label("Guidance by the caption")
    guidance.fill("99")
    guidance.press("Tab")
    page.until(lambda: "guidance_scale" in page.text("#video-empty"))
    guidance.fill("2")
    guidance.press("Tab")
    page.until(lambda: page.tab.locator("#video-empty").is_hidden())
    steps = page.tab.get_by_label("Steps")
    steps.fill("2.5")
    steps.press("Tab")
    page.until(lambda: page.text("#alert").startswith("Steps: "))
    expected = [error for error in page.errors if "422" in error]
    assert len(expected) == 2, "the browser notes the two refusals itself"
    page.errors = [error for error in page.errors if error not in expected]


def test_undo_brings_back_what_a_drawing_was_made_from(page: Page):
    page.tab.fill("#caption", CAPTION)
    page.until(lambda: page.tab.locator(".chip").count() > 0)
    page.tab.wait_for_timeout(1000)  # later than what is one step of undo
    page.frame(0)
    before = page.starts()
    page.tab.fill("#caption", "a blue star grows")
    page.tab.fill("#seed", "2")
    page.idle()
    page.frame(0)
    assert page.starts() != before
    page.keys("Control+z")
    assert page.starts() == before
    assert page.tab.input_value("#caption") == CAPTION
    assert page.tab.input_value("#seed") == "1"


def test_handles_scale_and_turn(page: Page):
    page.frame(0)
    page.pen(*LINE)

    def handle(name: str) -> tuple[float, float]:
        ring = page.tab.locator(f'[data-grip="{name}"]')
        return tuple(float(ring.get_attribute(axis)) / 1000 for axis in ("cx", "cy"))

    (before,) = page.starts()
    (left, top), (right, bottom) = handle("nw"), handle("se")
    page.drag((right, bottom), (right + (right - left), bottom + (bottom - top)))
    (scaled,) = page.starts()
    assert np.abs(np.subtract(scaled, (left, top)) - 2 * np.subtract(before, (left, top))).max() < 0.01
    page.keys("Control+z")
    assert page.starts() == [before]
    middle = np.add(handle("nw"), handle("se")) / 2
    top = handle("turn")
    page.drag(top, (middle[0] + 0.3, middle[1]))
    (turned,) = page.starts()
    x, y = np.subtract(before, middle)
    assert np.abs(np.subtract(turned, middle) - [-y, x]).max() < 0.01
    assert page.tab.get_attribute("#undo", "title") == "Undo: turn"


def test_a_stroke_is_redrawn_at_a_key_frame(page: Page):
    page.frame(0)
    page.pen(*LINE)
    page.frame(7)
    page.keys("r")
    page.drag((0.1, 0.8), (0.5, 0.7), (0.9, 0.8))
    page.until(lambda: abs(page.starts()[0][1] - 0.8) < 0.01)
    page.keys("v")
    heights = np.array(page.along())[:, 1]
    assert np.abs(heights - np.linspace(heights[0], heights[7], 8)).max() < 1e-3
    assert page.tab.locator(".key-mark").count() == 2


def test_key_frames_are_moved_and_removed(page: Page):
    page.frame(0)
    page.pen(*LINE)
    page.frame(5)
    page.keys("Shift+ArrowRight")
    box = page.tab.locator(".keys").bounding_box()
    mark = page.tab.locator(".key-mark").nth(1).bounding_box()
    page.tab.mouse.move(mark["x"] + 12, mark["y"] + 12)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] * 7.5 / 8, mark["y"] + 12, steps=4)
    page.tab.mouse.up()
    names = page.tab.eval_on_selector_all(".key-mark", "all => all.map((mark) => mark.ariaLabel)")
    assert names == ["Key frame 1 of stroke 1", "Key frame 8 of stroke 1"]
    page.tab.locator(".key-mark").nth(1).press("ArrowLeft")
    page.tab.locator(".key-mark").nth(1).press("Delete")
    assert page.tab.locator(".key-mark").count() == 1


def test_strokes_are_selected_by_a_box_duplicated_and_deleted(page: Page):
    page.frame(0)
    page.pen(*LINE)
    page.keys("Escape")
    page.drag((0.1, 0.2), (0.6, 0.45))
    assert page.tab.locator("#canvas .chosen").count() == 1
    page.keys("Control+d")
    assert len(page.starts()) == 2
    assert np.abs(np.subtract(*reversed(page.starts())) - 0.03).max() < 1e-4
    page.keys("Delete")
    assert len(page.starts()) == 1
    page.keys("Control+z", "Control+z", "Control+z")
    assert page.starts() == []


def test_the_video_says_when_the_drawing_has_changed(page: Page):
    page.generate(CAPTION)
    page.tab.uncheck("#auto")
    painted = len(page.paints)
    page.pen(*LINE)
    page.tab.wait_for_timeout(500)
    assert len(page.paints) == painted
    page.tab.click("#repaint")
    page.until(lambda: len(page.paints) == painted + 1 and page.tab.locator("#painting").is_hidden())
    assert page.tab.locator("#repaint").is_hidden()


def test_a_picture_is_sketched_and_painted(page: Page, tmp_path):
    cv2 = pytest.importorskip("cv2")
    picture = np.full((96, 96, 3), 255, np.uint8)
    cv2.circle(picture, (48, 48), 26, (0, 0, 0), 2, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "circle.png"), picture)
    page.tab.set_input_files("#file", tmp_path / "circle.png")
    page.until(lambda: page.tab.locator(".chip").count() == 1)
    assert page.text("#budget").endswith("of 300 numbers")
    page.generate(CAPTION)
    assert len(page.paints[-1]["drawing"]["strokes"]) == 1


def test_the_equation_follows_the_stroke(page: Page):
    page.frame(0)
    page.pen(*LINE)
    before = page.text("#formula")
    assert "x1(t)=" in before.replace(" ", "")
    page.keys("Shift+ArrowRight")
    page.until(lambda: page.text("#formula") != before)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.tab.click("#copy-button")
    page.tab.get_by_text("Copy as LaTeX").click()
    page.until(lambda: "Copied" in page.text("#status"))
    assert r"\begin{align*}" in page.tab.evaluate("() => navigator.clipboard.readText()")


def test_a_finger_draws_and_moves(browser, drawing_studio):
    page = Page(browser, drawing_studio.address, has_touch=True, viewport={"width": 400, "height": 860})
    page.open()
    fingers = page.context.new_cdp_session(page.tab)

    def touch(*points):
        page.tab.locator("#canvas").scroll_into_view_if_needed()
        for i, point in enumerate(points):
            x, y = page.on_screen(*point)
            kind = "touchMove" if i else "touchStart"
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    page.tab.tap('[data-tool="pen"]')
    touch(*[(0.2 + 0.03 * i, 0.3 + 0.1 * np.sin(i / 3)) for i in range(20)])
    page.until(lambda: page.tab.locator(".chip").count() == 1)
    (before,) = page.starts()
    page.tab.tap('[data-tool="select"]')
    page.keys("Escape", "Escape")
    touch(before, (before[0] + 0.1, before[1] + 0.05), (before[0] + 0.2, before[1] + 0.1))
    (after,) = page.starts()
    assert np.abs(np.subtract(after, before) - [0.2, 0.1]).max() < 0.005
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= 400
    page.close()


def test_two_windows_get_their_own_videos(browser, drawing_studio):
    address = drawing_studio.address
    pages = [Page(browser, address).open() for _ in range(2)]
    for seed, page in enumerate(pages):
        page.tab.fill("#seed", str(seed))
        page.tab.fill("#caption", CAPTION)
        page.tab.click("#generate")
    for seed, page in enumerate(pages):
        page.until(lambda page=page: "saved" in page.text("#video-facts"))
        assert page.text("#video-facts").startswith(f"seed {seed}")
        assert {paint["client"] for paint in page.paints} != {paint["client"] for paint in pages[1 - seed].paints}
    for page in pages:
        page.close()


def test_without_a_model_strokes_are_drawn_and_the_page_says_what_to_do(browser, tmp_path):
    from tests.studio.serving import served

    with served(lambda: [], tmp_path / "gallery") as running:
        page = Page(browser, running.address).open()
        assert "make demo" in page.text("#notice")
        assert page.tab.locator("#generate").is_disabled()
        page.pen(*LINE)
        assert "cos" in page.text("#formula")
        page.close()


def test_the_series_are_those_of_python(page: Page):
    from sketch2video.curves.equation.sequence import cosines
    from sketch2video.curves.equation.stroke_keys import with_key_frames

    random = np.random.default_rng(0)
    base = random.normal(size=(9, 2, 6)).round(3)
    keys = {t: random.normal(size=(2, 7)).round(3) for t in (2, 5, 6)}
    stroke = {
        "id": "a",
        "x": base[:, 0].tolist(),
        "y": base[:, 1].tolist(),
        "visible": [True] * 9,
        "keys": [{"frame": t, "x": key[0].tolist(), "y": key[1].tolist()} for t, key in keys.items()],
    }
    series, points = page.tab.evaluate(
        """async (stroke) => {
            const { coefficientsAt, points } = await import("/curves.js");
            const all = stroke.x.map((_, t) => coefficientsAt(stroke, t));
            const drawn = all.map((each) => points(each, 10));
            return [all.map(({ x, y }) => [x, y]), drawn.map(({ x, y }) => [[...x], [...y]])];
        }""",
        json.loads(json.dumps(stroke)),
    )
    expected = with_key_frames(base, keys)
    assert np.abs(np.array(series) - expected).max() < 1e-12
    assert np.abs(np.array(points) - expected @ cosines(11, 7).T).max() < 1e-12
