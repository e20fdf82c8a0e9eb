"""Sheets of drawings, a real one above a generated one and the caption beneath: an animated and a static one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sketch2video.curves import CurveSequence
from sketch2video.files import replacing
from sketch2video.generation.contact_sheet import shortened
from sketch2video.media.writing import write_gif

MOVING_SIDE, STILL_SIDE = 128, 96
"""Sides of a drawing, px."""
COLUMNS = 8
"""Tiles of the moving sheet beside each other; the other has as many as make it about as wide as high."""
EVERY = 2
"""The still sheet shows every second frame."""
MARGIN, LINE, FONT_SIZE = 8, 12, 10
LINES = {"moving": 6, "still": 2}
"""Of a caption, at most."""
FRAMES_A_SECOND = 8.0
GREY = 225


class Tile(NamedTuple):
    """What a sheet shows of a clip: drawings of as many frames, from top to bottom, and what is written beneath."""

    drawings: Sequence[CurveSequence]
    caption: str


def save_sheets(moving: Path, still: Path, tiles: Sequence[Tile]) -> None:
    """Write both sheets, atomically.

    Args:
        moving: ends in ``.gif``.
        still: ends in ``.png``.
        tiles: in reading order, at least one, all of as many drawings and frames.
    """
    pictures = [_pictures(tile, MOVING_SIDE) for tile in tiles]
    captions = [tile.caption for tile in tiles]
    frames = [
        _sheet([picture[t] for picture in pictures], captions, COLUMNS, LINES["moving"])
        for t in range(len(pictures[0]))
    ]
    write_gif(moving, np.stack(frames), FRAMES_A_SECOND)
    strips = [np.concatenate(list(_pictures(tile, STILL_SIDE)[::EVERY]), axis=1) for tile in tiles]
    height, width = strips[0].shape[:2]
    columns = max(1, round(math.sqrt(len(tiles) * height / width)))
    with replacing(still) as partial:
        Image.fromarray(_sheet(strips, captions, columns, LINES["still"])).save(partial, format="PNG")


def _pictures(tile: Tile, side: int) -> np.ndarray:
    """A tile's drawings below each other, black on white with a line between: uint8 (T, height, side, 3)."""
    parts = []
    for drawing in tile.drawings:
        part = 255 - drawing.render(side, side)
        part[:, [0, -1]] = np.minimum(part[:, [0, -1]], GREY)
        part[:, :, [0, -1]] = np.minimum(part[:, :, [0, -1]], GREY)
        parts.append(part)
    return np.concatenate(parts, axis=1)[..., None].repeat(3, axis=-1)


def _sheet(pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int, lines: int) -> np.ndarray:
    """Pictures uint8 (h, w, 3) of one size in a grid with captions beneath: uint8 (H, W, 3)."""
    height, width = pictures[0].shape[:2]
    across, down = width + MARGIN, height + lines * LINE + MARGIN
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * across + MARGIN, rows * down + MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = MARGIN + index % columns * across, MARGIN + index // columns * down
        sheet.paste(Image.fromarray(picture), (left, top))
        for line, words in enumerate(wrapped(caption, width, lines, font)):
            pen.text((left, top + height + line * LINE), words, fill="black", font=font)
    return np.asarray(sheet)


def wrapped(caption: str, width: int, lines: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """A caption in at most so many lines of ``width`` pixels; an ellipsis marks truncated text."""
    words, found = caption.split(), list[str]()
    while words and len(found) < lines - 1:
        fitting = next((n for n in range(len(words), 1, -1) if font.getlength(" ".join(words[:n])) <= width), 1)
        found.append(shortened(" ".join(words[:fitting]), width, font))
        words = words[fitting:]
    return [*found, shortened(" ".join(words), width, font)] if words else found
