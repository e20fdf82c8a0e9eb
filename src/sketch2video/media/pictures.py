"""Reading of image files, still or animated, and the square crop of a picture.

All image files are read here: the format is detected by content, and the result is as in a viewer, 8 bit RGB.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from sketch2video.errors import UserError, printable
from sketch2video.media.colour_profiles import in_srgb

IMAGES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".ppm"),
    *(".pgm", ".tga"),
)

_FORMATS = (
    *("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM", "TGA", "DIB", "ICO", "PCX", "SGI", "QOI"),
    *("JPEG2000", "HEIF"),
)
"""Formats that are read; not those for which Pillow starts other programs, such as EPS."""
_ANIMATIONS = {"PNG", "WEBP", "AVIF", "GIF"}
"""Formats whose pages are frames in time; those of TIFF and MPO are other pictures."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes a picture upright, by its EXIF orientation."""
_ORIENTATION = 0x0112

_UNSEEN = 64
"""Contrast on white, of 255, below which a picture with transparent parts is shown on black if it has more there."""

_HEIC_MISSING = (
    "a HEIC image, whose reader is not installed",
    "pip install pi-heif (the extra heic), or save it as JPEG",
)
_OTHER_FILES = (
    (4, b"ftyphe", *_HEIC_MISSING),
    (4, b"ftypmif1", *_HEIC_MISSING),
    (0, b"%PDF", "a PDF", "export the page as SVG or PNG"),
    (0, b"%!PS", "a PostScript file", "export it as SVG or PNG"),
    (0, b"8BPS", "a Photoshop document", "save it as PNG"),
    (0, b"PK\x03\x04", "a ZIP archive or a document", "unpack it, or export the picture as PNG"),
)
"""Offset and first bytes of files that people take for pictures, their name, and the fix."""

_SHORTEST, _DEFAULT = 0.011, 0.1
"""Browsers show a frame of an animation with a duration below the first for the second, in seconds."""


class RejectedPicture(UserError):
    """An image cannot be used.

    Attributes:
        reason: in one line.
        fix: how to correct it.
    """

    def __init__(self, path: Path | str, reason: str, fix: str) -> None:
        super().__init__(path, reason, fix)
        self.reason, self.fix = printable(reason), printable(fix)

    def lines(self) -> tuple[str]:
        """Return the message."""
        return ("{} {}; {}".format(*self.args),)


def read_picture(path: Path | str) -> np.ndarray:
    """An image as a viewer shows it, upright, on white where it is transparent: uint8 (H, W, 3) RGB.

    Of 16 bits a sample the upper 8 are taken. Samples of 32 bits, integers or floats, have no range of their own: it is
    0 to 1 (floats), 255 or 65535, the first that holds them all; other values are stretched from least to greatest. Of
    an animation it is the first frame.

    Raises:
        RejectedPicture: the file is missing, damaged, too large or not an image.
    """
    with _opened(path) as image:
        return _as_rgb(image)


def read_drawing(path: Path | str) -> np.ndarray:
    """An image as :func:`read_picture` reads it, but on black where it is transparent if white would hide its lines.

    Exports of white lines on a transparent background are made for dark pages.

    Raises:
        RejectedPicture: the file is missing, damaged, too large or not an image.
    """
    with _opened(path) as image:
        image = _as_shown(image)
        on_white = _on(image, "white")
        if image.mode != "RGBA" or _contrast(on_white) >= _UNSEEN:
            return on_white
        on_black = _on(image, "black")
        return on_black if _contrast(on_black) > _contrast(on_white) else on_white


def read_layer(path: Path | str) -> np.ndarray:
    """An image as :func:`read_picture` reads it, with its transparency: uint8 (H, W, 4) RGBA.

    Raises:
        RejectedPicture: the file is missing, damaged, too large or not an image.
    """
    with _opened(path) as image:
        return np.asarray(_as_shown(image).convert("RGBA"))


def is_picture(path: Path | str) -> bool:
    """Whether the content of a file is an image's, still or animated."""
    try:
        with _opened(path):
            return True
    except RejectedPicture:
        return False


def header_of(path: Path | str) -> tuple[int, int, int] | None:
    """Width, height and number of frames that an image file states; None if it is no image. Nothing is decoded."""
    try:
        with _opened(path) as image:
            return image.width, image.height, getattr(image, "n_frames", 1) if image.format in _ANIMATIONS else 1
    except RejectedPicture:
        return None


def is_animation(path: Path | str) -> bool:
    """Whether a file is an image of several frames in time: GIF, APNG, WebP or AVIF."""
    try:
        with _opened(path) as image:
            return image.format in _ANIMATIONS and getattr(image, "n_frames", 1) > 1
    except RejectedPicture:
        return False


