"""The drawing of a caption alone, before or without its video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.pipelines.known_drawings import known_drawings


@torch.no_grad()
def draw_caption(
    pipeline: Any,
    caption: str,
    seed: int,
    num_frames: int | None,
    fps: float,
    given: Mapping[int, CurveSequence] | None = None,
) -> CurveSequence:
    """Draw a caption, by the curve VAE alone.

    Args:
        pipeline: pipeline of a system that draws first.
        caption: the caption.
        seed: random seed; the drawing is that of the pipeline's call with this seed.
        num_frames: T; None: the model's default length.
        fps: frame rate, which conditions the drawing.
        given: drawings of some frames, by index, one frame each; None: none.

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
        curves=given,
    )
    known = known_drawings(pipeline.curve_vae, request, pipeline.curve_vae.device)
    drawn: list[CurveSequence] = pipeline.draw(request, pipeline.read(request), known)
    return drawn[0]
