"""Contact sheet of videos: for each its caption, a few frames of its drawing if there is one, and of the video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sketch2video.files import replacing
from sketch2video.media.codec import read_clip

FRAMES = 5
"""Number of frames of each video, evenly spread."""
SIDE = 80
"""Side of a frame, pixels."""
_MARGIN = 8
_CAPTION = 18
_FONT_SIZE = 12


def write_contact_sheet(path: Path, videos: Sequence[tuple[str, list[Path]]]) -> None:
    """Write a contact sheet as PNG, atomically: tiles row by row, on a sheet about as wide as high.

    Args:
        path: ends in ``.png``.
        videos: for each tile its caption and its videos, one below the other, the same number for all tiles; at least
            one tile.
    """
    lines = len(videos[0][1])
    width, height = FRAMES * SIDE + _MARGIN, _CAPTION + lines * SIDE + _MARGIN
    columns = max(1, round(math.sqrt(len(videos) * height / width)))
    rows = math.ceil(len(videos) / columns)
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE)
    for index, (caption, files) in enumerate(videos):
        left, top = _MARGIN + index % columns * width, _MARGIN + index // columns * height
        pen.text((left, top), shortened(caption, FRAMES * SIDE, font), fill="black", font=font)
        for line, video in enumerate(files):
            sheet.paste(Image.fromarray(_strip(video)), (left, top + _CAPTION + line * SIDE))
    with replacing(path) as partial:
        sheet.save(partial, format="PNG")


def _strip(video: Path) -> np.ndarray:
    frames = read_clip(video, FRAMES, 4 * SIDE).frames
    return np.concatenate([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in frames], axis=1)


def shortened(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A caption truncated to a line of ``width`` pixels, with an ellipsis if it is truncated."""
    if font.getlength(caption) <= width:
        return caption
    while caption and font.getlength(f"{caption}…") > width:
        caption = caption[:-1]
    return f"{caption.rstrip()}…"
