"""Colour profiles (ICC) of pictures: from the colours of a printer, a camera or a screen to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A picture in the colours of sRGB; transparency is kept.

    A profile that is damaged, or is one of other channels, is ignored, as in browsers.

    Args:
        image: in the mode L, RGB, RGBA, CMYK or LAB.
        profile: ICC, as embedded in the file.

    Returns:
        RGB or RGBA; the picture itself where the profile is ignored or is sRGB's.
    """
    colours = image.convert("RGB") if image.mode == "RGBA" else image
    conversion = _to_srgb(profile, colours.mode)
    if conversion is None:
        return image
    converted = conversion.apply(colours)
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


@lru_cache(maxsize=8)  # for the frames of an animation, and the pictures of a camera
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(embedded).lower():
            return None
        return ImageCms.ImageCmsTransform(embedded, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
