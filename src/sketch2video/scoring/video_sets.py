"""List the videos of a folder, of an output folder with its manifest, or of a CSV."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from sketch2video.data.clips.shards import LABEL
from sketch2video.errors import UserError, printable
from sketch2video.inputs.names import is_too_long, name_on_disk
from sketch2video.inputs.tables import read_table
from sketch2video.inputs.texts import brief, one_line, read_text
from sketch2video.media.containers import VIDEOS, looks_like_video
from sketch2video.scoring.features import Video

MANIFEST = "manifest.jsonl"
"""One JSON object a line, with the path of a video by one of the keys ``PATHS``, and possibly ``caption``."""
PATHS = ("video", "path_to_video", "file_name")
CONTROLS = ("path_to_control", "sketch_video")
"""Keys of a manifest's rows with the path of a video's drawing."""
DRAWING = ".sketch"
"""First extension of the drawing of a video of the same name."""

COPY = ".gif"
"""Extension of a small copy of a video of the same name."""

logger = logging.getLogger(__name__)


def list_videos(source: Path | str) -> list[Video]:
    """List the videos of a folder and its subfolders, in order of their paths, or those of a CSV.

    In a folder with a manifest, the videos are those of the manifest. Elsewhere drawings (``x.sketch.mp4``) and GIFs
    (``x.gif``) beside a video ``x.mp4`` are ignored. Linked folders are followed, each folder once. A warning of one
    line lists what is ignored. A video's control is its drawing, or what the CSV names.

    Args:
        source: a folder, or a CSV with a column ``path_to_video`` (relative to it) and, if present, ``caption``,
            ``path_to_control``, ``label`` and ``label.<name>``.

    Raises:
        UserError: the source is missing, cannot be read, or has no video.
    """
    source = Path(source)
    if is_too_long(source.as_posix()) or not source.exists():
        raise UserError(f"{brief(source)} is neither a folder of videos nor a CSV; name one")
    if not source.is_dir():
        videos, left_out = _rows_of(source), ""
    else:
        search = _Search()
        search.run(source)
        videos = sorted(search.videos.values(), key=lambda video: video.path)
        left_out = search.summary(source)
    if not videos:
        found = f" ({left_out})" if left_out else ""
        raise UserError(f"{source} holds no video{found}; name a folder or a CSV with at least one")
    if left_out:
        logger.warning("%s: %d videos; left out: %s", printable(source), len(videos), left_out)
    return videos


class _Search:
    """Search for the videos below a folder.

    Attributes:
        videos: videos found so far, by their paths.
        left_out: ignored paths, by the reason.
    """

    def __init__(self) -> None:
        self.videos: dict[Path, Video] = {}
        self.left_out: dict[str, list[Path]] = {}
        self._belonging: set[Path] = set()  # further files in manifests: drawings, GIFs

    def run(self, root: Path) -> None:
        """Search a folder and its subfolders, each once; linked folders last, so that real paths take precedence."""
        searched: set[tuple[int, int]] = set()
        waiting, linked = [root], list[Path]()
        while waiting or linked:
            folder = waiting.pop() if waiting else linked.pop(0)
            try:
                status = folder.stat()
                if (status.st_dev, status.st_ino) in searched:
                    self._leave_out("link to a folder that is searched already", folder)
                    continue
                paths = sorted(folder.iterdir())
            except OSError:
                self._leave_out("folder that cannot be read", folder)
                continue
            searched.add((status.st_dev, status.st_ino))
            files = []
            for path in paths:
                kind = _kind_of(path)
                if path.name.startswith("."):
                    if kind == "folder" or _is_video(path):
                        self._leave_out("hidden file or folder", path)
                elif kind == "folder":
                    (linked if path.is_symlink() else waiting).append(path)
                elif kind == "file":
                    files.append(path)
                else:
                    self._leave_out("link or other thing that is no file", path)
            self._take(folder, files)

    def summary(self, root: Path) -> str:
        """Summary of the ignored paths: the number for each reason, and the first path."""
        parts = []
        for what, paths in self.left_out.items():
            name = paths[0].relative_to(root).as_posix() if paths[0] != root else "."
            parts.append(f"{len(paths)} x {what} ({brief(name)}{', ...' if len(paths) > 1 else ''})")
        return ", ".join(parts)

    def _leave_out(self, what: str, path: Path) -> None:
        self.left_out.setdefault(what, []).append(path)

    def _take(self, folder: Path, files: list[Path]) -> None:
        """Add the videos of one folder."""
        listed: dict[Path, Video] = {}
        if folder / MANIFEST in files:
            listed, belonging = _read_manifest(folder)
            self._belonging |= belonging
            self.videos |= listed
        movies = {path for path in files if _is_video(path)}
        whole = {path.stem for path in movies if path.suffix.lower() != COPY}
        names = {path.name for path in files}
        drawings = {Path(path.stem).stem: path for path in movies if Path(path.stem).suffix == DRAWING}
        for path in files:
            base = Path(path.stem)
            if path in self.videos:
                continue
            if path not in movies:
                if not listed:
                    self._leave_out(f"{path.suffix.lower()} file", path)
            elif base.suffix == DRAWING and (base.stem in whole or f"{base}.svg" in names):
                self._leave_out("drawing of a video", path)
            elif path.suffix.lower() == COPY and path.stem in whole:
                self._leave_out("GIF of a video", path)
            elif path in self._belonging:
                self._leave_out("file that belongs to a video of a manifest", path)
            elif listed:
                self._leave_out(f"video that {MANIFEST} does not name", path)
            else:
                self.videos[path] = Video(path, control=drawings.get(path.stem))


def _kind_of(path: Path) -> str:
    try:
        return "folder" if path.is_dir() else "file" if path.is_file() else ""
    except OSError:  # a folder without permission behind a link
        return ""


def _is_video(path: Path) -> bool:
    """Whether a path has the extension of a video, or is a file with the first bytes of one."""
    return path.suffix.lower() in VIDEOS or (_kind_of(path) == "file" and looks_like_video(path))


def _read_manifest(folder: Path) -> tuple[dict[Path, Video], set[Path]]:
    """The videos of a folder's manifest, and its other files; both empty for another kind of manifest.

    Raises:
        UserError: a line is not JSON.
    """
    manifest = folder / MANIFEST
    videos, others = dict[Path, Video](), set[Path]()
    for number, line in enumerate(read_text(manifest).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{manifest} row {number}: not JSON; remove the manifest or generate again") from error
        values = {key: text for key, text in row.items() if isinstance(text, str)} if isinstance(row, dict) else {}
        path = next((values[key] for key in PATHS if values.get(key)), None)
        if path is None:
            continue
        file = folder / name_on_disk(folder, path)
        control = next((folder / name_on_disk(folder, values[key]) for key in CONTROLS if values.get(key)), None)
        videos.setdefault(file, Video(file, one_line(values.get("caption", "")) or None, control=control))
        others |= {folder / text for text in values.values() if Path(text).suffix}
    return videos, others - videos.keys()


def _rows_of(table: Path) -> list[Video]:
    """The videos of a CSV.

    Raises:
        UserError: the CSV or a row cannot be read; the message names the row.
    """
    videos = []
    known = ["caption", "label", "path_to_control"]
    found = read_table(table, ["path_to_video"], known, prefix=LABEL, fix="name a folder or a CSV")
    for row in found.whole():
        path, control = row.values["path_to_video"], row.values.get("path_to_control", "")
        for name, text in (("path_to_video", path), ("path_to_control", control)):
            if is_too_long(text):
                raise UserError(f"{table} row {row.line}: {name} is longer than a file's name can be; name a video")
        if not path:
            raise UserError(f"{table} row {row.line}: path_to_video is empty; name a video or remove the row")
        words = {name: text for name, text in row.values.items() if text and (f"{name}.".startswith(LABEL))}
        videos.append(
            Video(
                table.parent / name_on_disk(table.parent, path),
                one_line(row.values.get("caption", "")) or None,
                tuple(words.items()),
                table.parent / name_on_disk(table.parent, control) if control else None,
            )
        )
    return videos
