"""Drawings of some frames, and some strokes, of a request as conditions of the curve VAE."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.given import fit_for, known_frames, known_strokes, together
from sketch2video.curve_vae.known import Known
from sketch2video.curves import CurveSequence
from sketch2video.pipelines.request import VideoRequest


def known_drawings(curve_vae: CurveVAE, request: VideoRequest, device: torch.device) -> Known | None:
    """What is known of the drawings of N videos; None if nothing is, or everything.

    Args:
        curve_vae: the network that generates the rest.
        request: drawings or curves by frame index, or strokes.
        device: device of the network.

    Raises:
        ValueError: a frame index is out of range, or there are too many strokes.
    """
    curves = request.curves
    if isinstance(request.sketches, Mapping):
        curves = {frame: _fitted(ink, curve_vae) for frame, ink in request.sketches.items()}
    if request.strokes is not None:
        clips = [known_strokes(curve_vae, sequence) for sequence in request.strokes]
    elif isinstance(curves, Mapping):
        videos = [
            {frame: one if isinstance(one, CurveSequence) else one[video] for frame, one in curves.items()}
            for video in range(request.num_videos)
        ]
        clips = [known_frames(curve_vae, drawings, request.num_frames) for drawings in videos]
    else:
        return None
    return together(clips, device)


def _fitted(ink: np.ndarray, curve_vae: CurveVAE) -> CurveSequence | list[CurveSequence]:
    """Curves of one frame: of a drawing (H, W), or of each of N drawings (N, H, W)."""
    return fit_for(curve_vae, ink) if ink.ndim == 2 else [fit_for(curve_vae, one) for one in ink]
