"""Captions in a plain text file, one a line: the format of prompts and of the output of `sketch2video captions`.

Lines end at line feeds, with or without a carriage return before them. Empty lines are skipped, and so are comments,
which begin with ``#``. A caption that begins with ``#`` or a backslash has a backslash in front.
"""

from __future__ import annotations

from collections.abc import Iterator

from sketch2video.inputs.texts import one_line


def read_caption_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number, counted from 1, and caption of each line that has one."""
    for number, line in enumerate(text.split("\n"), start=1):
        caption = one_line(line)
        if caption and not caption.startswith("#"):
            yield number, caption[1:] if caption.startswith(("\\#", "\\\\")) else caption


def caption_line(caption: str) -> str:
    """Encode a non-empty caption as a line; the inverse of reading."""
    caption = one_line(caption)
    return f"\\{caption}" if caption.startswith(("#", "\\")) else caption
