"""The frames of a video in one lossless picture: faster for a page than a video."""

from __future__ import annotations

import base64
import math

import cv2
import numpy as np

from sketch2video.studio.schemas import FrameSheet


def frame_sheet(frames: np.ndarray, fps: float) -> FrameSheet:
    """Frames uint8 (T, S, S, 3) RGB as a sheet, row by row."""
    count, size = len(frames), frames.shape[1]
    columns = math.ceil(math.sqrt(count))
    blank = np.zeros((columns * math.ceil(count / columns) - count, *frames.shape[1:]), np.uint8)
    grid = np.concatenate([frames, blank]).reshape(-1, columns, size, size, 3)
    sheet = grid.swapaxes(1, 2).reshape(-1, columns * size, 3)
    _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    url = f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"
    return FrameSheet(frames=[url], count=count, columns=columns, size=size, fps=fps)
