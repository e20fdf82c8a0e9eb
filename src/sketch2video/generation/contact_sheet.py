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
MOVING_FRAMES, MOVING_SECONDS = 16, 2
"""Of a sheet that moves: number of frames, and how long they play."""
MOVING_TILES = 64
"""At most, of a sheet that moves: WebP ends at 16,383 px, and all frames are in memory."""
SIDE, MOVING_SIDE = 80, 112
"""Side of a frame, pixels; of a sheet that moves the second."""
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
    tiles = [np.concatenate([np.concatenate(_frames(file, FRAMES, SIDE), 1) for file in files]) for _, files in videos]
    with replacing(path) as partial:
        _sheet([caption for caption, _ in videos], tiles, 1).save(partial, format="PNG")


def write_moving_sheet(path: Path, videos: Sequence[tuple[str, list[Path]]]) -> None:
    """Write a contact sheet that moves, as WebP, atomically: the videos of a tile play side by side.

    Args:
        path: ends in ``.webp``.
        videos: see :func:`write_contact_sheet`; the first ``MOVING_TILES`` are shown.
    """
    videos = videos[:MOVING_TILES]
    clips = [
        np.concatenate([np.stack(_frames(file, MOVING_FRAMES, MOVING_SIDE)) for file in files], 2)
        for _, files in videos
    ]
    captions = [caption for caption, _ in videos]
    first, *others = (_sheet(captions, [clip[time] for clip in clips], 3) for time in range(MOVING_FRAMES))
    duration = 1000 * MOVING_SECONDS // MOVING_FRAMES
    with replacing(path) as partial:
        first.save(partial, format="WEBP", save_all=True, append_images=others, duration=duration, loop=0, quality=80)


def _sheet(captions: Sequence[str], tiles: Sequence[np.ndarray], aspect: float) -> Image.Image:
    """Captions above pictures uint8 (H, W, 3) of one size, row by row, about ``aspect`` times as wide as high."""
    height, width = (side + _MARGIN for side in tiles[0].shape[:2])
    height += _CAPTION
    columns = max(1, round(math.sqrt(aspect * len(tiles) * height / width)))
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE)
    for index, (caption, tile) in enumerate(zip(captions, tiles, strict=True)):
        left, top = _MARGIN + index % columns * width, _MARGIN + index // columns * height
        pen.text((left, top), shortened(caption, width - _MARGIN, font), fill="black", font=font)
        sheet.paste(Image.fromarray(tile), (left, top + _CAPTION))
    return sheet


def _frames(video: Path, count: int, side: int) -> list[np.ndarray]:
    """Frames uint8 (side, side, 3) of a video, evenly spread."""
    frames = read_clip(video, count, 4 * SIDE).frames
    return [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]


def shortened(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A caption truncated to a line of ``width`` pixels, with an ellipsis if it is truncated."""
    if font.getlength(caption) <= width:
        return caption
    while caption and font.getlength(f"{caption}…") > width:
        caption = caption[:-1]
    return f"{caption.rstrip()}…"
