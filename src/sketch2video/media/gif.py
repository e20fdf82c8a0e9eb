"""Tolerant reading of GIF files as in browsers: bytes between blocks are skipped, and the trailer may be missing."""

from __future__ import annotations

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_LABELS = {0x01, 0xF9, 0xFE, 0xFF}
"""Of extensions: text, graphic control, comment, application."""


class TruncatedGif(ValueError):
    """A GIF ends within a block, or has no image."""


def clean_gif(data: bytes) -> bytes:
    """The blocks of a GIF without bytes between them, and with a trailer.

    Data after the trailer are dropped. A screen that is smaller than the first image is enlarged to it.

    Raises:
        TruncatedGif: the file ends within a block or before its first image.
    """
    at = 13 + _table_size(data, 10)
    if at > len(data):
        raise TruncatedGif("it ends within its header")
    header, blocks, has_image = bytearray(data[:at]), [], False
    while at < len(data) and data[at] != _TRAILER:
        if data[at] == _EXTENSION and at + 1 < len(data) and data[at + 1] in _LABELS:
            end = _after_parts(data, at + 2)
        elif data[at] == _IMAGE:
            end = _after_parts(data, at + 11 + _table_size(data, at + 9))
            if not has_image:
                _enlarge_screen(header, data[at + 1 : at + 9])
            has_image = True
        else:
            at += 1
            continue
        blocks.append(data[at:end])
        at = end
    if not has_image:
        raise TruncatedGif("it has no image")
    return b"".join([header, *blocks, bytes([_TRAILER])])


def _table_size(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags at an offset indicate."""
    if at >= len(data):
        raise TruncatedGif("it ends within a header")
    return 3 * 2 ** ((data[at] & 7) + 1) if data[at] & 0x80 else 0


def _after_parts(data: bytes, at: int) -> int:
    """Where the parts of a block end, each of which begins with its size; an empty part is the last."""
    while at < len(data):
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    raise TruncatedGif("it ends within a block")


def _enlarge_screen(header: bytearray, box: bytes) -> None:
    left, top, width, height = (int.from_bytes(box[i : i + 2], "little") for i in (0, 2, 4, 6))
    for at, needed in ((6, left + width), (8, top + height)):
        if int.from_bytes(header[at : at + 2], "little") < needed < 2**16:
            header[at : at + 2] = needed.to_bytes(2, "little")
