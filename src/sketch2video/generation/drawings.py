"""The drawing of a caption alone, before or without its video."""

from __future__ import annotations

from typing import Any

import torch

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError


@torch.no_grad()
def draw_caption(pipeline: Any, caption: str, seed: int, num_frames: int | None, fps: float) -> CurveSequence:
    """Draw a caption, by the curve VAE alone.

    Args:
        pipeline: pipeline of a system that draws first.
        caption: the caption.
        seed: random seed; the drawing is that of the pipeline's call with this seed.
        num_frames: T; None: the model's default length.
        fps: frame rate, which conditions the drawing.

    Raises:
        UserError: the system does not draw.
        ValueError: the arguments are inconsistent.
    """
    if pipeline.curve_vae is None:
        raise UserError("this model does not draw; choose a model of a system that follows sketches")
    request = pipeline.request(
        [caption],
        None,
        None,
        (),
        {},
        num_videos=None,
        num_frames=num_frames,
        fps=[fps],
        generator=[torch.Generator().manual_seed(seed)],
        output_type="np",
    )
    drawn: list[CurveSequence] = pipeline.draw(request, pipeline.read(request), None)
    return drawn[0]
