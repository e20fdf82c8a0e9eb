"""Text files that users write: their encodings, and their values in messages."""

from __future__ import annotations

from pathlib import Path
from reprlib import Repr

from sketch2video.errors import UserError

_HEAD = 4096
"""Bytes by which a file is known as text."""
_HEADER = 16
"""Bytes that are Latin letters in a table, whatever its captions are."""
_BINARY = 0.1
"""Share of zero bytes that no text has."""
_SHOWN = 80
"""Most characters of a value in a message."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN
_MARKS = (
    # UTF-32's little-endian mark begins with UTF-16's.
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"%PDF": "a PDF",
}


def read_text(path: Path | str, fix: str = "check the path") -> str:
    """Read a text file in UTF-8 or UTF-16, with or without a byte order mark; line ends stay as they are.

    One-byte encodings are refused: they cannot be distinguished, and a wrong guess changes the text.

    Args:
        path: the file.
        fix: ends the message if the file cannot be opened.

    Raises:
        UserError: the file cannot be opened or is in another encoding; the message names the first wrong row.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_HEAD)
            encoding = _encoding_of(data, path)
            data += stream.read()
    except (OSError, ValueError) as error:  # a name with a NUL character is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{brief(Path(path))} cannot be read ({reason}); {fix}") from error
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: it is not UTF-8 text ({_guess(data, encoding, error)}") from error


def one_line(text: str) -> str:
    """A caption on one line: white space, line separators among it, collapsed; no byte order mark at its ends."""
    return " ".join(text.split()).strip("\ufeff ")


def is_text(value: object) -> bool:
    """Whether a value is a string that can be written as UTF-8; JSON's escapes can encode half a character."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def brief(value: object) -> str:
    """A value as a part of a message: on one line, without characters that cannot be printed, and not long.

    Of a long path the end is shown, which names the file, of other values the beginning.
    """
    text = " ".join(str(value).split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= _SHOWN:
        return text
    return f"…{text[1 - _SHOWN :]}" if isinstance(value, Path) else f"{text[: _SHOWN - 1]}…"


def shown(value: object) -> str:
    """A value as Python writes it, as a part of a message; large or nested values are shortened."""
    try:
        return brief(_SHORT.repr(value))
    except ValueError:  # an integer of thousands of digits
        return f"a value of the type {type(value).__name__}"


def _encoding_of(head: bytes, path: Path | str) -> str:
    """The encoding that the first bytes of a file show."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    for mark, what in _OTHER_FORMATS.items():
        if head.startswith(mark):
            raise UserError(f"{path} cannot be read: it is not UTF-8 text but {what}; export it as text in UTF-8")
    # Latin letters have a zero byte each in UTF-16, and a header has Latin letters.
    begin = head[:_HEADER]
    even, odd = (begin[side::2].count(0) / max(len(begin[side::2]), 1) for side in (0, 1))
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > 0.8 and not others:
            return encoding
    if head.count(0) > _BINARY * len(head):
        raise UserError(f"{path} cannot be read: it is not UTF-8 text but a binary file; name a text file")
    return "utf-8"


def _guess(data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    """What is wrong with the encoding, and the fix; the end of a message after an opening bracket."""
    if not encoding.startswith("utf-8"):
        return f"{encoding.upper()} that is cut off or damaged); save it as UTF-8"
    row = data.count(b"\n", 0, error.start) + 1
    found = f"row {row} has the byte 0x{data[error.start]:02x}"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return f"{found}); save it as UTF-8"
    return f"{found}, as in Windows-1252); save it as UTF-8, in Excel as “CSV UTF-8”"
