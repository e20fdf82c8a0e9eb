"""The arguments that all pipelines share, validated and normalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.pipelines.drawing import Curves, Sketches, check_drawings, videos_drawn

OUTPUT_TYPES = ("np", "pt", "pil", "latent")

Scenes = Sequence[tuple[int, str]]
"""Successive captions of one video, each with the index of its first frame, which is 0 for the first caption."""

Prompt = str | Scenes
"""The caption of one video, or several successive ones."""


@dataclass(frozen=True)
class VideoRequest:
    """The validated arguments of a call that generates N videos of T frames.

    Attributes:
        scenes: captions of each video; None: unconditional.
        num_videos: N.
        num_frames: T.
        fps: frame rate of each video.
        sampling: settings of the sampling, of the pipeline's ``sampling_type``.
        generator: random generator; a list has one for each video.
        output_type: one of :data:`OUTPUT_TYPES`.
        sketches, curves, strokes: at most one of them, the user's drawings; see
            :func:`~sketch2video.pipelines.drawing.check_drawings`.
        control: control videos, uint8 (N, T, H, H, 3); None: none.
        frames: known frames of the videos, uint8 (N, t, H, H, 3); None: none.
        size: height and width of the videos, px; None: those of the model.
        latents: standard normal noise from which the videos are generated; None: it is sampled.
        on_step_end: callback at the end of every step; None: none.
    """

    scenes: list[Scenes] | None
    num_videos: int
    num_frames: int
    fps: list[float]
    sampling: Any
    generator: Generators
    output_type: str
    sketches: Sketches | None = None
    curves: Curves | None = None
    strokes: Sequence[CurveSequence] | None = None
    control: np.ndarray | None = None
    frames: np.ndarray | None = None
    size: tuple[int, int] | None = None
    latents: Tensor | None = None
    on_step_end: StepEnd | None = None

    @classmethod
    def checked(
        cls,
        captions: str | Sequence[Prompt] | None,
        *,
        num_videos: int | None,
        num_frames: int | None,
        fps: float | Sequence[float],
        default_frames: int,
        several_scenes: bool,
        control_channels: int = 3,
        any_shape: bool = False,
        curves: Curves | None = None,
        **others: Any,
    ) -> VideoRequest:
        """Validate the arguments of a call.

        Args:
            captions: one for a single video, or one for each; None: unconditional.
            num_videos: N; None: given by the other arguments, or 1.
            num_frames: T; None: the length of drawings or control videos, or ``default_frames``.
            fps: frame rate of all videos, or of each.
            default_frames: T if no other argument determines it.
            several_scenes: whether captions may change along a video.
            control_channels: C of the control videos.
            any_shape: whether drawings and control videos need not be square.
            curves: see the class.
            others: further attributes of the class.

        Raises:
            ValueError: the arguments are inconsistent; the message names them and the fix.
        """
        scenes = None if captions is None else _scenes(captions, several_scenes)
        curves = curves if curves is None or isinstance(curves, Mapping) else list(curves)
        sketches, strokes, control, frames, latents, generator = (
            others.get(name) for name in ("sketches", "strokes", "control", "frames", "latents", "generator")
        )
        drawn = check_drawings(sketches, curves, num_frames, strokes, any_shape)
        check_videos(frames=frames)
        check_videos(control_channels, any_shape, control=control)
        count = number_of_videos(
            {
                "captions": scenes,
                "control": control,
                "frames": frames,
                "sketches": videos_drawn(sketches),
                "curves": videos_drawn(curves),
                "strokes": strokes,
                "latents": None if latents is None else list(latents),
                "generator": generator,
                "fps": fps,
            },
            num_videos,
        )
        given = drawn if control is None else control.shape[1]
        if control is not None and num_frames not in (None, given):
            raise ValueError(f"num_frames is {num_frames}, but control has {given} frames; leave num_frames out")
        length = next(number for number in (given, num_frames, default_frames) if number is not None)
        rates = np.broadcast_to(np.asarray(fps, np.float64), count).tolist()
        request = cls(scenes, count, length, rates, curves=curves, **others)
        request._check_settings()
        return request

    def _check_settings(self) -> None:
        if not all(rate > 0 for rate in self.fps):
            wrong = next(rate for rate in self.fps if not rate > 0)
            raise ValueError(f"fps is {wrong}; it must be above 0")
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; it must be at least 1")
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type is {self.output_type!r}; choose np, pt, pil or latent")

    @property
    def captions(self) -> list[str] | None:
        """The first caption of each video, which is the only one unless captions change; None: unconditional."""
        return None if self.scenes is None else [scenes[0][1] for scenes in self.scenes]

    @property
    def generators(self) -> Sequence[torch.Generator | None]:
        """The random generator of each video."""
        return self.generator if isinstance(self.generator, list) else [self.generator] * self.num_videos

    @property
    def drawn(self) -> bool:
        """Whether the user gave drawings of all frames."""
        return any(
            drawings is not None and not isinstance(drawings, Mapping) for drawings in (self.sketches, self.curves)
        )

    def rates(self, device: torch.device) -> Tensor:
        """Frame rates (N,) float32."""
        return torch.tensor(self.fps, dtype=torch.float32, device=device)


def _scenes(captions: str | Sequence[Prompt], several_scenes: bool) -> list[Scenes]:
    videos: list[Scenes] = []
    for prompt in [captions] if isinstance(captions, str) else captions:
        scenes: list[tuple[int, Any]] = [(0, prompt)] if isinstance(prompt, str) or not several_scenes else list(prompt)
        for caption in [caption for _, caption in scenes] or [""]:
            if not isinstance(caption, str) or not caption.strip():
                raise ValueError(f"a caption is {caption!r}; give words, or captions=None for an unconditional video")
        videos.append(scenes)
    return videos


def check_videos(channels: int = 3, any_shape: bool = False, **videos: np.ndarray | None) -> None:
    """Raise a ValueError if one of the videos, by the argument's name, is not uint8 (N, T, H, W, C) and square."""
    for name, frames in videos.items():
        if frames is None:
            continue
        square = frames.ndim == 5 and (any_shape or frames.shape[2] == frames.shape[3])
        if not square or frames.shape[4] != channels or frames.dtype != np.uint8:
            expected = f"uint8 (N, T, H, W, {channels})" if any_shape else f"square uint8 (N, T, H, H, {channels})"
            raise ValueError(f"{name} is {frames.dtype} {frames.shape}, expected {expected}")


def number_of_videos(arguments: Mapping[str, Any], num_videos: int | None) -> int:
    """N, given by the length of all arguments with one item for every video; 1 if there are none.

    Raises:
        ValueError: the lengths differ, or are zero.
    """
    counts = {name: len(value) for name, value in arguments.items() if isinstance(value, Sequence | np.ndarray)}
    if num_videos is not None:
        counts["num_videos"] = num_videos
    count = next(iter(counts.values()), 1)
    if count < 1 or any(number != count for number in counts.values()):
        raise ValueError(f"numbers of videos disagree or are zero: {', '.join(f'{n} {c}' for n, c in counts.items())}")
    return count
