"""The folder of generated videos: names of a video's files, their content, and the manifest.

The names of a video's files contain a hash of all inputs, its key, and files are written atomically; so the names show
which videos exist, and another model or prompt never overwrites a video.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.curves import to_animated_svg
from sketch2video.files import replacing
from sketch2video.generation.videos import Model, Request, Video
from sketch2video.media.codec import probe_video
from sketch2video.media.writing import write_gif, write_video

ENDINGS = {"video": ".mp4", "gif": ".gif"}
"""File name extensions of a video's files, by their names in the manifest."""
SKETCH_ENDINGS = {"sketch_video": ".sketch.mp4", "sketch_svg": ".sketch.svg"}
"""Further files of systems that generate drawings."""
MANIFEST = "manifest.jsonl"

SKETCH_SCALE = 4
"""Pixels of a sketch video for one pixel of the model's frames, along each axis; curves have any resolution."""
KEY_DIGITS = 12
SLUG_LENGTH = 48


def slug(caption: str) -> str:
    """A caption as part of a file's name: lower-case ASCII letters, digits and hyphens; "video" if there are none."""
    return re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")[:SLUG_LENGTH].strip("-") or "video"


@dataclass(frozen=True)
class VideoFiles:
    """The files of one video.

    Attributes:
        index: its position in the manifest, with which the names begin.
        key: hash of all inputs.
        caption: the caption, which is a part of the names.
        output: the folder.
        endings: extensions of the files, by their names in the manifest.
    """

    index: int
    key: str
    caption: str
    output: Path
    endings: Mapping[str, str]

    @property
    def paths(self) -> dict[str, Path]:
        """The files, by their names in the manifest."""
        stem = f"{self.index:04d}-{slug(self.caption)}-{self.key}"
        return {name: self.output / f"{stem}{ending}" for name, ending in self.endings.items()}

    @property
    def exist(self) -> bool:
        """Whether all of them have been written."""
        return all(path.is_file() for path in self.paths.values())

    def write(self, video: Video) -> None:
        """Write the video and its drawing, the mp4 last."""
        paths = self.paths
        if video.curves is not None:
            height, width = (SKETCH_SCALE * side for side in video.frames.shape[1:3])
            ink = video.curves.render(height, width, SKETCH_SCALE)
            write_video(paths["sketch_video"], np.repeat(255 - ink[..., None], 3, axis=-1), video.fps)
            with replacing(paths["sketch_svg"]) as draft:
                svg = to_animated_svg(video.curves, video.fps, height, width, SKETCH_SCALE)
                draft.write_text(svg, encoding="utf-8")
        write_gif(paths["gif"], video.frames, video.fps)
        write_video(paths["video"], video.frames, video.fps)

    def row(
        self,
        model: Model,
        request: Request,
        sketch: str | None,
        settings: Mapping[str, Any],
        sketches: Mapping[int, str] | None = None,
    ) -> dict[str, Any]:
        """The video's row of the manifest; its files exist.

        Args:
            model: the model.
            request: what was asked for; number of frames and frame rate are read from the video.
            sketch: name of the user's drawing of the whole video; None: there was none.
            settings: arguments of the pipeline's call.
            sketches: names of the user's drawings of some frames, by index; None: there were none.
        """
        video = probe_video(self.paths["video"])
        return {
            "index": self.index,
            "caption": request.caption,
            "seed": request.seed,
            "num_frames": video.frames,
            "fps": video.fps,
            "sketch": sketch,
            "sketches": {str(frame): name for frame, name in (sketches or {}).items()},
            **{name: path.name for name, path in self.paths.items()},
            "model": model.reference,
            "model_version": model.version,
            "model_hash": model.content_hash,
            "settings": dict(settings),
            "key": self.key,
        }


def write_manifest(output: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the manifest of a folder, a row for each video, atomically."""
    with replacing(output / MANIFEST) as draft:
        lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        # Names that are not UTF-8 become JSON's escapes.
        draft.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
