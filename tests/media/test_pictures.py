import base64
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from sketch2video.errors import UserError
from sketch2video.media import pictures
from sketch2video.media.pictures import (
    IMAGES,
    RejectedPicture,
    header_of,
    is_picture,
    read_drawing,
    read_layer,
    read_picture,
)

CORNERS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 0]], [[0, 0, 255], [255, 255, 255], [9, 9, 9]]], np.uint8)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, CORNERS),
        (2, CORNERS[:, ::-1]),
        (3, CORNERS[::-1, ::-1]),
        (4, CORNERS[::-1]),
        (5, CORNERS.swapaxes(0, 1)),
        (6, np.rot90(CORNERS, -1)),
        (7, np.rot90(CORNERS.swapaxes(0, 1), 2)),
        (8, np.rot90(CORNERS)),
        (0, CORNERS),
        (99, CORNERS),
    ],
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


RAMP = np.linspace(0, 1, 64).reshape(4, 16)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.png", (65535 * RAMP).round().astype(np.uint16)),
        ("a.tiff", (65535 * RAMP).round().astype(np.uint16)),
        ("a.pgm", (65535 * RAMP).round().astype(np.uint16)),
        ("a.tiff", (65535 * RAMP).round().astype(np.int32)),
        ("a.tiff", (255 * RAMP).round().astype(np.int32)),
        ("a.tiff", (10**9 * RAMP).round().astype(np.int32)),
        ("a.tiff", (2000 * RAMP - 1000).round().astype(np.int32)),
        ("a.tiff", RAMP.astype(np.float32)),
        ("a.tiff", (255 * RAMP).astype(np.float32)),
        ("a.tiff", (65535 * RAMP).astype(np.float32)),
        ("a.tiff", (6 * RAMP - 3).astype(np.float32)),
    ],
)
def test_samples_of_more_than_8_bits_are_scaled(tmp_path, name, values):
    Image.fromarray(values).save(tmp_path / name)
    shown = read_picture(tmp_path / name)
    assert np.abs(shown - 255 * RAMP[..., None]).max() <= 1


def test_values_that_are_no_numbers_are_white(tmp_path):
    values = RAMP.astype(np.float32).copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tiff")
    shown = read_picture(tmp_path / "a.tiff")
    assert (shown[0, :3] == 255).all()
    assert np.abs(shown[1:] - 255 * RAMP[1:, :, None]).max() <= 1


def test_a_colour_of_16_bits_that_stands_for_nothing_is_white(tmp_path):
    values = np.full((4, 4), 1000, np.uint16)
    values[1, 1] = 500
    Image.fromarray(values).save(tmp_path / "a.png")
    data, chunk = (tmp_path / "a.png").read_bytes(), b"tRNS" + (500).to_bytes(2, "big")
    chunk = (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])  # behind the header
    shown = read_picture(tmp_path / "a.png")
    assert (shown[1, 1] == 255).all()
    assert (shown[0] == 4).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_colours_of_a_palette_and_of_16_bits_are_kept(tmp_path, depth):
    if depth == 16:
        cv2.imwrite(str(tmp_path / "a.png"), CORNERS[..., ::-1].astype(np.uint16) * 257)
        assert np.array_equal(read_picture(tmp_path / "a.png"), CORNERS)
        return
    clear = np.where(np.array([[1, 1, 0], [1, 0, 1]])[..., None], 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([CORNERS, clear])).quantize(6).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.where(clear, CORNERS, 255))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [1, 5])
def test_tiff_of_16_bits_a_channel(tmp_path, channels, compression):
    layer = np.dstack([CORNERS[..., ::-1], np.full(CORNERS.shape[:2], 255, np.uint8)])[..., :channels]
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    cv2.imwrite(str(tmp_path / "a.tiff"), layer.astype(np.uint16) * 257, options)
    assert np.array_equal(read_picture(tmp_path / "a.tiff"), CORNERS)


