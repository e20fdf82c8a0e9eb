"""Sheets of frames, of paints and of the gallery."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np

from sketch2video.media.codec import read_frames
from sketch2video.studio.sheets import frame_sheet
from tests.studio.serving import DRAWING, Served


def frames_of(sheet: dict[str, Any]) -> np.ndarray:
    """Frames (T, S, S, 3) RGB of a sheet, cut out as the page does."""
    data = base64.b64decode(sheet["frames"][0].removeprefix("data:image/png;base64,"))
    picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    size, columns = sheet["size"], sheet["columns"]
    corners = [(i // columns * size, i % columns * size) for i in range(sheet["count"])]
    return np.stack([picture[y : y + size, x : x + size] for y, x in corners])


def test_a_sheet_holds_every_frame():
    for count in (1, 2, 5, 16):
        frames = np.random.default_rng(count).integers(0, 256, (count, 12, 12, 3), np.uint8)
        assert (frames_of(frame_sheet(frames, 8.0).model_dump()) == frames).all()


def test_the_gallery_has_the_frames_of_its_files(studio: Served, tmp_path):
    _, done = studio.paint(drawing=DRAWING, gallery=True, seed=31)
    sheet = studio.client.get(f"/api/gallery/{done['key']}/frames").raise_for_status().json()
    (tmp_path / "video.mp4").write_bytes(studio.client.get(f"/api/gallery/{done['key']}/mp4").content)
    assert (frames_of(sheet) == np.stack(list(read_frames(tmp_path / "video.mp4")))).all()
    assert sheet["fps"] == 8.0
    assert studio.client.get("/api/gallery/0123456789ab/frames").status_code == 404
