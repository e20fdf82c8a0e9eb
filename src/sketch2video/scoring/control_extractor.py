"""How videos follow their drawings, as an extractor: no network, the measures of each video are its features.

Real videos without a drawing are compared with their own fitted curves, which is as near as the equation comes to the
lines of a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sketch2video.curves.fitting.track import fit_curves
from sketch2video.media.codec import DecodedClip, probe_video, read_clip, read_companion
from sketch2video.media.containers import RejectedVideo
from sketch2video.scoring.features import Extractor, Protocol, Video
from sketch2video.scoring.fidelity import REACH, Fidelity, fidelity, lines_of_curves, lines_of_ink
from sketch2video.sketches.agreement import TOLERANCE
from sketch2video.sketches.classical import extract_sketches
from sketch2video.sketches.drawn import ink_of_drawing

LARGEST = 256
"""Side of the frames at most, px, unless the user chooses another one."""

FINEST = 512
"""Side of the drawings at most, px: finer than the frames, so that lines are found to a fraction of their pixels."""


def control_extractor(frames: int, size: int) -> Extractor:
    """The values of :class:`~sketch2video.scoring.fidelity.Fidelity`, from T frames spread over the whole video.

    Args:
        frames: T, at least 2.
        size: S; lines are compared in frames of S × S px.
    """
    output = f"distances of lines within {REACH:g} frame widths, F1 within {TOLERANCE:g} px; classical extractor"
    protocol = Protocol("control", "", frames, "spread", 1, "middle_square", size, output)

    def read(video: Path, drawing: Path | None = None) -> np.ndarray:
        clip = read_clip(video, frames, size, min_frames=2)
        ink = extract_sketches(clip.frames)
        if drawing is None:
            asked = lines_of_curves(fit_curves(ink, clip.cuts), size, size)
        else:
            asked = lines_of_ink(drawn_ink(video, drawing, clip), size)
        return np.concatenate(fidelity([asked], [lines_of_ink(ink, size)], size)).astype(np.float32)

    return Extractor(protocol, read, lambda values: values, batch=1, paired=True, code=(Path(__file__),))


def drawn_ink(video: Path, drawing: Path, clip: DecodedClip) -> np.ndarray:
    """The ink of the frames of a line drawing that belong to those of a clip: uint8 (T, h, h), 255 ink on 0.

    Args:
        video: the video, for the message.
        drawing: dark on light or light on dark.
        clip: the video's frames.

    Raises:
        RejectedVideo: the drawing cannot be read, has not as many frames as its video, or is none.
    """
    try:
        about = probe_video(drawing)
        side = min(max(clip.frames.shape[1], min(about.width, about.height)), FINEST)
        inks = [ink_of_drawing(picture) for picture in read_companion(drawing, clip, side)]
    except RejectedVideo as error:
        raise RejectedVideo(video, f"cannot be compared: its drawing {drawing} {error.reason}") from error
    found = [ink for ink in inks if ink is not None]
    if len(found) < len(inks):
        raise RejectedVideo(video, f"cannot be compared: its control {drawing} is no line drawing")
    return np.stack(found)


def measures_of(features: np.ndarray) -> Fidelity:
    """The measures of N videos from their features (N, D)."""
    return Fidelity(*np.asarray(features, np.float64).T)


def natural_size(videos: Sequence[Video]) -> int:
    """The shorter side of the first video that can be opened, at most :data:`LARGEST`; that if there is none, px."""
    for video in videos:
        try:
            about = probe_video(video.path)
        except RejectedVideo:
            continue
        return min(about.width, about.height, LARGEST)
    return LARGEST
