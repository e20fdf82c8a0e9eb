"""The one exception for mistakes that a user can fix, and the conversion of library exceptions to it at a border.

A border is an entry point for users: a command, or a flow. Code behind it raises the exceptions that fit. An exception
that a file, a disk or a server causes is reported at the border as one line. Any other is a bug and keeps its
traceback.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unicodedata import category

from sketch2video.durations import record

# Libraries are recognised by the names of their exceptions, so that `--help` imports none of them.


class UserError(Exception):
    """Something outside the program is wrong: a file, a row, a key, a value.

    The message is one line that names the thing and the fix. Commands print it and exit with code 2. Whatever the
    names in it contain, ``str(error)`` has no other line breaks than those before the details.

    Args:
        message: the line.
        details: further lines, such as the checks that failed; they are indented.
    """

    def __str__(self) -> str:
        return "\n  ".join(printable(line) for line in self.lines())

    def lines(self) -> Sequence[object]:
        """Return the message and the details."""
        return self.args


_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, bytes that are not UTF-8, and separators of lines."""

_SPACE = "free some space or choose another folder"
_READ_ONLY = "change its permissions or choose another path"

_FIXES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.EROFS: "choose a folder that can be written",
    errno.EISDIR: "name a file, or move the folder away",
    errno.ENOTDIR: "a file is where a folder is expected; choose another path",
    errno.EEXIST: "move what is there away, or choose another path",
    errno.ENOTEMPTY: "move what is there away, or choose another path",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "shorten the name",
    errno.ELOOP: "remove the loop of links",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close some programs: the system has too many open files",
}
"""What to do about an error of the file system, by its number."""

_LIBRARIES = {
    "mlflow.MlflowException": ("MLflow", "check MLFLOW_TRACKING_URI and the server"),
    "sqlalchemy.SQLAlchemyError": ("a database cannot be used", "check the file or the server that holds it"),
    "sqlite3.Error": ("a database cannot be used", "check the file that holds it, and the disk's free space"),
    "av.FFmpegError": ("a video cannot be read or written", "check the file"),
    "PIL.UnidentifiedImageError": ("a picture cannot be read", "check the file"),
    "PIL.DecompressionBombError": ("a picture is too large", "use a smaller one"),
    "requests.RequestException": ("a server cannot be used", "check its address"),
    "httpx.HTTPError": ("a server cannot be used", "check its address (PREFECT_API_URL)"),
    "safetensors.SafetensorError": (
        "weights cannot be read or written",
        "check the file and the disk's free space",
    ),
    "pyarrow.ArrowException": ("a table cannot be read or written", "check the file"),
}
"""Exceptions by package and name (the modules between change), each with its description and the fix."""


def printable(text: object) -> str:
    """A name as one line of UTF-8 text: characters that cannot be printed become escapes such as ``\\n``."""
    return "".join(
        letter.encode("unicode_escape").decode() if category(letter) in _UNPRINTABLE else letter for letter in str(text)
    )


def reason_and_fix(error: OSError) -> str:
    """What went wrong with a file and what to do about it, in one line without the file's name."""
    reason = first_line(error.strerror or str(error)) or type(error).__name__
    return printable(f"{reason}; {_FIXES.get(error.errno or 0, 'check the file and the disk')}")


def _file_fault(error: OSError) -> str:
    """The same with the name of the file, if the error has it."""
    named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return f"{printable(named)}: {reason_and_fix(error)}" if named else reason_and_fix(error)


def refusal(error: BaseException) -> UserError | None:
    """An exception as a :class:`UserError` with the same content; None if it is a bug of this program."""
    if isinstance(error, UserError):
        return error
    names = [f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" for kind in type(error).__mro__]
    known = next((_LIBRARIES[name] for name in names if name in _LIBRARIES), None)
    if isinstance(error, OSError) and (error.errno in _FIXES or known is None):
        return UserError(_file_fault(error))
    if known is not None:
        what, fix = known
        named = getattr(error, "filename", None)
        where = f" {named}" if isinstance(named, str) and named else ""
        return UserError(printable(f"{what}{where} ({first_line(str(error)) or type(error).__name__}); {fix}"))
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return UserError(printable(f"{error.object[:200]}: a name is not UTF-8; rename the file"))
    return None


@contextmanager
def border(program: str) -> Iterator[None]:
    """End the process with one line on stderr and exit code 2 if the block raises an error that a user can fix."""
    try:
        try:
            yield
        finally:
            record()
            _flush_output()
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            _discard_output()
            sys.exit(1)
        refused = refusal(error)
        if refused is None:
            raise
        print(f"{program}: {refused}", file=sys.stderr)
        sys.exit(2)


def _flush_output() -> None:
    """Flush stdout, so that a full disk is noticed before the interpreter ends."""
    if sys.stdout is None:  # closed by the caller
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise UserError(f"the output cannot be written: {reason_and_fix(error)}") from error


def _reader_is_gone() -> bool:
    """Whether the reader of this process's stdout has closed it, as in `| head`."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _discard_output() -> None:
    """Redirect stdout to the null device: the interpreter flushes it once more at its end, and would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def first_line(text: str) -> str:
    """The first line that is not blank, stripped; empty if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