def read_animation(path: Path | str) -> Iterator[tuple[np.ndarray, float]]:
    """Yield the frames of an animation: uint8 (H, W, 3) RGB as :func:`read_picture` gives it, and seconds.

    Raises:
        RejectedPicture: as :func:`read_picture`.
    """
    with _opened(path) as image:
        # An APNG may begin with a picture for viewers that know no animations.
        spare = bool(getattr(image, "default_image", False))
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            if number < spare:
                continue
            picture = _as_rgb(frame)
            seconds = float(frame.info.get("duration") or 0) / 1000
            yield picture, seconds if seconds >= _SHORTEST else _DEFAULT


@contextmanager
def _opened(path: Path | str) -> Iterator[Image.Image]:
    """Open an image; any exception of its decoder in the block becomes a :class:`RejectedPicture`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damage that is skipped, and of large pictures
            with Image.open(path, formats=_formats()) as image:
                yield image
    except FileNotFoundError as error:
        raise RejectedPicture(path, "is missing", "name an image or a video") from error
    except Image.DecompressionBombError as error:
        raise RejectedPicture(path, "has too many pixels to be read as an image", "save it smaller") from error
    except MemoryError as error:
        raise RejectedPicture(path, "is too large to be read as an image", "save it smaller") from error
    except Exception as error:  # decoders raise exceptions of many types: struct.error, IndexError, RuntimeError ...
        if isinstance(error, UnidentifiedImageError) and (known := _named(path)):
            raise RejectedPicture(path, f"is {known[0]}", known[1]) from error
        raise RejectedPicture(path, f"cannot be read as an image ({type(error).__name__})", "save it as PNG") from error


def _named(path: Path | str) -> tuple[str, str] | None:
    """What a file is that cannot be read as a picture, and how to make one of it; None if it is unknown."""
    with Path(path).open("rb") as file:
        first = file.read(16)
    known = next(((what, fix) for at, magic, what, fix in _OTHER_FILES if first[at:].startswith(magic)), None)
    return None if known == _HEIC_MISSING and "HEIF" in _formats() else known


@cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this build of Pillow can read, and HEIF with the extra ``heic``."""
    Image.init()
    with suppress(ImportError):
        from pi_heif import register_heif_opener

        register_heif_opener()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _as_rgb(image: Image.Image) -> np.ndarray:
    return _on(_as_shown(image), "white")


def _on(image: Image.Image, background: str) -> np.ndarray:
    """An RGB or RGBA image on a background of one colour: uint8 (H, W, 3)."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
    return np.asarray(image)


def _contrast(picture: np.ndarray) -> int:
    """The widest range of a channel of a picture (H, W, 3): 0 to 255."""
    return int(np.ptp(picture.reshape(-1, 3), axis=0).max())


def _as_shown(image: Image.Image) -> Image.Image:
    """Upright and in the colours of sRGB; RGBA where it may be transparent, else RGB, which takes less memory."""
    image.load()
    turn, profile = _TURNS.get(_orientation_of(image)), image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    clear = image.has_transparency_data
    if clear or image.mode not in {"L", "RGB", "CMYK", "LAB"}:
        image = image.convert("RGBA" if clear else "RGB")
    if profile:
        image = in_srgb(image, profile)
    if image.mode not in {"RGB", "RGBA"}:
        image = image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _orientation_of(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none or the EXIF data are damaged, as in browsers."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # see _opened
        return 1
    return orientation if isinstance(orientation, int) else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of one sample of 16 or 32 bits a pixel, as L or LA; values that are no numbers are transparent."""
    values = np.asarray(image).astype(np.float64)
    known = np.isfinite(values)
    if isinstance(clear := image.info.get("transparency"), int):
        known &= values != clear
    values = np.where(known, values, 0.0)
    least, greatest = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    if image.mode.startswith("I;16"):
        least, greatest = 0.0, 65535.0
    elif least >= 0:
        ranges = [1.0, 255.0, 65535.0] if image.mode.startswith("F") else [255.0, 65535.0]
        fitting = [top for top in ranges if greatest <= top]
        least, greatest = (0.0, fitting[0]) if fitting else (least, greatest)
    grey = np.clip((values - least) / max(greatest - least, 1e-300) * 255, 0, 255).round().astype(np.uint8)
    return Image.fromarray(grey if known.all() else np.dstack([grey, known.astype(np.uint8) * 255]))


def middle_square(picture: np.ndarray, size: int, pixel_aspect: Fraction = Fraction(1)) -> np.ndarray:
    """The middle square of a picture, resized without distortion: uint8 (S, S, 3).

    Args:
        picture: uint8 (H, W, 3).
        size: S, pixels.
        pixel_aspect: width of the picture's pixels in heights of a pixel.
    """
    height, width = picture.shape[:2]
    side = min(width * pixel_aspect, Fraction(height))  # in heights of a pixel
    across, down = max(round(side / pixel_aspect), 1), max(round(side), 1)
    left, top = (width - across) // 2, (height - down) // 2
    square = picture[top : top + down, left : left + across]
    # Area interpolation is for shrinking only; when enlarging, it shows pixels as blocks.
    shrinks = min(across, down) >= size
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
