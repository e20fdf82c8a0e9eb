"""A paint: from a request to a video over its drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.stroke_keys import resampled
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value
from sketch2video.generation.drawings import draw_caption
from sketch2video.generation.layout import KEY_DIGITS
from sketch2video.generation.videos import Model, Request, Video, call_pipeline
from sketch2video.studio.documents import to_curves, to_drawing
from sketch2video.studio.paint_jobs import Job
from sketch2video.studio.schemas import Drawing, PaintRequest, Sampling, StudioDocument

VERSION = 1
"""Increased whenever the same request gives another video."""


@dataclass(frozen=True)
class Painted:
    """A painted video and what it was made from.

    Attributes:
        key: hash of all inputs.
        video: the frames, and the curves that they follow.
        model: the model.
        request: what the pipeline was asked for.
        settings: of the sampling, complete.
        document: what the page brings back; its drawing has the key frames.
    """

    key: str
    video: Video
    model: Model
    request: Request
    settings: dict[str, Any]
    document: StudioDocument

    @property
    def numbers(self) -> list[int]:
        """Numbers of each frame of the drawing; none without one."""
        return [] if self.video.curves is None else self.video.curves.frame_parameters.tolist()

    @property
    def num_bytes(self) -> int:
        """Bytes of the frames."""
        return self.video.frames.nbytes


def paint(model: Model, asked: PaintRequest, job: Job) -> Painted:
    """Paint a video.

    A model that draws paints over the drawing of the request; without one it draws first, with the same seed. So the
    noise of the video is the same in both cases, and `sketch2video generate` makes the same video from the drawing.

    Args:
        model: the model.
        asked: the request.
        job: receives the progress.

    Raises:
        UserError: the model cannot do what is asked for.
        ValueError: likewise, in the words of the pipeline.
    """
    pipeline = model.pipeline
    settings = _settings(pipeline, asked.sampling)
    curves, drawing = _drawing(model, asked, job)
    frames = len(curves) if curves is not None else asked.frames or pipeline.sample_frames
    longest = pipeline.longest
    if longest and frames > longest:
        raise UserError(f"this model makes at most {longest} frames; lower the number of frames")
    request = Request(asked.caption, asked.seed, frames, asked.fps, curves)

    def step_end(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps = max(pipeline.num_timesteps, 1)  # of one sampling; a long video has several
        job.progress("painting", step % steps + 1, steps)
        return tensors

    job.progress("painting", 0, max(int(settings.get("num_inference_steps", 1)), 1))
    options = {name: value for name, value in settings.items() if name != "sampler"}
    (video,) = call_pipeline(pipeline, [request], {**options, "callback_on_step_end": step_end})
    document = StudioDocument.model_construct(
        model=asked.model,
        caption=asked.caption,
        seed=asked.seed,
        fps=asked.fps,
        frames=len(video.frames),
        drawing=drawing,
        sampling=asked.sampling,
    )
    painted = Video(video.frames, curves, asked.fps)
    return Painted(_key(model, request, settings), painted, model, request, settings, document)


def _drawing(model: Model, asked: PaintRequest, job: Job) -> tuple[CurveSequence | None, Drawing | None]:
    """The curves to paint over, and the document that they are from; neither if the model follows no drawing."""
    pipeline = model.pipeline
    if not pipeline.control.draws:
        if asked.drawing is not None:
            raise UserError("this model follows no drawing; choose one that draws, or leave the drawing out")
        return None, None
    if asked.drawing is None:
        job.progress("drawing", 0, 1)
        drawing = to_drawing(draw_caption(pipeline, asked.caption, asked.seed, asked.frames, asked.fps), asked.fps)
        job.progress("drawing", 1, 1)
        return to_curves(drawing), drawing
    curves = to_curves(asked.drawing)
    frames = asked.frames or (len(curves) if len(curves) > 1 else pipeline.sample_frames)
    if frames != len(curves):
        drawing = to_drawing(resampled(curves, frames), asked.fps)
        return to_curves(drawing), drawing
    return curves, asked.drawing


def _settings(pipeline: Any, sampling: Sampling) -> dict[str, Any]:
    """The settings of the sampling, complete; also sets the sampler.

    Raises:
        UserError: the pipeline has no such sampler.
        ValueError: it has no such setting, or a value is out of its range.
    """
    try:
        checked = pipeline.sampling_type.checked(pipeline.config.get("sampling", {}), sampling.given())
    except TypeError as error:
        raise ValueError(str(error)) from error
    settings: dict[str, Any] = checked.model_dump()
    if pipeline.samplers:
        settings["sampler"] = sampling.sampler or pipeline.samplers[0]
        if settings["sampler"] not in pipeline.samplers:
            raise UserError(f"this model has the samplers {', '.join(pipeline.samplers)}; choose one of them")
        pipeline.set_sampler(settings["sampler"])
    elif sampling.sampler is not None:
        raise UserError("this model has no samplers; leave the sampler out")
    return settings


def _key(model: Model, request: Request, settings: dict[str, Any]) -> str:
    made_of: dict[str, Any] = {
        "version": VERSION,
        "model": model.content_hash,
        "caption": request.caption,
        "seed": request.seed,
        "fps": request.fps,
        "frames": request.num_frames,
        "settings": settings,
    }
    if isinstance(request.curves, CurveSequence):
        made_of["curves"] = [_digest(request.curves.coefficients), _digest(request.curves.visibility)]
    return sha256_of_value(made_of)[:KEY_DIGITS]


def _digest(array: np.ndarray) -> str:
    return sha256_of_value([array.shape, array.tobytes().hex()])
