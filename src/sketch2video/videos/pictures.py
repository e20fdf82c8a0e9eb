"""Image files in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sketch2video.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def read_picture(path: Path | str) -> np.ndarray:
    """An image as a viewer shows it, upright, on white where it is transparent: uint8 (H, W, 3) RGB.

    Raises:
        UserError: the file is missing, damaged, too large or not an image.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGBA")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; name an image or a video") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} has too many pixels to be read as an image; save it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image ({type(error).__name__}); save it as PNG") from error
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))
