"""MSR-VTT as published: videos that are already cut, and JSON with about twenty captions for each.

Annotations are either the two files of the challenge or, in the package that retrieval work shares, one file. Both have
``videos`` (``video_id``, ``category``, ``split``, and times within the web page's video, from which the files were cut
already) and ``sentences`` (``video_id``, ``caption``)::

    train_val_videodatainfo.json, test_videodatainfo.json    or  MSRVTT_data.json
    TrainValVideo/video0.mp4, TestVideo/video7010.mp4        or  videos/all/video0.mp4

:data:`ANNOTATIONS` and :data:`VIDEOS` are the folders in which they are searched.

A video becomes one clip with one of its captions, drawn by ``ingest.seed``: all are equally likely, as in
published evaluations, and the choice does not depend on other videos. Validation videos are for training, as in the
usual split of 7,010 to 2,990.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sketch2video.data.sources.rows import Source, SourceRow
from sketch2video.errors import UserError
from sketch2video.inputs.texts import is_text, shown

PAIR = ("train_val_videodatainfo.json", "test_videodatainfo.json")
WHOLE = "MSRVTT_data.json"
ANNOTATIONS = (".", "annotation", "annotations", "msrvtt_data", "train_val_annotation", "test_annotation")
VIDEOS = ("TrainValVideo", "TestVideo", "videos/all", "videos", "all", ".")
SPLITS = {"train": "train", "validate": "train", "test": "test"}
CATEGORIES = (
    *("music", "people", "gaming", "sports/actions", "news/events/politics", "education", "tv shows", "movie/comedy"),
    *("animation", "vehicles/autos", "howto", "travel", "science/technology", "animals/pets", "kids/family"),
    *("documentary", "food/drink", "cooking", "beauty/fashion", "advertisement"),
)
"""Names of the categories 0 to 19, as in the data set's ``category.txt``."""

_ALLOWED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "videos": {
        "video_id": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9_-]+", value)),
        "split": lambda value: isinstance(value, str) and value in SPLITS,
        "category": lambda value: type(value) is int and 0 <= value < len(CATEGORIES),
    },
    "sentences": {
        "video_id": lambda value: isinstance(value, str),
        "caption": is_text,
    },
}
"""The keys that are read of an entry, and their types."""


def read_msrvtt(folder: Path | str, seed: int) -> Source:
    """Read the videos of MSR-VTT: one caption each, label its category's name.

    Args:
        folder: that holds annotations and videos.
        seed: draws the captions.

    Raises:
        UserError: the layout is another one; the message names the file.
    """
    root = Path(folder).resolve()
    files = annotation_files(root)
    if not files:
        raise UserError(
            f"{root} holds neither {' and '.join(PAIR)} nor {WHOLE}; name MSR-VTT's folder in ingest.folder"
        )
    videos: dict[str, dict[str, Any]] = {}
    captions: dict[str, set[str]] = {}
    for path in files:
        content = _read(path)
        videos |= {video["video_id"]: video for video in content["videos"]}
        for sentence in content["sentences"]:
            captions.setdefault(sentence["video_id"], set()).add(" ".join(sentence["caption"].split()))
    folders = [root / part for part in VIDEOS if (root / part).is_dir()]
    source = Source(" and ".join(path.relative_to(root).as_posix() for path in files), root, root)
    for number, (video_id, video) in enumerate(videos.items(), 1):
        name = f"{video_id}.mp4"
        path = next((one / name for one in folders if (one / name).exists()), folders[0] / name)
        source.add(
            SourceRow(
                row=number,
                id=video_id,
                path=path.relative_to(root).as_posix(),
                caption=_drawn(captions.get(video_id, set()) - {""}, f"{seed}/{video_id}"),
                label=CATEGORIES[video["category"]],
                split=SPLITS[video["split"]],
            )
        )
    return source


def annotation_files(folder: Path) -> list[Path]:
    """The files of annotations in a folder of MSR-VTT; none if it is no such folder.

    Raises:
        UserError: one of the two files of the challenge is there without the other.
    """
    pair = [path for name in PAIR for path in _first(folder, name)]
    if len(pair) == 1:
        missing = next(name for name in PAIR if name != pair[0].name)
        raise UserError(f"{pair[0]} is there without {missing}; put {missing} beside it")
    return pair or _first(folder, WHOLE)


def _first(folder: Path, name: str) -> list[Path]:
    return [path for part in ANNOTATIONS if (path := folder / part / name).is_file()][:1]


def _drawn(captions: set[str], key: str) -> str:
    """One of the captions, by ``key`` alone; none gives an empty one."""
    return min(captions, key=lambda caption: hashlib.sha256(f"{key}/{caption}".encode()).digest(), default="")


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read a file of annotations and check the parts of it that are used."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); download it again") from error
    found: dict[str, list[dict[str, Any]]] = {}
    for name, allowed in _ALLOWED.items():
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise UserError(f"{path} has no list of {name}; take MSR-VTT's own file")
        for number, entry in enumerate(entries):
            for key, is_allowed in allowed.items():
                if not isinstance(entry, dict) or key not in entry:
                    raise UserError(f"{path}: {name}[{number}] has no {key}; take MSR-VTT's own file")
                if not is_allowed(entry[key]):
                    raise UserError(
                        f"{path}: {name}[{number}] has an impossible {key}, {shown(entry[key])};"
                        " take MSR-VTT's own file"
                    )
        found[name] = entries
    return found