def test_a_jpeg_for_printers_has_its_colours(tmp_path):
    colours = np.repeat(np.repeat(CORNERS, 16, 0), 16, 1)
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "a.jpg", quality=95, subsampling=0)
    shown = read_picture(tmp_path / "a.jpg").astype(int)
    assert np.abs(shown[8::16, 8::16] - CORNERS).max() <= 12


def test_a_colour_of_a_png_that_stands_for_nothing_is_white(tmp_path):
    for mode, clear, size in (("RGB", (9, 9, 9), 3), ("L", 0, 1)):
        Image.fromarray(CORNERS).convert(mode).save(tmp_path / "a.png", transparency=clear)
        shown = read_picture(tmp_path / "a.png")
        assert (shown[(1, 2) if size == 3 else (0, 2)] == 255).all()


def test_an_exif_of_nonsense_does_not_spoil_a_picture(tmp_path):
    """Seen: numbers of impossible type, or too large for it (Pillow 8965)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    good = exif.tobytes()
    head = len(b"Exif\0\0") if good.startswith(b"Exif") else 0
    for at in range(head, len(good)):
        for value in (0, 1, 127, 255):
            spoiled = good[:at] + bytes([value]) + good[at + 1 :]
            Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=spoiled)
            assert sorted(read_picture(tmp_path / "a.png").shape) == [2, 3, 3]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "PPM", "TGA", "JPEG2000"])
def test_a_damaged_picture_is_read_or_refused(tmp_path, kind):
    """Bytes are changed at random: what the decoder raises is a picture's fault."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a", format=kind)
    good, rng, refused = (tmp_path / "a").read_bytes(), np.random.default_rng(1), 0
    for _ in range(60):
        data = bytearray(good)
        for at in rng.integers(0, len(data), rng.integers(1, 5)):
            data[at] = rng.integers(256)
        (tmp_path / "a").write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data)
        try:
            picture = read_picture(tmp_path / "a")
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
        except RejectedPicture:
            refused += 1
    assert refused


