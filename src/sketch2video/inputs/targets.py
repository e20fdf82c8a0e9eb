"""Checks of output paths before the work that makes the outputs."""

from __future__ import annotations

import os
from pathlib import Path

from sketch2video.errors import UserError
from sketch2video.inputs.names import is_too_long
from sketch2video.inputs.texts import brief


def check_file_target(path: Path, name: str) -> None:
    """Refuse a path that no file can be written to.

    Args:
        path: of the file; its folders need not exist.
        name: of the option or parameter, in the message.

    Raises:
        UserError: it is a folder or a device, is below a file, is too long, or its folder cannot be written.
    """
    _check(path, name)
    if path.is_dir():
        raise UserError(f"{name}: {brief(path)} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{name}: {brief(path)} is a device, not a file; name a file")
    _check_writable(path.absolute().parent, name)


def check_folder_target(path: Path, name: str) -> None:
    """Refuse a path that cannot become a folder to write into; see :func:`check_file_target`."""
    _check(path, name)
    if path.exists() and not path.is_dir():
        raise UserError(f"{name}: {brief(path)} is not a folder; choose another folder")
    _check_writable(path.absolute(), name)


def _check(path: Path, name: str) -> None:
    if "\0" in str(path) or is_too_long(path.as_posix()):
        raise UserError(f"{name}: {brief(path)} has a name that no file can have; shorten it")


def _check_writable(folder: Path, name: str) -> None:
    """Refuse a folder, there or to be made, that cannot be written."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not nearest.is_dir():
            raise UserError(f"{name}: {brief(nearest)} is not a folder; choose another path")
    except OSError as error:
        raise UserError(f"{name}: {brief(folder)} cannot be used ({error.strerror}); choose another path") from error
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{name}: {brief(nearest)} cannot be written; choose another path or change its permissions")
