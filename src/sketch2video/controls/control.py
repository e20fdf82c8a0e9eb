"""Control pictures in training: what a system's decoder and denoiser see beside the latent, frame by frame.

All systems go through the same door. Which pictures come through it is the only thing in which the sketch system, the
text-only system and one that follows maps or poses differ.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sketch2video.controls.corruption import corrupt_curves, draw_ink
from sketch2video.params import Control


def control_arrays(control: Control, clips: Path, curves: Path) -> dict[str, Path]:
    """The arrays of a batch that :func:`control_pictures` reads, and the folders of their shards."""
    if control == "sketch":
        return {"coefficients": curves, "visibility": curves}
    return {"control": clips} if control == "video" else {}


def control_pictures(
    control: Control,
    batch: dict[str, Tensor],
    height: int,
    width: int,
    corruption: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor | None:
    """The pictures of a batch of clips.

    Args:
        control: which pictures: "sketch", the drawn curves; "video", the control videos that belong to the clips.
        batch: the arrays of :func:`control_arrays`, with two leading axes N and T.
        height, width: of the pictures, px; control videos have this size.
        corruption: share of the clips whose curves are corrupted; see
            :func:`~sketch2video.controls.corruption.corrupt_curves`.
        generator: of the corruption; needed where there is any.

    Returns:
        (N, T, CONTROL_CHANNELS[control], height, width) float32 in [0, 1]; None where there are none.
    """
    if control == "none":
        return None
    if control == "video":
        return batch["control"].movedim(-1, -3).float() / 255
    curves = batch["coefficients"], batch["visibility"]
    if generator is not None:
        curves = corrupt_curves(*curves, corruption, generator)
    return draw_ink(*curves, height, width)
