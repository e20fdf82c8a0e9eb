"""Atomic writing of files, and digests of their content."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from sketch2video.errors import UserError, printable, reason_and_fix

PIPELINE = "pipeline"
"""The folder of a system's assembled pipeline, beside those of its parts."""

CODE = "code.json"
"""In the folder of a trained part: digest of the code that made it, so that DVC repeats dependent stages when the code
changes."""

PARTIAL_MARK = ".partial-"
"""How the names of files that are being written begin; see :func:`partial_prefix`."""

STALE = 3600.0
"""Seconds without a change after which a partial file of another machine counts as abandoned."""

_LONGEST_SUFFIX = 16
_ASIDE = "old-"
"""How the names of folders that hold what is being replaced go on."""
_OWNED = re.compile(rf"{re.escape(PARTIAL_MARK)}(?P<machine>[0-9a-f]{{8}})-(?P<process>\d+)-(?P<started>\d+)-")
_OUTPUT_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The block creates a file or a folder at the temporary path. If it raises, or the process is killed, ``path`` keeps
    its old content; what a killed process left is removed by :func:`remove_partial`. Processes that replace the same
    path at the same time do not disturb each other; the last one's content stays.

    Raises:
        UserError: the path cannot be written: a full disk, no permission, a name that is too long, a file where a
            folder is expected or the reverse, ...
    """
    path = Path(path)
    partial = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.lstat()  # a name that cannot be is refused before the work
        # The suffix is kept: writers choose the container format by it. The name is not: it may be as long as allowed.
        suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
        partial = path.with_name(f"{partial_prefix()}{uuid.uuid4().hex[:8]}{suffix}")
        try:
            yield partial
            _publish(partial, path)
        finally:
            _remove(partial)
    except OSError as error:
        if not _concerns(error, path, partial):
            raise
        named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
        about = f"{named}: " if named in path.parents else ""
        raise UserError(f"{printable(path)} cannot be written: {printable(about)}{reason_and_fix(error)}") from error


def _concerns(error: OSError, path: Path, partial: Path) -> bool:
    """Whether an error is about the path that is written, rather than about one that the block reads."""
    if not isinstance(error.filename, str | bytes):
        return error.errno in _OUTPUT_FAULTS
    named = Path(os.fsdecode(error.filename))
    return named in {path, partial, *path.parents} or partial in named.parents


def partial_prefix() -> str:
    """How the name of a partial file of this process begins: with the machine, the process's id and its start."""
    return f"{PARTIAL_MARK}{_machine()}-{os.getpid()}-{_started(os.getpid()) or 0}-"


def remove_partial(folder: Path | str) -> None:
    """Remove what killed processes left in ``folder`` (not in its subfolders); what others are writing stays.

    A folder that a killed process had moved aside and not yet replaced returns to its name.
    """
    for left in Path(folder).glob(f"{PARTIAL_MARK}*"):
        owned = _OWNED.match(left.name)
        if owned and _is_in_use(left, owned):
            continue
        if owned and left.name[owned.end() :].startswith(_ASIDE):
            _put_back(left)
        _remove(left)


def _is_in_use(partial: Path, owned: re.Match[str]) -> bool:
    if owned["machine"] == _machine():
        started = _started(int(owned["process"]))
        return started is not None and started in (0, int(owned["started"]))
    try:
        changed = max(path.lstat().st_mtime for path in (partial, *partial.rglob("*")))
    except FileNotFoundError:
        return False  # its process has just finished it
    return time.time() - changed < STALE and changed > _boot_time()


def _started(process: int) -> int | None:
    """When a process started, in ticks since the system did; 0 if that is unknown; None if there is no such process."""
    try:
        status, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if status in "ZX" else int(fields[18])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, ValueError):
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return 0


@cache
def _machine() -> str:
    """A name for the set of processes that this one can see: the running system, and the container within it."""
    system = [platform.node()]
    with suppress(OSError):
        system = [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]  # noqa: PTH115
    return sha256_of_value(system)[:8]


@cache
def _boot_time() -> float:
    """When the system started, in seconds since 1970; 0 if that is unknown."""
    with suppress(OSError):
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith("btime "):
                return float(line.split()[1])
    return 0.0


def _publish(partial: Path, path: Path) -> None:
    """Move a finished file or folder to its name; at all times either the old one or the new one exists."""
    if not partial.is_dir():
        partial.replace(path)
        return
    for _ in range(10):  # another process may replace it between two steps
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        try:
            partial.rename(path)
            return
        except OSError as error:  # ENOTDIR: a link
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
        try:
            if not _exchange(partial, path):
                _replace_in_two_steps(partial, path)
            return
        except FileNotFoundError:
            continue
    raise OSError(errno.EBUSY, "other processes keep replacing it", str(path))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; False if the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # Linux
        here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        failed = library.renameat2(here, names[0], here, names[1], exchange)
    elif hasattr(library, "renamex_np"):  # macOS
        failed = library.renamex_np(*names, 2)  # RENAME_SWAP
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _replace_in_two_steps(partial: Path, path: Path) -> None:
    """Replace a folder where names cannot be exchanged; :func:`remove_partial` finishes what is killed in between."""
    aside = path.with_name(f"{partial_prefix()}{_ASIDE}{uuid.uuid4().hex[:8]}")
    aside.mkdir()
    try:
        path.rename(aside / path.name)
        partial.rename(path)
    finally:
        _put_back(aside)
        _remove(aside)


def _put_back(aside: Path) -> None:
    """Rename what was moved aside back, unless the name is in use again."""
    with suppress(OSError):
        for old in aside.iterdir():
            if not os.path.lexists(aside.parent / old.name):
                old.rename(aside.parent / old.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def sharing(folder: Path, arrange: Callable[[bool], None]) -> Iterator[None]:
    """Work in a folder that other processes may be working in, too.

    Args:
        folder: it must exist.
        arrange: called first, with whether no other process is working there, in which case none comes before it
            returns: then alone may files change their names.
    """
    import fcntl  # not on Windows

    handle = os.open(folder, os.O_RDONLY)
    try:
        alone = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            pass  # a file system without locks
        arrange(alone)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


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
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_and_fix(error)}") from error
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
    """Hexadecimal SHA-256 over names and bytes of files; a folder contributes all files below it but ``CODE``."""
    digest: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path} is missing; run `dvc repro` to make it")
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.name != CODE and not any(part.startswith(PARTIAL_MARK) for part in file.parts):
                digest[file.as_posix()] = sha256_of_file(file)
    return sha256_of_value(digest)
