"""Pictures, clips and SVGs that somebody drops on the page: checked, sketched and fitted."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import IO

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError, first_line
from sketch2video.generation.prompt_drawings import load_drawing
from sketch2video.media.containers import is_clip
from sketch2video.media.extent import clip_extent, picture_extent
from sketch2video.params import Params
from sketch2video.studio.worker import BusyError
from sketch2video.svg import is_svg

MOST_PIXELS = 64_000_000
"""Most pixels of a picture: those of a camera."""
LONGEST_SIDE = 4096
"""Longest side of a clip, px."""
LONGEST_SECONDS = 120.0
MOST_CLIP_PIXELS = 8_000_000_000
"""Most pixels of all frames of a clip together: a minute of 1080p at 60 frames a second."""

SIZE = 64
"""Side at which lines of photographs are extracted outside of a project, px."""

MOST_WAITING = 8
"""Most files that are fitted or wait for it."""

_room = threading.BoundedSemaphore(MOST_WAITING)
_one_at_a_time = threading.Lock()


def fit_upload(data: IO[bytes], frames: int, params: Params | None) -> tuple[CurveSequence, float | None]:
    """Sketch and fit a file; one at a time.

    Args:
        data: content of a picture, a clip, an SVG, or an equation as JSON.
        frames: T of the drawing; a still picture stands still.
        params: of the project; None: the defaults of sketch and fit.

    Returns:
        The curves, and the frame rate of a clip; None for a still picture.

    Raises:
        UserError: the file is damaged, too large, of no known kind, or shows no lines.
        BusyError: too many files wait.
    """
    if not _room.acquire(blocking=False):
        raise BusyError
    try:
        return _fit(data, frames, params)
    finally:
        _room.release()


def _fit(data: IO[bytes], frames: int, params: Params | None) -> tuple[CurveSequence, float | None]:
    with tempfile.TemporaryDirectory(prefix="sketch2video-studio-") as folder, _one_at_a_time:
        path = Path(folder) / "file"
        with path.open("wb") as copy:
            while part := data.read(2**20):
                copy.write(part)
        try:
            _check(path)
            size = params.base.size if params else SIZE
            drawing = load_drawing(
                path, frames, size, params.sketch if params else None, params.fit if params else None
            )
        except UserError as error:
            raise UserError(first_line(str(error)).replace(str(path), "the file")) from error
    return drawing.curves, drawing.fps


def _check(path: Path) -> None:
    """Refuse what would take too much memory or time; from headers alone, nothing is decoded.

    Raises:
        UserError: a header states too much.
    """
    if not path.stat().st_size:
        raise UserError("the file is empty; choose another")
    if is_svg(path):
        return
    if not is_clip(path):
        extent = picture_extent(path)
        if extent is not None and extent.width * extent.height > MOST_PIXELS:
            raise UserError(
                f"the file has {extent.width} x {extent.height} pixels, more than {MOST_PIXELS // 10**6} million;"
                " save it smaller"
            )
        return
    extent = clip_extent(path)
    if max(extent.width, extent.height) > LONGEST_SIDE:
        raise UserError(
            f"the file has a side of {max(extent.width, extent.height)} px, at most {LONGEST_SIDE} are read"
        )
    if extent.seconds > LONGEST_SECONDS:
        raise UserError(f"the file lasts {extent.seconds:.0f} s, at most {LONGEST_SECONDS:.0f} s are read; cut it")
    if extent.width * extent.height * extent.frames > MOST_CLIP_PIXELS:
        raise UserError("the file has too many pixels in all of its frames; make it smaller or cut it")
