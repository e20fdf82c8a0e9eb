"""SVG files → the ink of their frames."""

from __future__ import annotations

import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from sketch2video.errors import UserError, printable
from sketch2video.svg.ink import ink_of
from sketch2video.svg.limits import TooLarge
from sketch2video.svg.outlines import Subpath
from sketch2video.svg.painted import Clip, Painted, visible_points
from sketch2video.svg.style import local_name
from sketch2video.svg.walk import Walk

_FRAME = re.compile(r"frame-\d+")
_MARGIN = 0.1
"""Margin around the drawing, relative to its longer side, if a document has no size and view box."""
_MOST_BYTES = 64 * 2**20
_GZIP = b"\x1f\x8b"
_DEEPEST = 200
"""Largest nesting depth of elements, drawn or not."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SvgDrawing:
    """The drawing of an SVG as lines, in a square whose sides are S px.

    Attributes:
        ink: uint8 (T, S, S), 255 ink on 0.
        colours: uint8 (T, S, S, 3) RGB, the frames as they are painted, on white.
        width, height: of the page, px of CSS.
        offset: (2,) float64, px of the square to the right and down, of the page's upper left corner.
        scale: px of the square in a px of CSS.
    """

    ink: np.ndarray
    colours: np.ndarray
    width: float
    height: float
    offset: np.ndarray
    scale: float


def is_svg(path: Path) -> bool:
    """Whether a file is an SVG by its ending, or begins as one, compressed by gzip or not."""
    if path.suffix.lower() in {".svg", ".svgz"}:
        return True
    try:
        with path.open("rb") as file:
            first = file.read(1024)
        if first.startswith(_GZIP):
            with gzip.open(path) as file:
                first = file.read(1024)
    except (OSError, EOFError, zlib.error):
        return False
    return b"<svg" in first and first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read_svg(path: Path, size: int) -> SvgDrawing:
    """The drawing of an SVG, as rendered by a browser, as lines.

    An SVG with groups ``frame-0000``, ``frame-0001``, ... has a frame for each, independent of their ``display``;
    others have one. The page, given by the document's size and view box, fills the longer side.

    Args:
        path: an SVG, which may be compressed by gzip.
        size: S, px.

    Raises:
        UserError: the file is missing or damaged, or draws too much or nothing.
    """
    try:
        with np.errstate(all="ignore"):
            root = _parsed(_bytes_of(path))
            walk = Walk(root)
            frames = [walk.painted(shown) for shown in _shown(root)]
    except UserError:
        raise
    except Exception as error:  # the parsers of XML and CSS raise exceptions of many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} cannot be read as an SVG ({reason}); export it again") from error
    for names, fault in (
        (walk.left_out, "not drawn; convert to paths what is to be seen"),
        (walk.not_applied, "not applied; apply it before exporting"),
    ):
        if names:
            logger.warning("%s: %s %s", printable(path), ", ".join(sorted(names)), fault)
    points = [part for items in frames for part in visible_points(items)]
    if not points:
        raise UserError(f"{path} has no paths that are visible; convert its objects to paths")
    left, top, width, height = _page(walk, points)
    scale = size / max(width, height)
    if not 1e-9 < scale < 1e9:
        raise UserError(f"{path} has a page of {width:g} x {height:g}; give it the size of a picture")
    offset = (size - scale * np.array([width, height])) / 2
    column, row = offset.round().astype(int)
    page = slice(row, size - row), slice(column, size - column)
    to_pixels = _ToPixels(scale, offset - scale * np.array([left, top]))
    inks, colours = zip(*(ink_of([to_pixels(item) for item in items], size, page) for items in frames), strict=True)
    return SvgDrawing(np.stack(inks), np.stack(colours), width, height, offset, scale)


def _bytes_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; name a drawing") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}); export it again") from error
    if len(data) > _MOST_BYTES:
        raise UserError(f"{path} is larger than {_MOST_BYTES // 2**20} MiB; simplify the drawing")
    return data


def _parsed(data: bytes) -> Element:
    """The root of a document; external entities are not read, and expat limits internal ones."""
    root: Element | None = None
    depth = 0
    for event, element in ElementTree.iterparse(io.BytesIO(data), ("start", "end")):
        root = element if root is None else root
        depth += 1 if event == "start" else -1
        if depth > _DEEPEST:
            raise TooLarge(f"it has more than {_DEEPEST} levels of nested elements")
    if root is None or local_name(root) != "svg":
        raise ValueError("its root is no svg element")
    return root


def _shown(root: Element) -> Iterator[dict[str, bool]]:
    """For each frame, the visibility of the groups of frames by id; a document that is not animated has one frame."""
    names = [child.get("id", "") for child in root.iter() if _FRAME.fullmatch(child.get("id", ""))]
    for name in names or [""]:
        yield {other: other == name for other in names}


def _page(walk: Walk, points: list[np.ndarray]) -> tuple[float, float, float, float]:
    """Left, top, width and height of the visible region: the page, or else a box around all points with a margin."""
    if page := walk.page():
        return 0.0, 0.0, *page
    low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
    margin = _MARGIN * max((high - low).max(), 1e-6)
    (left, top), (width, height) = low - margin, high - low + 2 * margin
    return float(left), float(top), float(width), float(height)


class _ToPixels:
    """Transforms items to pixels of the picture; a clip that several items share stays one object.

    Args:
        scale, offset: of the pixels.
    """

    def __init__(self, scale: float, offset: np.ndarray) -> None:
        self._scale, self._offset = scale, offset
        self._clips: dict[int, Clip] = {}

    def __call__(self, item: Painted) -> Painted:
        """The item in pixels."""
        return replace(
            item,
            outline=[self._moved(part) for part in item.outline],
            lines=[self._moved(part) for part in item.lines],
            stroke_width=item.stroke_width * self._scale,
            clips=[self._clip(clip) for clip in item.clips],
        )

    def _moved(self, part: Subpath) -> Subpath:
        return Subpath(part.points * self._scale + self._offset, part.closed)

    def _clip(self, clip: Clip) -> Clip:
        if id(clip) not in self._clips:
            self._clips[id(clip)] = replace(clip, shapes=[self(item) for item in clip.shapes])
        return self._clips[id(clip)]
