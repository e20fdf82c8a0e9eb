"""Contact sheet of frames beside the lines that the extractors drew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sketch2video.media.writing import write_png

SMALLEST = 128
"""Pixels; smaller frames are enlarged to at least this."""


def write_sheet(path: Path, clips: Sequence[tuple[np.ndarray, ...]]) -> None:
    """Write a PNG, atomically: one row a clip, and in it for every frame the frame and its drawings, side by side.

    Args:
        path: ends in ``.png``.
        clips: frames uint8 (T, H, W, 3) RGB and drawings of them, uint8 (T, H, W) with 255 ink on 0; at least one.
    """
    rows = []
    for frames, *drawings in clips:
        papers = [np.repeat(255 - ink[..., None], 3, axis=-1) for ink in drawings]
        rows.append(np.concatenate([panel for panels in zip(frames, *papers, strict=True) for panel in panels], axis=1))
    sheet = np.concatenate(rows)
    times = max(1, -(-SMALLEST // clips[0][0].shape[1]))
    write_png(path, sheet.repeat(times, axis=0).repeat(times, axis=1))
