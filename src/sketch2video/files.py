"""Files that are either whole or not there, and fingerprints of their content."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sketch2video.errors import UserError

PARTIAL_MARK = ".partial-"


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it into place when the block ends well.

    The block creates a file or a folder at the temporary path. If it raises, or the process is killed, ``path`` keeps
    its old content; what a killed process left is removed by :func:`remove_partial`.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept: writers choose the container format by it.
        partial = path.with_name(f"{PARTIAL_MARK}{uuid.uuid4().hex[:8]}-{path.name}")
        try:
            yield partial
            if partial.is_dir():
                old = path.with_name(f"{PARTIAL_MARK}{uuid.uuid4().hex[:8]}-old-{path.name}")
                if path.exists():
                    path.replace(old)
                partial.replace(path)
                _remove(old)
            else:
                partial.replace(path)
        finally:
            _remove(partial)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT}:
            raise UserError(
                f"{path} cannot be written: {error.strerror}; free some space or choose another folder"
            ) from error
        raise


def remove_partial(folder: Path | str) -> None:
    """Remove what a killed process left in ``folder`` (not in its subfolders)."""
    for left in Path(folder).glob(f"{PARTIAL_MARK}*"):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically. NaN and infinity are refused (ValueError)."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); remove it and run `dvc repro`") from error


def sha256_of_file(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_value(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON-able value; the order of dictionary keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(paths: Iterable[Path | str]) -> str:
    """Hexadecimal SHA-256 over names and bytes of files; folders stand for all files below them."""
    digest: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path} is missing; run `dvc repro` to make it")
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if not any(part.startswith(PARTIAL_MARK) for part in file.parts):
                digest[file.as_posix()] = sha256_of_file(file)
    return sha256_of_value(digest)


def code_digest(*modules: ModuleType) -> str:
    """Hexadecimal SHA-256 over the source code of modules: what they made is made again once they change."""
    return sha256_of_value({module.__name__: sha256_of_file(str(module.__file__)) for module in modules})
