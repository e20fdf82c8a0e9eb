"""What is painted → ink: the middles of lines, and the edges of areas, as far as they are seen.

The page is painted in flat colours on white, one shape over the other. A line is seen where it differs from what is
beneath it, an edge where the colours on its two sides differ in the end. A long thin area, such as a pen stroke that
was converted to an outline, counts as a line.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from skimage.morphology import skeletonize

from sketch2video.svg.outlines import Subpath
from sketch2video.svg.walk import Clip, Painted

LINE = 2
"""Width of a line of ink in pixels."""
CONTRAST = 32.0
"""Difference of colours, of 255, that is seen."""

_BRIGHTNESS = (0.2126, 0.7152, 0.0722)
"""Of red, green and blue, for masks."""

_THIN = 0.03
"""Half the width of the thickest area that counts as a line, in sides of the picture."""
_LONG = 16.0
"""Area in squares of its half width from which an area counts as a line: a disc has 3, a square 4."""
_OPAQUE = 0.9
_SHIFT = 4
"""Binary digits of the fractions of a pixel that OpenCV takes."""
_FAR = 2**13
"""Points are brought at least so near to the picture, in pixels: OpenCV's numbers are limited."""
_CROSS = np.ones((3, 3), np.uint8)


def ink_of(items: Sequence[Painted], size: int, page: tuple[slice, slice]) -> np.ndarray:
    """The ink of a page.

    Args:
        items: in pixels of the picture, the lowest first.
        size: S, px.
        page: rows and columns of the picture that belong to the page; nothing is seen beyond.

    Returns:
        uint8 (S, S), 255 ink on 0.
    """
    sheet = _Sheet(size, page)
    for item in items:
        seen = sheet.seen_through(item.clips)
        if not seen.any():
            continue
        if item.fill is not None:
            sheet.fill(item, seen)
        if item.stroke is not None:
            sheet.draw(item, seen)
    return sheet.ink()


