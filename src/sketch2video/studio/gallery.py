"""The gallery: a folder of painted videos in the layout of batch generation, with what each was made from."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sketch2video.curves import Equation, to_json
from sketch2video.errors import UserError, printable
from sketch2video.files import remove_partial, replacing
from sketch2video.generation.layout import ENDINGS, MANIFEST, SKETCH_ENDINGS, VideoFiles, write_manifest
from sketch2video.studio.painting import Painted
from sketch2video.studio.schemas import GalleryEntry, GalleryItem, StudioDocument

SIDE = 512
"""Height and width in px of drawings as equations; the curves themselves have any resolution."""

DOCUMENT = {"studio": ".studio.json"}
DRAWING = {"drawing": ".drawing.json"}
"""Further files of a video, by their names in the manifest."""

KINDS = {
    "mp4": ("video", "video/mp4"),
    "gif": ("gif", "image/gif"),
    "sketch_mp4": ("sketch_video", "video/mp4"),
    "svg": ("sketch_svg", "image/svg+xml"),
    "json": ("drawing", "application/json"),
}
"""Kinds of files of the API: their names in the manifest, and media types."""
PLAYER = "html"
"""A kind that is made of the drawing when it is asked for."""

MOST_WAITING = 8
"""Most videos that wait to be written; further ones make the worker wait."""

logger = logging.getLogger(__name__)


class Gallery:
    """Painted videos in a folder; files are written by a thread of its own.

    Videos are found by their keys in the manifest: no text of a request becomes a part of a path.

    Args:
        folder: made when the first video is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="studio-gallery")
        if folder.is_dir():
            remove_partial(folder)

    def add(self, painted: Painted) -> None:
        """Write a video soon; see :meth:`flush`."""
        self._room.acquire()
        self._writer.submit(self._write, painted).add_done_callback(self._written_or_not)

    def flush(self) -> None:
        """Wait until all videos are written that were added before."""
        self._writer.submit(lambda: None).result()

    def close(self) -> None:
        """Write what was added, and end the thread."""
        self._writer.shutdown()

    def items(self) -> list[GalleryItem]:
        """The videos, the newest first."""
        rows = [row for row in self._rows() if self._is_whole(row)]
        return [GalleryItem(**_fields(row)) for row in reversed(rows)]

    def entry(self, key: str) -> GalleryEntry | None:
        """A video with what it was made from; None if there is none."""
        row = self._find(key)
        if row is None:
            return None
        document = None
        with suppress(OSError, ValidationError, KeyError):
            document = StudioDocument.model_validate_json(self._path(row, "studio").read_bytes())
        return GalleryEntry(**_fields(row), document=document)

    def file(self, key: str, name: str) -> Path | None:
        """A file of a video by its name in the manifest; None if there is none."""
        row = self._find(key)
        if row is None or name not in row:
            return None
        path = self._path(row, name)
        return path if path.is_file() else None

    def remove(self, key: str) -> bool:
        """Remove a video and its files; whether there was one."""
        if not self._folder.is_dir():
            return False
        with self._changing() as rows:
            found = [row for row in rows if row["key"] == key]
            if not found:
                return False
            write_manifest(self._folder, [row for row in rows if row["key"] != key])
        for row in found:
            for name in (*ENDINGS, *SKETCH_ENDINGS, *DRAWING, *DOCUMENT):
                if name in row:
                    self._path(row, name).unlink(missing_ok=True)
        return True

    def _write(self, painted: Painted) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._changing() as rows:
                before = next((row for row in rows if row["key"] == painted.key), None)
                index = before["index"] if before else max((row["index"] for row in rows), default=-1) + 1
                row = self._written(painted, index)
                write_manifest(self._folder, [*(row for row in rows if row["key"] != painted.key), row])
        except (OSError, UserError) as error:
            logger.warning("a video is missing in the gallery: %s", printable(error))

    def _written_or_not(self, writing: Future[None]) -> None:
        self._room.release()
        if error := writing.exception():
            logger.error("a video is missing in the gallery", exc_info=error)

    def _written(self, painted: Painted, index: int) -> dict[str, Any]:
        """Write the files of a video; its row of the manifest."""
        curves = painted.video.curves
        endings = ENDINGS | DOCUMENT | (SKETCH_ENDINGS | DRAWING if curves is not None else {})
        files = VideoFiles(index, painted.key, painted.request.caption, self._folder, endings)
        if not files.exist:
            with replacing(files.paths["studio"]) as draft:
                draft.write_text(painted.document.model_dump_json(), encoding="utf-8")
            if curves is not None:
                with replacing(files.paths["drawing"]) as draft:
                    draft.write_text(to_json(Equation(curves, SIDE, SIDE, painted.video.fps)), encoding="utf-8")
            files.write(painted.video)
        drawing = files.paths["drawing"].name if curves is not None else None
        row = files.row(painted.model, painted.request, drawing, painted.settings)
        return row | {"numbers": max(painted.numbers, default=None), "made": time.time()}

    @contextmanager
    def _changing(self) -> Iterator[list[dict[str, Any]]]:
        """The rows, while nobody else changes them: no thread, and no other studio with the same folder."""
        import fcntl  # not on Windows

        with self._lock:
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(handle, fcntl.LOCK_EX)
                yield self._rows()
            finally:
                os.close(handle)

    def _rows(self) -> list[dict[str, Any]]:
        """The rows of the manifest that are whole; others are left out."""
        try:
            lines = (self._folder / MANIFEST).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return []
        rows = []
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                row = json.loads(line)
                GalleryItem(**_fields(row))
                if isinstance(row["index"], int):
                    rows.append(row)
        return rows

    def _find(self, key: str) -> dict[str, Any] | None:
        return next((row for row in self._rows() if row["key"] == key), None)

    def _is_whole(self, row: dict[str, Any]) -> bool:
        return self._path(row, "video").is_file()

    def _path(self, row: dict[str, Any], name: str) -> Path:
        """A file of a row, which is in the folder whatever the manifest says."""
        return self._folder / Path(str(row[name])).name


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the manifest as a :class:`GalleryItem`; rows of batch generation lack the last two values."""
    kinds = [kind for kind, (name, _) in KINDS.items() if name in row]
    fields = {name: row[name] for name in GalleryItem.model_fields if name in row}
    return {"numbers": None, "made": 0.0, **fields, "kinds": [*kinds, *([PLAYER] if "drawing" in row else [])]}
