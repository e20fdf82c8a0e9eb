from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sketch2video.media.containers import RejectedVideo
from sketch2video.media.extent import Extent, clip_extent, picture_extent
from sketch2video.media.writing import write_gif, write_video, write_webm
from tests.media.small_videos import numbered

WRITERS = {"mp4": write_video, "webm": write_webm, "gif": write_gif}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_clip(tmp_path: Path, ending: str) -> None:
    frames = np.stack([frame[:48, :64] for frame in numbered(30)])
    WRITERS[ending](tmp_path / f"a.{ending}", frames, 10)
    extent = clip_extent(tmp_path / f"a.{ending}")
    assert (extent.width, extent.height, extent.frames) == (64, 48, 30)
    assert extent.seconds == pytest.approx(2.9, abs=0.11)


def test_a_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    assert picture_extent(tmp_path / "a.png") == Extent(30, 20, 1, 0.0)
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert picture_extent(tmp_path / "b.png") is None
    with pytest.raises(RejectedVideo):
        clip_extent(tmp_path / "b.png")


def test_an_animated_picture(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (30, 20), (index * 40, 0, 0)) for index in range(4)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    assert clip_extent(tmp_path / "a.webp") == Extent(30, 20, 4, 0.0)