class _Sheet:
    """The page while it is painted."""

    def __init__(self, size: int, page: tuple[slice, slice]) -> None:
        self._size, self._page = size, page
        self._colours = np.full((size, size, 3), 255, np.float32)
        self._lines = np.zeros((size, size), bool)
        self._edges = np.zeros((size, size), bool)
        # Where a line was drawn last: lines of one colour that meet keep their connection.
        self._on_line = np.zeros((size, size), bool)
        self._through: dict[int, np.ndarray] = {}
        self._whole = np.zeros((size, size), np.float32)
        self._whole[page] = 1.0

    def seen_through(self, clips: Sequence[Clip]) -> np.ndarray:
        """What clips leave: float32 (S, S) in [0, 1]."""
        left = self._whole
        for clip in clips:
            if id(clip) not in self._through:
                self._through[id(clip)] = self._seen_through(clip)
            left = left * self._through[id(clip)]
        return left

    def _seen_through(self, clip: Clip) -> np.ndarray:
        through = np.zeros_like(self._whole)
        for item in clip.shapes:
            inner = self.seen_through(item.clips)
            for colour, area in ((item.fill, _area(item, self._size)), (item.stroke, self._stroke_area(item))):
                if colour is not None:
                    bright = float(np.dot(colour[:3], _BRIGHTNESS)) / 255 if clip.is_mask and not clip.by_alpha else 1.0
                    through += area * inner * (colour.alpha if clip.is_mask else 1.0) * (bright - through)
        return through

    def fill(self, item: Painted, seen: np.ndarray) -> None:
        """Paint an area."""
        assert item.fill is not None
        area = _area(item, self._size)
        visible = area & (seen > 0.5)
        painted, _ = self._mixed(item.fill[:3], item.fill.alpha * seen)
        _, differs = self._mixed(item.fill[:3], item.fill.alpha * self._whole)
        self._lines[visible & (item.fill.alpha * seen > _OPAQUE)] = False
        self._on_line[visible] = False
        self._colours[area] = painted[area]
        if not self._is_ground(visible):
            thin = _thin_parts(visible)
            self._lines |= thin.middles & differs
            self._edges |= self._rim(visible & ~thin.area, differs)

    def draw(self, item: Painted, seen: np.ndarray) -> None:
        """Paint lines."""
        assert item.stroke is not None
        wide = self._stroke_area(item)
        painted, differs = self._mixed(item.stroke[:3], item.stroke.alpha * seen)
        if item.stroke_width > 2 * LINE:
            self._lines[wide & differs & (item.stroke.alpha * seen > _OPAQUE)] = False
        lines = [part for part in item.lines if not self._is_frame(part)]
        middle = _polylines(lines, self._size, LINE) & (seen > 0.5)
        self._lines |= middle & (differs | self._on_line) if item.stroke.alpha > CONTRAST / 255 else False
        self._colours[wide] = painted[wide]
        if item.stroke_width <= 2 * _THIN * self._size:
            self._on_line |= wide & differs

    def ink(self) -> np.ndarray:
        """Lines, and the edges of areas that have another colour beside them."""
        spread = cv2.dilate(self._colours, _CROSS) - cv2.erode(self._colours, _CROSS)
        return (self._lines | (self._edges & (spread.max(-1) > CONTRAST))).astype(np.uint8) * 255

    def _mixed(self, colour: tuple[float, ...], alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours after painting all of the page, and where they differ from those before."""
        painted = self._colours + alpha[..., None] * (np.array(colour, np.float32) - self._colours)
        return painted, np.abs(painted - self._colours).max(-1) > CONTRAST

    def _stroke_area(self, item: Painted) -> np.ndarray:
        return (
            _polylines(item.lines, self._size, max(round(item.stroke_width), 1))
            if item.stroke
            else np.zeros((self._size, self._size), bool)
        )

    def _rim(self, area: np.ndarray, differs: np.ndarray) -> np.ndarray:
        """Both sides of the edge of an area; where it goes on beyond the page there is none."""
        rim = np.zeros_like(area)
        inside = area[self._page].astype(np.uint8)
        outer = cv2.dilate(inside, _CROSS, borderType=cv2.BORDER_REPLICATE) - inside
        outer &= differs[self._page]
        rim[self._page] = (outer | (cv2.dilate(outer, _CROSS) & inside)).astype(bool)
        return rim

    def _is_ground(self, area: np.ndarray) -> bool:
        """Whether an area is as large as the page."""
        return bool(area[self._page].mean() > 0.97)

    def _is_frame(self, line: Subpath) -> bool:
        """Whether a line runs along the edges of the page, all around, or beyond them."""
        if not line.closed and not np.allclose(line.points[0], line.points[-1]):
            return False
        (top, bottom), (left, right) = ((part.start, part.stop) for part in self._page)
        near = 0.01 * self._size
        x, y = line.points.T
        is_outer = (x < left + near) | (x > right - near) | (y < top + near) | (y > bottom - near)
        around = x.min() < left + near and x.max() > right - near and y.min() < top + near and y.max() > bottom - near
        return bool(is_outer.all() and around and len(line.points) >= 4)


class _Thin:
    """Parts of an area that are lines: their area, and their middles, both bool (S, S)."""

    def __init__(self, area: np.ndarray, middles: np.ndarray) -> None:
        self.area, self.middles = area, middles


def _thin_parts(area: np.ndarray) -> _Thin:
    pixels = area.astype(np.uint8)
    thin = np.zeros_like(area)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    half_widths = cv2.distanceTransform(cv2.copyMakeBorder(pixels, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    widest = np.zeros(count, np.float32)
    np.maximum.at(widest, labels.ravel(), half_widths[1:-1, 1:-1].ravel())
    long = facts[:, cv2.CC_STAT_AREA] > _LONG * widest**2
    thin = np.isin(labels, np.nonzero(long & (widest <= _THIN * len(area)))[0]) & area
    return _Thin(thin, skeletonize(thin) if thin.any() else thin)


def _pixels(points: np.ndarray) -> np.ndarray:
    """Points as OpenCV takes them: the middle of the first pixel is (0, 0)."""
    return np.round(np.clip(points - 0.5, -_FAR, _FAR) * 2**_SHIFT).astype(np.int32)


def _polylines(lines: Sequence[Subpath], size: int, width: int) -> np.ndarray:
    """Where lines are: bool (S, S)."""
    canvas = np.zeros((size, size), np.uint8)
    for closed in (False, True):
        chosen = [_pixels(line.points) for line in lines if line.closed == closed]
        cv2.polylines(canvas, chosen, closed, 1, min(width, 4 * size), cv2.LINE_8, _SHIFT)
    return canvas.astype(bool)


def _area(item: Painted, size: int) -> np.ndarray:
    """The inside of an outline, its edge included: bool (S, S)."""
    canvas = np.zeros((size, size), np.uint8)
    parts = [_pixels(part.points) for part in item.outline]
    if item.even_odd or len(parts) == 1:
        cv2.fillPoly(canvas, parts, 1, cv2.LINE_8, _SHIFT)
        return canvas.astype(bool)
    winding = np.zeros((size, size), np.int32)
    for part in parts:
        x, y = part.astype(np.float64).T
        turns = np.sign(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        canvas[:] = 0
        cv2.fillPoly(canvas, [part], 1, cv2.LINE_8, _SHIFT)
        winding += int(turns) * canvas.astype(np.int32)
    return winding != 0
