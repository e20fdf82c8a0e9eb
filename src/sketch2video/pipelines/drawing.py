"""What systems that draw first have in common: drawings of the user's or of the curve VAE's, as networks see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sketch2video.curve_vae import CurveVAE, sample_curves
from sketch2video.curve_vae.given import known_frames, known_strokes, together
from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.pipelines.pictures import fit_to_size
from sketch2video.text.encoder import TextCondition

Sketches = np.ndarray | Mapping[int, np.ndarray]
"""Drawings of a user's: of all frames, uint8 (N, T, H, H); or by frame, uint8 (H, H) for all videos or (N, H, H)."""


def check_drawings(
    sketches: Sketches | None,
    curves: Sequence[CurveSequence] | None,
    num_frames: int | None,
    strokes: Sequence[CurveSequence] | None = None,
) -> int | None:
    """Compare a user's drawings with each other and with the number of frames that is asked for.

    Args:
        sketches: of all frames, or by frame; None: none.
        curves: a sequence for each of N videos; None: none.
        num_frames: None: as many as the drawings have.
        strokes: some strokes of each of N videos; None: none.

    Returns:
        T of the drawings; None if there are none, or only some frames are drawn.

    Raises:
        ValueError: they do not belong together; the message says what to change.
    """
    given = {"sketches": sketches, "curves": curves, "strokes": strokes}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} were given; give one of them")
    if isinstance(sketches, Mapping):
        _check_frames(sketches)
        return None
    if sketches is not None:
        square = sketches.ndim == 4 and sketches.shape[2] == sketches.shape[3]
        if not square or sketches.dtype != np.uint8:
            raise ValueError(f"sketches are {sketches.dtype} {sketches.shape}, expected square uint8 (N, T, H, H)")
    sequences = curves or strokes
    if sequences and len({len(sequence) for sequence in sequences}) > 1:
        raise ValueError(f"{names[0]} have different numbers of frames; generate them in separate calls")
    drawn = sketches.shape[1] if sketches is not None else len(sequences[0]) if sequences else None
    if drawn and num_frames and drawn != num_frames:
        raise ValueError(f"num_frames is {num_frames}, but the drawings have {drawn} frames; leave num_frames out")
    return drawn


def _check_frames(sketches: Mapping[int, np.ndarray]) -> None:
    if not sketches:
        raise ValueError("sketches is empty; name at least one frame, such as {0: drawing}, or leave it out")
    for frame, drawing in sketches.items():
        square = drawing.ndim in (2, 3) and drawing.shape[-1] == drawing.shape[-2]
        if not square or drawing.dtype != np.uint8:
            raise ValueError(
                f"sketches[{frame}] is {drawing.dtype} {drawing.shape}, expected square uint8 (H, H) or (N, H, H)"
            )
    if len({drawing.shape[-1] for drawing in sketches.values()}) > 1:
        raise ValueError("sketches have different sizes; draw all frames at one size")


def videos_drawn(sketches: Sketches | None) -> np.ndarray | None:
    """What says how many videos drawings are for: an array (N, ...); None if they are for any number."""
    if isinstance(sketches, Mapping):
        return next((drawing for drawing in sketches.values() if drawing.ndim == 3), None)
    return sketches


def what_is_known(
    curve_vae: CurveVAE,
    sketches: Sketches | None,
    strokes: Sequence[CurveSequence] | None,
    count: int,
    frames: int,
    device: torch.device,
) -> Known | None:
    """What drawings of some frames, or some strokes, say of N videos; None where neither is given.

    Args:
        curve_vae: that is to draw the rest.
        sketches: by frame; arrays of all frames leave nothing to be drawn.
        strokes: for each video.
        count: N.
        frames: T.
        device: of the network.

    Raises:
        ValueError: a frame is not one of the video's, N does not agree, or there are too many strokes.
    """
    clips: list[Known] = []
    if strokes is not None:
        clips = [known_strokes(curve_vae, sequence) for sequence in strokes]
    elif isinstance(sketches, Mapping):
        order = sorted(sketches)
        for video in range(count):
            ink = np.stack([one if one.ndim == 2 else one[video] for one in (sketches[frame] for frame in order)])
            drawn = fit_curves(ink, np.zeros(len(order), bool), harmonics=curve_vae.config.harmonics)
            clips.append(known_frames(curve_vae, drawn, order, frames))
    return Known(*(part.to(device) for part in together(clips))) if clips else None


def draw(
    curve_vae: CurveVAE,
    text: TextCondition,
    frames: int,
    fps: Tensor,
    generator: Generators,
    known: Known | None = None,
) -> list[CurveSequence]:
    """Generated curves for captions: one sequence of ``frames`` frames for each; ``fps`` is (N,)."""
    both = sample_curves(curve_vae, text, frames, fps, generator, known=known)
    return [CurveSequence(*clip) for clip in zip(*(part.cpu().numpy() for part in both), strict=True)]


def ink_of(
    sketches: Sketches | None, curves: Sequence[CurveSequence] | None, size: int, device: torch.device
) -> Tensor:
    """Drawings at a model's size: (N, T, 1, size, size) in [0, 1].

    Args:
        sketches: uint8 (N, T, H, H), 255 ink on 0, where there are no curves.
        curves: a sequence for each video, which are drawn; None: none.
        size: of the model, px.
        device: where to.
    """
    if curves is not None or not isinstance(sketches, np.ndarray):
        sketches = np.stack([sequence.render(size, size) for sequence in curves or []])
    return fit_to_size(torch.from_numpy(sketches).to(device)[:, :, None].float() / 255, size, lines=True)


def as_sketches(ink: Tensor) -> np.ndarray:
    """Ink (N, T, 1, H, W) in [0, 1] as a pipeline answers with it: uint8 (N, T, H, W), 255 ink on 0."""
    return (ink[:, :, 0] * 255).round().to(torch.uint8).cpu().numpy()