def test_a_format_that_needs_another_program_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(RejectedPicture, match="is a PostScript file; export it as SVG or PNG"):
        read_picture(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    rows = zlib.compress(bytes(30001) * 300, 9)
    chunks = [(b"IHDR", (30000).to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"), (b"IDAT", rows), (b"IEND", b"")]
    sums = [zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks]
    parts = [len(data).to_bytes(4, "big") + name + data + crc for (name, data), crc in zip(chunks, sums, strict=True)]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(RejectedPicture, match="too many pixels"):
        read_picture(tmp_path / "a.png")


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


def swapped_profile():
    """A profile of a screen whose red and blue are exchanged, as a picture with it is only right if it is applied."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    named = srgb.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return named.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
def test_colours_are_those_that_the_profile_means(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(CORNERS).save(tmp_path / f"a.{ending}", icc_profile=swapped_profile(), **options)
    shown = read_picture(tmp_path / f"a.{ending}").astype(int)
    assert np.abs(shown - CORNERS[..., ::-1]).max() <= 2
    clear = np.dstack([CORNERS, np.array([[255, 128, 0], [255, 255, 255]], np.uint8)])
    Image.fromarray(clear).save(tmp_path / f"b.{ending}", icc_profile=swapped_profile(), **options)
    layer = read_layer(tmp_path / f"b.{ending}").astype(int)
    assert np.array_equal(layer[..., 3], clear[..., 3])
    seen = clear[..., 3] > 0  # what is transparent has no colour
    assert np.abs(layer[..., :3] - CORNERS[..., ::-1])[seen].max() <= 2


@pytest.mark.parametrize("kind", ["a profile", "of other channels", "sRGB"])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path, kind):
    profiles = {
        "a profile": b"no profile at all",
        "of other channels": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    Image.fromarray(CORNERS).save(tmp_path / "a.png", icc_profile=profiles[kind])
    assert np.array_equal(read_picture(tmp_path / "a.png"), CORNERS)


def cross(colour):
    """A cross of one colour on transparent ground."""
    layer = np.zeros((40, 60, 4), np.uint8)
    layer[18:22], layer[:, 28:32] = (*colour, 255), (*colour, 255)
    return layer


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "palette.png"])
def test_white_lines_on_transparent_ground_are_seen(tmp_path, name):
    """Logos for dark pages: on white there is nothing to be seen."""
    image = Image.fromarray(cross((250, 250, 250)))
    options = {"lossless": True} if name.endswith("webp") else {}
    (image.quantize(4) if name.startswith("palette") else image).save(tmp_path / name, **options)
    shown = read_drawing(tmp_path / name)
    assert (shown[20, 30] >= 249).all()
    assert (shown[5, 5] == 0).all()
    assert (read_picture(tmp_path / name)[5, 5] == 255).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30), (170, 170, 170)])
def test_lines_that_are_seen_on_white_stay_on_white(tmp_path, colour):
    Image.fromarray(cross(colour)).save(tmp_path / "a.png")
    assert np.array_equal(read_drawing(tmp_path / "a.png"), read_picture(tmp_path / "a.png"))


def test_opaque_pictures_are_read_alike(tmp_path):
    Image.new("RGB", (9, 9), (250, 250, 250)).save(tmp_path / "a.png")
    assert (read_drawing(tmp_path / "a.png") == 250).all()


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"%PDF-1.7\n", "is a PDF; export the page as SVG or PNG"),
        (b"8BPS\0\1", "is a Photoshop document; save it as PNG"),
        (b"PK\x03\x04", "is a ZIP archive or a document"),
    ],
)
def test_files_that_people_take_for_pictures_are_named(tmp_path, begin, message):
    (tmp_path / "a.jpg").write_bytes(begin + bytes(64))
    with pytest.raises(RejectedPicture, match=message):
        read_drawing(tmp_path / "a.jpg")


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAALoAAgAAAAACpgABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAA"
    "kAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xh"
    "cAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEA"
    "AQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAOZtZGF0AAAAtigBrwngIzhH/962H/zrGh8pbvFV35TeVvSKS7DU"
    "/9W2U+U9mdmH6sH+MOK/59z7YP8ECf/h4p0xpo4T2nscBnGk8hDxqWiSCUqlUK8Yq3NL4gA/46QI7lZLvQi713/ilBQ8Sf1tz1zI"
    "dwmHY67XFqPxjik3BTxRYv6c3rmnaDzmAPTHxDknDkTRR/rkJPgBGMQCwFxqvomgN4fttfdtWuhl+ULuzI/5qe85ngTiSq7nz+eO"
    "aHTAAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)
"""64 x 48 px, to be turned by a quarter: red at the upper left, blue at the lower right, white elsewhere."""


def test_a_heic_picture_is_read_upright(tmp_path):
    pytest.importorskip("pi_heif")
    (tmp_path / "a.heic").write_bytes(HEIC)
    picture = read_picture(tmp_path / "a.heic").astype(int)
    assert picture.shape == (64, 48, 3)
    corners = {"white": picture[4:28, 4:20], "red": picture[4:28, 28:44], "blue": picture[36:60, 4:20]}
    for colour, (name, corner) in zip([(255, 255, 255), (200, 30, 30), (20, 40, 200)], corners.items(), strict=True):
        assert np.abs(corner.mean((0, 1)) - colour).max() < 12, name
    assert header_of(tmp_path / "a.heic") == (48, 64, 1)
    assert is_picture(tmp_path / "a.heic")
    assert ".heic" in IMAGES
    (tmp_path / "b.heic").write_bytes(HEIC[:500])
    with pytest.raises(RejectedPicture, match="cannot be read as an image"):
        read_picture(tmp_path / "b.heic")


def test_without_its_reader_a_heic_picture_is_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_formats", lambda: ("PNG", "JPEG"))
    (tmp_path / "a.jpg").write_bytes(HEIC)
    message = (
        r"is a HEIC image, whose reader is not installed; pip install pi-heif \(the extra heic\), or save it as JPEG"
    )
    with pytest.raises(RejectedPicture, match=message):
        read_drawing(tmp_path / "a.jpg")
