import numpy as np
import pytest
from PIL import Image

from sketch2video.errors import UserError
from sketch2video.videos import read_picture

CORNERS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 0]], [[0, 0, 255], [255, 255, 255], [9, 9, 9]]], np.uint8)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, CORNERS), (3, CORNERS[::-1, ::-1]), (6, np.rot90(CORNERS, -1)), (8, np.rot90(CORNERS))],
)
def test_a_picture_is_turned_as_the_camera_was(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png"), turned)


def test_what_is_transparent_is_white(tmp_path):
    alpha = np.array([[255, 255, 0], [255, 0, 0]], np.uint8)[..., None]
    Image.fromarray(np.concatenate([CORNERS, alpha], axis=-1)).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.where(alpha > 0, CORNERS, 255))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK"])
def test_pictures_of_other_modes_are_rgb(tmp_path, mode):
    Image.fromarray(np.full((3, 5, 3), 255, np.uint8)).convert(mode).save(tmp_path / "a.tiff")
    assert np.array_equal(read_picture(tmp_path / "a.tiff"), np.full((3, 5, 3), 255))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing"), (b"", "cannot be read as an image"), (b"\x89PNG\r\n\x1a\n", "cannot be read as an image")],
)
def test_a_file_that_is_no_picture_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=f"a.png {message}"):
        read_picture(tmp_path / "a.png")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(UserError, match="too many pixels"):
        read_picture(tmp_path / "a.png")
