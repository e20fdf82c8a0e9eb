"""Image files in, and the square that is cut out of a picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from sketch2video.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class RejectedPicture(UserError):
    """An image cannot be used.

    Attributes:
        reason: why, in one line.
    """

    def __init__(self, path: Path | str, reason: str, mend: str) -> None:
        super().__init__(path, reason, mend)
        self.reason = reason

    def __str__(self) -> str:
        return "{} {}; {}".format(*self.args)


def read_picture(path: Path | str) -> np.ndarray:
    """An image as a viewer shows it, upright, on white where it is transparent: uint8 (H, W, 3) RGB.

    Raises:
        RejectedPicture: the file is missing, damaged, too large or not an image.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGBA")
    except FileNotFoundError as error:
        raise RejectedPicture(path, "is missing", "name an image or a video") from error
    except Image.DecompressionBombError as error:
        raise RejectedPicture(path, "has too many pixels to be read as an image", "save it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise RejectedPicture(path, f"cannot be read as an image ({type(error).__name__})", "save it as PNG") from error
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


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
    # Averaging over areas is right for shrinking only; enlarged, it shows the old pixels as blocks.
    shrinks = min(across, down) >= size
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
