"""Requests for videos, and the call of any system's pipeline that answers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sketch2video.curves import CurveSequence
from sketch2video.params import RequestParams


@dataclass(frozen=True)
class Model:
    """A pipeline and its origin.

    Attributes:
        pipeline: pipeline of any system.
        reference: name or folder that the user gave.
        version: version of the registered model; None for a folder.
        content_hash: hash of the pipeline's files.
    """

    pipeline: Any
    reference: str
    version: str | None
    content_hash: str


@dataclass(frozen=True)
class Request:
    """One video to be generated.

    Attributes:
        caption: the caption.
        seed: random seed.
        num_frames: T; None: the model's default length.
        fps: frame rate.
        curves: the user's drawing, T frames; or drawings of some frames, by index, one frame each; None: the model
            generates one.
    """

    caption: str
    seed: int
    num_frames: int | None
    fps: float
    curves: CurveSequence | Mapping[int, CurveSequence] | None = None


@dataclass(frozen=True)
class Video:
    """A generated video.

    Attributes:
        frames: uint8 (T, S, S, 3) RGB.
        curves: its drawing, T frames; None if the system uses none.
        fps: frame rate.
    """

    frames: np.ndarray
    curves: CurveSequence | None
    fps: float


def generate_videos(pipeline: Any, requests: Sequence[Request], params: RequestParams) -> list[Video]:
    """Generate videos in one call: all have the same length, and drawings of the user's of the same frames or none.

    A video does not depend on the other requests in the call, up to the rounding of floating-point sums.
    """
    return call_pipeline(pipeline, requests, pipeline.call_arguments(params))


def call_pipeline(pipeline: Any, requests: Sequence[Request], arguments: Mapping[str, Any]) -> list[Video]:
    """Generate videos as :func:`generate_videos` does.

    Args:
        pipeline: pipeline of any system.
        requests: the videos.
        arguments: further arguments of the call, such as the settings of the sampling and ``callback_on_step_end``.
    """
    curves = _curves(requests)
    out = pipeline(
        [request.caption for request in requests],
        num_frames=None if isinstance(curves, list) else requests[0].num_frames,
        fps=[request.fps for request in requests],
        **arguments,
        generator=[torch.Generator().manual_seed(request.seed) for request in requests],
        output_type="np",
        **({} if curves is None else {"curves": curves}),
    )
    frames = (np.asarray(out.frames) * 255).round().astype(np.uint8)
    rates = (request.fps for request in requests)
    drawn = out.curves or [None] * len(frames)
    return [Video(*each) for each in zip(frames, drawn, rates, strict=True)]


def _curves(requests: Sequence[Request]) -> list[CurveSequence] | dict[int, list[CurveSequence]] | None:
    """The user's drawings as the argument of a pipeline's call."""
    given = [request.curves for request in requests]
    whole = [curves for curves in given if isinstance(curves, CurveSequence)]
    single = [curves for curves in given if isinstance(curves, Mapping)]
    if single:
        return {frame: [curves[frame] for curves in single] for frame in single[0]}
    return whole or None
