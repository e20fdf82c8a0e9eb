"""Drawings of some frames of a request: the base receives them as they are, and which frames they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sketch2video.curves import CurveSequence
from sketch2video.pipelines.drawing import ink_of
from sketch2video.pipelines.request import VideoRequest


def key_drawings(request: VideoRequest) -> Mapping[int, Any] | None:
    """The drawings or curves by frame index of a request; None: all frames are drawn, or none is."""
    return next((given for given in (request.sketches, request.curves) if isinstance(given, Mapping)), None)


def ink_of_key_frames(
    given: Mapping[int, Any], videos: int, frames: int, size: tuple[int, int], device: torch.device
) -> Tensor:
    """Drawings of some frames as the ink of videos, whose other frames are blank.

    Args:
        given: by frame index a drawing uint8 (H, W) or curves of one frame for all videos, or one for each.
        videos: N.
        frames: T.
        size: height and width of the ink, px.
        device: device of the result.

    Returns:
        (N, T, 1, height, width) in [0, 1].

    Raises:
        ValueError: a frame index is out of range.
    """
    ink = torch.zeros(videos, frames, 1, *size, device=device)
    for frame, drawing in given.items():
        if not 0 <= frame < frames:
            raise ValueError(f"a drawing is given for frame {frame}, but the video has {frames}")
        if isinstance(drawing, np.ndarray):
            picture = np.broadcast_to(drawing, (videos, *drawing.shape[-2:]))[:, None]
            ink[:, frame] = ink_of(picture.copy(), None, size, device)[:, 0]
        else:
            curves = [drawing] * videos if isinstance(drawing, CurveSequence) else list(drawing)
            ink[:, frame] = ink_of(None, curves, size, device)[:, 0]
    return ink
