"""The output of all pipelines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from diffusers.utils import BaseOutput

from sketch2video.curves import CurveSequence


@dataclass
class VideoOutput(BaseOutput):
    """Generated videos and the drawings that condition them.

    Attributes:
        frames: by ``output_type``: "np" float32 (N, T, H, W, 3) in [0, 1]; "pt" the same as a tensor (N, T, 3, H, W);
            "pil" a list of T images for each video; "latent" the autoencoder's latents, a tensor (N, T, C, h, w).
        curves: one sequence for each video; None if the user gave drawings, or the system draws none.
        sketches: uint8 (N, T, H, W), 255 ink on 0; None if the system draws none.
    """

    frames: Any
    curves: list[CurveSequence] | None = None
    sketches: np.ndarray | None = None
