"""Paths of the drawings that a row of a prompts file names: of the whole video, or of some frames.

``sketch`` is the drawing of a video, or a folder with drawings of some frames, whose names have the frames' numbers:
``0.png``, ``frame-0015.svg``. The columns ``sketch_0``, ``sketch_15``, ... name drawings of frames, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sketch2video.errors import UserError
from sketch2video.generation.prompt_drawings import DRAWING_ENDINGS, STILL_ENDINGS
from sketch2video.inputs.names import is_inside, is_too_long, name_on_disk
from sketch2video.inputs.texts import brief, is_text, shown

SKETCH = "sketch"
"""Column of the drawing of a whole video, or of a folder."""
FRAME_SKETCH = "sketch_<frame>"
"""How messages call the columns of frames."""
_FRAME_SKETCH = re.compile(r"sketch_([0-9]{1,9})")


@dataclass(frozen=True)
class KeySketch:
    """The drawing of one frame.

    Attributes:
        frame: index of the frame, from 0.
        path: an existing file (image, SVG or equation).
        column: that names it, or its folder.
    """

    frame: int
    path: Path
    column: str

    @property
    def name(self) -> str:
        """Name of the file; with that of its folder if the column names the folder."""
        return f"{self.path.parent.name}/{self.path.name}" if self.column == SKETCH else self.path.name


def names_a_frame(column: str) -> bool:
    """Whether a column is one of :data:`FRAME_SKETCH`."""
    return _FRAME_SKETCH.fullmatch(column) is not None


def sketches_of(
    values: Mapping[Any, Any], where: str, folder: Path, frames: int
) -> tuple[Path | None, tuple[KeySketch, ...]]:
    """The drawings of a row.

    Args:
        values: by column; None is "not given".
        where: the row, for messages.
        folder: of the prompts file; drawings are in it or below.
        frames: most frames of the video.

    Returns:
        The drawing of the whole video, and those of some frames in their order; at most one of the two.

    Raises:
        UserError: a drawing is missing, outside of the folder, or of no known kind; a frame is drawn twice, or is not
            one of the video.
    """
    whole = values.get(SKETCH)
    columns = [name for name, value in values.items() if names_a_frame(str(name)) and value is not None]
    if whole is not None and columns:
        raise UserError(f"{where}: {SKETCH} and {columns[0]} are given; give the whole drawing or single frames")
    if columns:
        found = [_of_column(values[name], name, where, folder) for name in columns]
    else:
        path = None if whole is None else _existing(whole, SKETCH, where, folder)
        if path is None or path.is_file():
            return path and _of_kind(path, f"{where}: {SKETCH} {brief(whole)}", DRAWING_ENDINGS), ()
        found = list(_of_folder(path, where, folder))
    return None, _in_order(found, where, frames)


def check_frame(sketch: KeySketch, where: str, frames: int) -> None:
    """Raise a UserError if a drawing's frame is not one of a video of ``frames`` frames."""
    if sketch.frame >= frames:
        raise UserError(
            f"{where}: {sketch.column} {brief(sketch.name)} is of frame {brief(sketch.frame)}, and the video has the"
            f" frames 0 to {frames - 1}; choose one of them"
        )


def _in_order(sketches: Sequence[KeySketch], where: str, frames: int) -> tuple[KeySketch, ...]:
    by_frame: dict[int, KeySketch] = {}
    for sketch in sketches:
        check_frame(sketch, where, frames)
        if sketch.frame in by_frame:
            both = " and ".join(brief(one.name) for one in (by_frame[sketch.frame], sketch))
            raise UserError(f"{where}: {sketch.column}: {both} are both of frame {sketch.frame}; keep one")
        by_frame[sketch.frame] = sketch
    return tuple(by_frame[frame] for frame in sorted(by_frame))


def _of_column(value: Any, column: str, where: str, folder: Path) -> KeySketch:
    path = _existing(value, column, where, folder)
    subject = f"{where}: {column} {brief(value)}"
    if not path.is_file():
        raise UserError(f"{subject} is a folder; name the drawing of the frame")
    return KeySketch(int(column.removeprefix("sketch_")), _of_kind(path, subject, STILL_ENDINGS), column)


def _of_folder(path: Path, where: str, folder: Path) -> Iterator[KeySketch]:
    subject = f"{where}: {SKETCH} {brief(path.name)}"
    try:
        names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{subject} cannot be read ({error.strerror}); check the folder") from error
    if not names:
        raise UserError(f"{subject} is an empty folder; put drawings into it, such as 0.png")
    for name in names:
        file, about = path / name, f"{subject}/{brief(name)}"
        numbers = re.findall("[0-9]+", file.stem)
        if len(numbers) != 1:
            raise UserError(f"{about} does not name one frame; call it after its frame, such as 0.png")
        if not is_inside(folder, path, name):
            raise UserError(f"{about} is outside of {folder}; put it beside the prompts file")
        if not file.is_file():
            raise UserError(f"{about} is no file; put drawings into the folder, such as 0.png")
        yield KeySketch(int(numbers[0]), _of_kind(file, about, STILL_ENDINGS), SKETCH)


def _existing(value: Any, column: str, where: str, folder: Path) -> Path:
    """The file or folder that a cell names."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UserError(f"{where}: {column} is {shown(value)}; give the path of a drawing")
    if not is_text(value):
        raise UserError(f"{where}: {column} {brief(value)} has half a character (a surrogate); write it again")
    subject = f"{where}: {column} {brief(value)}"
    if is_too_long(value):
        raise UserError(f"{subject} is longer than a file's name can be; give the path of a drawing")
    if not is_inside(folder, folder, value):
        raise UserError(f"{subject} is outside of {folder}; put it beside the prompts file")
    path = folder / name_on_disk(folder, value)
    try:
        is_there = path.is_file() or path.is_dir()
    except OSError as error:
        raise UserError(f"{subject} cannot be read ({error.strerror}); check the path") from error
    if not is_there:
        raise UserError(f"{subject} is missing in {folder}; check the path")
    return path


def _of_kind(path: Path, subject: str, endings: Sequence[str]) -> Path:
    if path.suffix.lower() in endings:
        return path
    if path.suffix.lower() in DRAWING_ENDINGS:
        raise UserError(f"{subject} is a video, and a frame is a still drawing; use one of {', '.join(endings)}")
    raise UserError(f"{subject} is of no known kind; use one of {', '.join(endings)}")
