"""Paths that users write in tables: their targets, lengths and Unicode normalisation."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

LONGEST_NAME = 255
"""Bytes of a file's name; common file systems do not allow more."""


def is_too_long(path: str) -> bool:
    """Whether a part of a path is longer than a file's name can be."""
    return any(len(part.encode(errors="replace")) > LONGEST_NAME for part in path.split("/"))


def is_inside(root: Path, base: Path, path: str) -> bool:
    """Whether a relative path, with all links followed, stays in a folder.

    Args:
        root: the folder, which exists.
        base: the folder that the path is relative to.
        path: as a user wrote it.
    """
    if PurePosixPath(path).is_absolute() or Path(path).is_absolute() or "\0" in path:
        return False
    try:
        return (base / path).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links; a character that is not allowed in names
        return False


def name_on_disk(folder: Path, path: str) -> str:
    """A relative path in the normal form that the names on the disk have.

    "é" is one character (NFC) or two (NFD); macOS and its archives write the second where a table has the first.

    Args:
        folder: that the path is relative to.
        path: as a user wrote it.

    Returns:
        The path as it is where such a file exists, or where there is none in any form.
    """
    if path.isascii() or _exists(folder / path):
        return path
    found, parent = [], folder
    for part in PurePosixPath(path).parts:
        name = part if _exists(parent / part) else _names_of(parent).get(normalize("NFC", part), part)
        found.append(name)
        parent = parent / name
    return str(PurePosixPath(*found))


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a NUL character
        return False


def _names_of(folder: Path) -> dict[str, str]:
    try:
        return _listed(str(folder), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=256)
def _listed(folder: str, changed: int) -> dict[str, str]:
    """Names in a folder by their composed form; ``changed`` is its time stamp, which invalidates the cache."""
    names = sorted((path.name for path in Path(folder).iterdir()), reverse=True)
    return {normalize("NFC", name): name for name in names}
