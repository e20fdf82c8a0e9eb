"""What systems that draw first have in common: drawings of the user's or of the curve VAE's, as networks see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sketch2video.curves import CurveSequence
from sketch2video.models.curve_vae import CurveVAE
from sketch2video.models.text import TextCondition
from sketch2video.systems.video_pipeline import Generators, fit_to_size


def check_drawings(
    sketches: np.ndarray | None, curves: Sequence[CurveSequence] | None, num_frames: int | None
) -> int | None:
    """Compare a user's drawings with each other and with the number of frames that is asked for.

    Args:
        sketches: uint8 (N, T, H, H); None: none.
        curves: a sequence for each of N videos; None: none.
        num_frames: None: as many as the drawings have.

    Returns:
        T of the drawings; None if there are none.

    Raises:
        ValueError: they do not belong together; the message says what to change.
    """
    if sketches is not None and curves is not None:
        raise ValueError("sketches and curves were both given; give one of them")
    if sketches is not None:
        square = sketches.ndim == 4 and sketches.shape[2] == sketches.shape[3]
        if not square or sketches.dtype != np.uint8:
            raise ValueError(f"sketches are {sketches.dtype} {sketches.shape}, expected square uint8 (N, T, H, H)")
    if curves and len({len(sequence) for sequence in curves}) > 1:
        raise ValueError("curves have different numbers of frames; generate them in separate calls")
    drawn = sketches.shape[1] if sketches is not None else len(curves[0]) if curves else None
    if drawn and num_frames and drawn != num_frames:
        raise ValueError(f"num_frames is {num_frames}, but the drawings have {drawn} frames; leave num_frames out")
    return drawn


def draw(
    curve_vae: CurveVAE, text: TextCondition, frames: int, fps: Tensor, generator: Generators
) -> list[CurveSequence]:
    """Generated curves for captions: one sequence of ``frames`` frames for each; ``fps`` is (N,)."""
    coefficients, visibility = curve_vae.sample(text.hidden, text.mask, frames, fps, generator=generator)
    return [CurveSequence(*both) for both in zip(coefficients.cpu().numpy(), visibility.cpu().numpy(), strict=True)]


def ink_of(
    sketches: np.ndarray | None, curves: Sequence[CurveSequence] | None, size: int, device: torch.device
) -> Tensor:
    """Drawings at a model's size: (N, T, 1, size, size) in [0, 1].

    Args:
        sketches: uint8 (N, T, H, H), 255 ink on 0; None: ``curves`` are drawn.
        curves: a sequence for each video.
        size: of the model, px.
        device: where to.
    """
    if sketches is None:
        sketches = np.stack([sequence.render(size, size) for sequence in curves or []])
    return fit_to_size(torch.from_numpy(sketches).to(device)[:, :, None].float() / 255, size)


def as_sketches(ink: Tensor) -> np.ndarray:
    """Ink (N, T, 1, H, W) in [0, 1] as a pipeline answers with it: uint8 (N, T, H, W), 255 ink on 0."""
    return (ink[:, :, 0] * 255).round().to(torch.uint8).cpu().numpy()
