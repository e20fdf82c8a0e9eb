"""The frames of a video that become clips of a fixed number of frames and a fixed frame rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CUTS = {
    "middle": "the middle of the video",
    "start": "the beginning of the video",
    "pieces": "consecutive parts, each a clip of its own",
    "whole": "the whole video, evenly spread: its speed changes",
}
"""Which part of a video is used."""

LEAST_FRAMES = 8
"""Fewest frames of a video of which the whole is used."""


@dataclass(frozen=True)
class Length:
    """The length of a clip.

    Attributes:
        frames: number of frames.
        fps: frames a second.
        step: a trainer takes ``step * n + 1`` frames.
    """

    frames: int
    fps: float
    step: int = 1


class TooShort(ValueError):
    """A video has too few frames; the message is the reason."""


def choose_frames(seconds: np.ndarray, length: Length, cut: str) -> list[np.ndarray]:
    """The indices of the frames of each clip of a video.

    The frame nearest to each time is taken, so a video of a lower rate than the clip's repeats frames.

    Args:
        seconds: float64 (n,), ascending times of the video's frames; at least one.
        length: of a clip.
        cut: a key of ``CUTS``.

    Returns:
        At least one array int64 (length.frames,), ascending.

    Raises:
        TooShort: the video is shorter than a clip.
    """
    if cut == "whole":
        if len(seconds) < LEAST_FRAMES:
            raise TooShort(f"is too short: {len(seconds)} frames, at least {LEAST_FRAMES} are needed")
        return [_nearest(seconds, np.linspace(seconds[0], seconds[-1], length.frames))]
    span = float(seconds[-1] - seconds[0])
    shown = span / (len(seconds) - 1) if len(seconds) > 1 else 0.0  # how long a frame is shown
    needed = (length.frames - 1) / length.fps
    # Half a frame is allowed, as the nearest one is taken.
    spare = span - needed
    if spare < -shown / 2 - 1e-6:
        raise TooShort(_too_short(span + shown, span + shown / 2 + 1e-6, length))
    begins = [0.0]
    if cut == "middle":
        begins = [max(spare, 0.0) / 2]
    elif cut == "pieces":
        period = length.frames / length.fps
        begins = [number * period for number in range(int((spare + shown / 2 + 1e-6) / period) + 1)]
    return [_nearest(seconds, seconds[0] + begin + np.arange(length.frames) / length.fps) for begin in begins]


def _too_short(duration: float, usable: float, length: Length) -> str:
    fitting = int(usable * length.fps) // length.step * length.step + 1
    hint = f"; {fitting} would fit" if fitting > length.step else ""
    return (
        f"is too short: {duration:.2f} s, and {length.frames} frames at {length.fps:g} fps need"
        f" {length.frames / length.fps:.2f} s{hint}"
    )


def _nearest(seconds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Indices of the frames nearest to times; of two at the same distance the later one."""
    middles = (seconds[1:] + seconds[:-1]) / 2
    return np.searchsorted(middles, times + 1e-9, side="left")
