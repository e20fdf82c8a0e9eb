"""Previews of clips: contact sheets and GIFs of several clips below each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sketch2video.media.writing import write_gif, write_png

SHEET_FRAMES = 8
SMALLEST = 64
"""Pixels; smaller frames are enlarged to at least this."""


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Frames (..., 3, H, W) in [-1, 1], clamped, as uint8 (..., H, W, 3)."""
    pixels = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return pixels.movedim(-3, -1).cpu().numpy()


def ink_to_uint8(ink: torch.Tensor) -> np.ndarray:
    """Ink (..., 1, H, W) in [0, 1] as black on white: uint8 (..., H, W, 3)."""
    paper = (255 - ink.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return paper.movedim(-3, -1).expand(*paper.shape[:-3], *paper.shape[-2:], 3).cpu().numpy()


def save_sheet(path: Path, clips: Sequence[np.ndarray]) -> None:
    """Write a PNG with one row a clip (T, H, W, 3) uint8, of up to eight frames each, atomically."""
    rows = []
    for clip in clips:
        frames = np.linspace(0, len(clip) - 1, min(SHEET_FRAMES, len(clip))).round().astype(int)
        rows.append(np.concatenate([_enlarged(clip[t]) for t in frames], axis=1))
    write_png(path, np.concatenate(rows))


def save_moving_sheet(path: Path, columns: Sequence[Sequence[np.ndarray]], fps: float) -> None:
    """Write a GIF in which clips (T, H, W, 3) uint8 play side by side: one column for each sequence of clips."""
    frames = [
        np.concatenate([np.concatenate([_enlarged(clip[t]) for clip in column]) for column in columns], axis=1)
        for t in range(len(columns[0][0]))
    ]
    write_gif(path, np.stack(frames), fps)


def _enlarged(frame: np.ndarray) -> np.ndarray:
    times = max(1, -(-SMALLEST // frame.shape[0]))
    return frame.repeat(times, axis=0).repeat(times, axis=1)
