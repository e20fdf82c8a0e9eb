"""A sheet of the experiments on limits: real, drawn and painted held-out clips, one column for each experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sketch2video.media.writing import write_png

SIDE = 128
"""Side of a frame, px."""
MARGIN, HEAD, FONT_SIZE = 6, 18, 12
TRACKS = ("real", "drawing", "painted")


def save_limits_sheet(path: Path, shown: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write the sheet as a PNG, atomically: three rows for each clip.

    Args:
        path: ends in ``.png``.
        shown: by experiment, ``real``, ``drawing`` and ``painted``, uint8 (clips, frames, S, S, 3); the same clips and
            frames in all experiments, S may differ.
    """
    clips, frames = next(iter(shown.values()))["real"].shape[:2]
    across, down = frames * SIDE + MARGIN, len(TRACKS) * SIDE + MARGIN
    sheet = Image.new("RGB", (len(shown) * across + MARGIN, clips * down + MARGIN + HEAD), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for column, (name, tracks) in enumerate(shown.items()):
        left = MARGIN + column * across
        pen.text((left, MARGIN / 2), name, fill="black", font=font)
        for clip in range(clips):
            rows = [np.concatenate([_resized(frame) for frame in tracks[track][clip]], axis=1) for track in TRACKS]
            sheet.paste(Image.fromarray(np.concatenate(rows)), (left, MARGIN + HEAD + clip * down))
    write_png(path, np.asarray(sheet))


def _resized(frame: np.ndarray) -> np.ndarray:
    """A frame uint8 (S, S, 3) of ``SIDE`` px, with visible pixels if it is smaller."""
    way = cv2.INTER_AREA if frame.shape[0] > SIDE else cv2.INTER_NEAREST
    return cv2.resize(frame, (SIDE, SIDE), interpolation=way)
