"""Settings of a data set from the options of the command, with a trainer's defaults."""

from __future__ import annotations

import inspect
import math
import re

from sketch2video.errors import UserError
from sketch2video.inputs.texts import shown
from sketch2video.params import SketchParams
from sketch2video.sketches import extract_sketches
from sketch2video.trainer_data.clips import LINES, Settings
from sketch2video.trainer_data.frame_choice import CUTS, Length
from sketch2video.trainer_data.trainers import TRAINERS, Trainer

LARGEST = 4096
"""Most px of a side."""
MOST_FRAMES = 1025
FASTEST = 120.0
"""Highest frame rate."""


def trainer_of(name: str | None) -> Trainer:
    """The trainer of a name.

    Raises:
        UserError: there is none.
    """
    if name not in TRAINERS:
        asked = (
            "name a trainer with --to" if name is None else f"--to: {shown(name)} is not a known trainer; choose one"
        )
        raise UserError(f"{asked}: {', '.join(TRAINERS)}")
    return TRAINERS[name]


def settings_of(
    trainer: Trainer,
    size: str | None = None,
    frames: int | None = None,
    fps: float | None = None,
    lines: str | None = None,
    cut: str = "middle",
) -> Settings:
    """The settings of a data set; None takes the trainer's default.

    Args:
        trainer: whose limits they have to keep.
        size: such as ``832x480``, width first.
        frames: of a clip.
        fps: frames a second.
        lines: a key of :data:`~sketch2video.trainer_data.clips.LINES`.
        cut: a key of :data:`~sketch2video.trainer_data.frame_choice.CUTS`.

    Raises:
        UserError: the trainer does not take one of them; the message names the next possible value.
    """
    width, height = _size(trainer, size)
    frames = _frames(trainer, frames)
    fps = trainer.fps if fps is None else fps
    if not (math.isfinite(fps) and 0 < fps <= FASTEST):
        raise UserError(f"--fps: {fps} is not a frame rate; choose one above 0 and at most {FASTEST:g}")
    lines = trainer.lines if lines is None else lines
    for option, value, known in (("--lines", lines, LINES), ("--cut", cut, CUTS)):
        if value not in known:
            raise UserError(f"{option}: {shown(value)} is unknown; choose {' or '.join(known)}")
    return Settings(width, height, Length(frames, fps, trainer.step), cut, lines)


def sketch_of(
    sketch: SketchParams | None = None, contrast: float | None = None, min_length: float | None = None
) -> SketchParams:
    """How lines are drawn: the parameters of a project, else the classical extractor with its defaults.

    Args:
        sketch: of ``params.yaml``, where there is one.
        contrast, min_length: in place of ``sketch.contrast`` and ``sketch.min_length``.

    Raises:
        UserError: a number is out of its range.
    """
    if contrast is not None and not 0 < contrast < 1:
        raise UserError(f"--contrast: {contrast} is out of range; choose one above 0 and below 1, such as 0.06")
    if min_length is not None and not 0 <= min_length < 1:
        raise UserError(f"--min-length: {min_length} is out of range; choose one from 0 to below 1, such as 0.04")
    if sketch is None:
        arguments = inspect.signature(extract_sketches).parameters.values()
        defaults = {one.name: one.default for one in arguments if one.default is not one.empty}
        sketch = SketchParams(extractor="classical", threshold=0.5, **defaults)  # a threshold is for the learned one
    given = {"contrast": contrast, "min_length": min_length}
    return sketch.model_copy(update={name: value for name, value in given.items() if value is not None})


def _size(trainer: Trainer, size: str | None) -> tuple[int, int]:
    if size is None:
        return trainer.size
    found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", size.strip().lower())
    example = "x".join(map(str, trainer.size))
    if not found:
        raise UserError(f"--size: {shown(size)} is not a size; write width and height, such as {example}")
    sides = int(found[1]), int(found[2])
    unit = trainer.multiple
    fitting = [min(max(round(side / unit), 1) * unit, LARGEST // unit * unit) for side in sides]
    if list(sides) != fitting:
        raise UserError(
            f"--size: {sides[0]}x{sides[1]} must be multiples of {unit} for this trainer, at most {LARGEST};"
            f" choose {fitting[0]}x{fitting[1]}"
        )
    return sides


def _frames(trainer: Trainer, frames: int | None) -> int:
    if frames is None:
        return trainer.frames
    step = trainer.step
    below = min(max((frames - 1) // step, 1), (MOST_FRAMES - 1) // step) * step + 1
    if frames != below:
        above = [str(below + step)] if below < frames < MOST_FRAMES else []
        raise UserError(
            f"--frames: {frames} is not {step}n+1 with n of at least 1, at most {MOST_FRAMES}, as this trainer expects;"
            f" choose {' or '.join([str(below), *above])}"
        )
    return frames
