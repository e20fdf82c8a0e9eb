from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sketch2video.media.writing import write_gif, write_video
from sketch2video.studio import uploads
from tests.studio.serving import Served


def post(studio: Served, data: bytes, name: str = "drawing.png", **query: Any) -> Any:
    return studio.client.post("/api/fit/file", files={"file": (name, data)}, params=query)


def circle(side: int = 300, x: float = 0.5) -> np.ndarray:
    picture = np.full((side, side, 3), 255, np.uint8)
    return cv2.circle(picture, (round(x * side), side // 2), side // 4, (0, 0, 0), 3, cv2.LINE_AA)


def png(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1])


def test_a_picture_stands_still(studio: Served) -> None:
    fitted = post(studio, png(circle()), frames=5, fps=4).json()
    assert (fitted["drawing"]["frames"], fitted["drawing"]["fps"]) == (5, 4)
    (stroke,) = fitted["drawing"]["strokes"]
    assert stroke["x"] == stroke["x"][:1] * 5
    assert abs(stroke["x"][0][0] - 0.5) < 0.01
    assert len(set(fitted["numbers"])) == 1
    painted = studio.paint(drawing=fitted["drawing"])[1]
    assert painted["numbers"] == fitted["numbers"]


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_clip_moves(studio: Served, tmp_path: Path, ending: str) -> None:
    frames = np.stack([circle(128, 0.35 + 0.04 * t) for t in range(8)])
    (write_video if ending == "mp4" else write_gif)(tmp_path / f"clip.{ending}", frames, 10)
    fitted = post(studio, (tmp_path / f"clip.{ending}").read_bytes(), "../../etc/passwd", frames=8).json()
    (stroke,) = fitted["drawing"]["strokes"]
    centres = np.array([row[0] for row in stroke["x"]])
    assert np.allclose(centres, 0.35 + 0.04 * np.arange(8), atol=0.03)
    assert abs(fitted["drawing"]["fps"] - 10) < 0.5


def test_an_svg_and_an_equation_are_taken(studio: Served) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="2"/></svg>'
    fitted = post(studio, svg, frames=3).json()
    assert len(fitted["drawing"]["strokes"]) == 1
    asked = {"drawing": fitted["drawing"], "format": "json"}
    text = studio.client.post("/api/equation", json=asked).json()["text"]
    again = post(studio, text.encode(), frames=3).json()
    assert [stroke["x"] for stroke in again["drawing"]["strokes"]] == [fitted["drawing"]["strokes"][0]["x"]]


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose pixels would take gigabytes; whole, if they take less than a hundred megabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(min(((width + 7) // 8 + 1) * height, 10**8)))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb_gif() -> bytes:
    """Many frames of the largest size."""
    file = io.BytesIO()
    frames = [Image.new("P", (4000, 4000), index % 2) for index in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def bomb_equation() -> bytes:
    empty = {"visibility": 1, "x": [0.1], "y": [0.1]}
    frames = [[empty] * 1000] * 10
    return json.dumps(
        {"format": "sketch2video.equation/1", "width": 9, "height": 9, "fps": 8, "harmonics": 4096, "frames": frames}
    ).encode()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="2"/>%s</svg>'
"""A drawing of a circle."""

BOMBS: dict[str, tuple[bytes, str]] = {
    "pixels": (bomb_png(60000, 60000), "too many pixels to be read"),
    "more than a camera has": (bomb_png(9000, 9000), "9000 x 9000 pixels, more than 64 million"),
    "svgz": (gzip.compress(SVG % (b" " * 2**26)), "larger than 64 MiB"),
    "entities": (
        b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
        + b"]>"
        + SVG % b"<text>&j;</text>",
        "as an SVG",
    ),
    "equation": (bomb_equation(), "simplify"),
    "nested": (b"{" * 100000, "the file"),
}
"""Files, and words of the limit that refuses each."""


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs_are_refused(studio: Served, name: str) -> None:
    data, words = BOMBS[name]
    assert len(data) < 2 * 2**20
    response = post(studio, data)
    assert response.status_code == 422, response.text
    assert re.search(words, response.json()["detail"])
    assert "\n" not in response.json()["detail"]


def test_clips_are_bounded(studio: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", np.stack([circle(64)] * 30), 10)
    data = (tmp_path / "a.mp4").read_bytes()
    assert post(studio, data).status_code == 200
    for limit, value in (("LONGEST_SECONDS", 2.0), ("LONGEST_SIDE", 60), ("MOST_CLIP_PIXELS", 64 * 64 * 29)):
        with monkeypatch.context() as patch:
            patch.setattr(uploads, limit, value)
            assert post(studio, data).status_code == 422, limit
    monkeypatch.setattr(uploads, "MOST_CLIP_PIXELS", 2 * 16_000_000)
    assert "too many pixels" in post(studio, bomb_gif()).json()["detail"]


@pytest.mark.parametrize(
    "data", [b"", b"hello", png(np.full((50, 50, 3), 255, np.uint8)), png(circle())[:200], b"{}", b"<svg", b"GIF89a"]
)
def test_what_is_no_drawing_is_said_without_a_path_of_this_machine(studio: Served, data: bytes) -> None:
    response = post(studio, data)
    assert response.status_code == 422
    detail = response.json()["detail"]
    assert "the file" in detail
    assert "/tmp" not in detail
    assert "sketch2video-studio" not in detail


def test_nothing_is_left_in_temporary_folders(studio: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    post(studio, png(circle()))
    post(studio, b"hello")
    assert list(tmp_path.iterdir()) == []
