"""From painted items to ink: the centre lines of strokes, and the edges of areas, as far as they are visible.

The page is painted in flat colours on white, one shape over the other. A line is visible where it differs from the
colour beneath it, an edge where the final colours on its two sides differ. A long thin area, such as a pen stroke that
was converted to an outline, counts as a line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import cv2
import numpy as np
from skimage.morphology import skeletonize

from sketch2video.svg.outlines import Subpath
from sketch2video.svg.painted import Clip, Painted
from sketch2video.svg.winding import winding_numbers

KEPT_CLIPS = 32
"""Clips whose coverage is kept: it is as large as the picture, and items with one clip follow each other."""
LINE = 2
"""Width of a line of ink in pixels."""
CONTRAST = 32.0
"""Smallest visible difference of colours, of 255."""

_BRIGHTNESS = (0.2126, 0.7152, 0.0722)
"""Luminance weights of red, green and blue, for masks."""

_THIN = 0.03
"""Half the width of the thickest area that counts as a line, in sides of the picture."""
_LONG = 16.0
"""Area in squares of its half width from which an area counts as a line: a disc has 3, a square 4."""
_OPAQUE = 0.9
_SHIFT = 4
"""Binary digits of the fractions of a pixel that OpenCV takes."""
_WIDEST = 4096
"""Width of the widest line that is painted, pixels."""
_FAR = 2**18
"""Points are clipped to this distance from the picture, in pixels: the range of OpenCV's numbers is limited."""
_CROSS = np.ones((3, 3), np.uint8)


Window = tuple[slice, slice]
"""Rows and columns of the picture."""


def ink_of(items: Sequence[Painted], size: int, page: Window) -> tuple[np.ndarray, np.ndarray]:
    """The ink of a page, and the page in its colours.

    Args:
        items: in pixels of the picture, the lowest first.
        size: S, px.
        page: the part of the picture that is the page; nothing is visible beyond it.

    Returns:
        ink: uint8 (S, S), 255 ink on 0.
        colours: uint8 (S, S, 3) RGB, on white.
    """
    canvas = _Canvas(size, page)
    for item in items:
        canvas.paint(item)
    return canvas.ink(), canvas.colours()


class _Canvas:
    """The page during painting; each item changes only a window around it."""

    def __init__(self, size: int, page: Window) -> None:
        self._size, self._page = size, page
        self._colours = np.full((size, size, 3), 255, np.float32)
        self._lines = np.zeros((size, size), bool)
        self._edges = np.zeros((size, size), bool)
        # Where a line is the topmost item: lines of one colour that meet stay connected.
        self._on_line = np.zeros((size, size), bool)
        self._through: OrderedDict[int, tuple[Clip, np.ndarray]] = OrderedDict()  # coverage of the last clips

    def paint(self, item: Painted) -> None:
        """Paint an item over the others."""
        window = _window_of(item, self._page)
        if window is None:
            return
        seen = self._seen_through(item.clips, window)
        if item.fill is not None and seen.any():
            self._fill(item, seen, window)
        if item.stroke is not None and seen.any():
            self._draw(item, seen, window)

    def ink(self) -> np.ndarray:
        """Lines, and the edges of areas that have another colour beside them."""
        spread = cv2.dilate(self._colours, _CROSS) - cv2.erode(self._colours, _CROSS)
        return (self._lines | (self._edges & (spread.max(-1) > CONTRAST))).astype(np.uint8) * 255

    def colours(self) -> np.ndarray:
        """The page as it is painted."""
        return self._colours.round().astype(np.uint8)

    def _seen_through(self, clips: Sequence[Clip], window: Window) -> np.ndarray:
        """Coverage by clips: float32 (h, w) in [0, 1]."""
        left = np.ones([part.stop - part.start for part in window], np.float32)
        for clip in clips:
            if id(clip) not in self._through:
                self._through[id(clip)] = clip, self._opened(clip)
                if len(self._through) > KEPT_CLIPS:
                    self._through.popitem(last=False)
            self._through.move_to_end(id(clip))
            left = left * self._through[id(clip)][1][window]
        return left

    def _opened(self, clip: Clip) -> np.ndarray:
        """Coverage of the picture by a clip: float32 (S, S) in [0, 1]."""
        everywhere = slice(0, self._size), slice(0, self._size)
        through = np.zeros((self._size, self._size), np.float32)
        for item in clip.shapes:
            inner = self._seen_through(item.clips, everywhere)
            for colour, area in ((item.fill, _area(item, everywhere)), (item.stroke, _stroke_area(item, everywhere))):
                if colour is not None:
                    bright = float(np.dot(colour[:3], _BRIGHTNESS)) / 255 if clip.is_mask and not clip.by_alpha else 1.0
                    through += area * inner * (colour.alpha if clip.is_mask else 1.0) * (bright - through)
        return through

    def _fill(self, item: Painted, seen: np.ndarray, window: Window) -> None:
        assert item.fill is not None
        area = _area(item, window)
        visible = area & (seen > 0.5)
        painted, _ = self._mixed(item.fill[:3], item.fill.alpha * seen, window)
        _, differs = self._mixed(item.fill[:3], np.full_like(seen, item.fill.alpha), window)
        self._lines[window][visible & (item.fill.alpha * seen > _OPAQUE)] = False
        self._on_line[window][visible] = False
        self._colours[window][area] = painted[area]
        if not self._is_ground(visible):
            thin, middles = _thin_parts(visible, self._size)
            self._lines[window] |= middles & differs
            self._edges[window] |= _rim(visible & ~thin, differs)

    def _draw(self, item: Painted, seen: np.ndarray, window: Window) -> None:
        assert item.stroke is not None
        wide = _stroke_area(item, window)
        alpha = item.stroke.alpha * seen
        painted, differs = self._mixed(item.stroke[:3], alpha, window)
        if item.stroke_width > 2 * LINE:
            self._lines[window][wide & differs & (alpha > _OPAQUE)] = False
        lines = [part for part in item.lines if not self._is_frame(part)]
        middles = _polylines(lines, window, LINE) & (seen > 0.5)
        if item.stroke.alpha > CONTRAST / 255:
            self._lines[window] |= middles & (differs | self._on_line[window])
        self._colours[window][wide] = painted[wide]
        if item.stroke_width <= 2 * _THIN * self._size:
            self._on_line[window] |= wide & differs

    def _mixed(self, colour: tuple[float, ...], alpha: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Colours after painting all of a window, and where they differ from those before."""
        before = self._colours[window]
        painted = before + alpha[..., None] * (np.array(colour, np.float32) - before)
        return painted, np.abs(painted - before).max(-1) > CONTRAST

    def _is_ground(self, area: np.ndarray) -> bool:
        """Whether an area is as large as the page."""
        rows, columns = self._page
        return bool(area.sum() > 0.97 * (rows.stop - rows.start) * (columns.stop - columns.start))

    def _is_frame(self, line: Subpath) -> bool:
        """Whether a line runs along the edges of the page, all around, or beyond them."""
        if len(line.points) < 4 or not (line.closed or np.allclose(line.points[0], line.points[-1])):
            return False
        near = 0.01 * self._size
        outer = np.zeros(len(line.points), bool)
        for along, part in zip(line.points.T, self._page[::-1], strict=True):
            low, high = along < part.start + near, along > part.stop - near
            if not low.any() or not high.any():
                return False
            outer |= low | high
        return bool(outer.all())


def _window_of(item: Painted, page: Window) -> Window | None:
    """The part of the page that an item may change; None if it is none."""
    points = np.concatenate([part.points for part in item.outline])
    reach = max(item.stroke_width if item.stroke else 0.0, LINE) + 3  # for lines, and for the other side of edges
    parts = []
    for part, low, high in zip(page, points.min(0)[::-1] - reach, points.max(0)[::-1] + reach, strict=True):
        start, stop = max(low, part.start), min(high, part.stop)
        if start >= stop:
            return None
        parts.append(slice(int(start), min(int(stop) + 1, part.stop)))
    return parts[0], parts[1]


def _rim(area: np.ndarray, differs: np.ndarray) -> np.ndarray:
    """Both sides of the edge of an area; where the edge is beyond the page there is none."""
    inside: np.ndarray = area.astype(np.uint8)
    outer: np.ndarray = (cv2.dilate(inside, _CROSS, borderType=cv2.BORDER_REPLICATE) - inside) & differs
    return (outer | (cv2.dilate(outer, _CROSS) & inside)).astype(bool)


def _thin_parts(area: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of an area that are lines, and their centre lines, one pixel wide: both bool (h, w)."""
    pixels = area.astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    half_widths = cv2.distanceTransform(cv2.copyMakeBorder(pixels, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    widest = np.zeros(count, np.float32)
    np.maximum.at(widest, labels.ravel().astype(np.intp), half_widths[1:-1, 1:-1].ravel())
    long = facts[:, cv2.CC_STAT_AREA] > _LONG * widest**2
    thin = np.isin(labels, np.nonzero(long & (widest <= _THIN * size))[0]) & area
    return thin, skeletonize(thin) if thin.any() else thin


def _in_window(points: np.ndarray, window: Window) -> np.ndarray:
    """Points in pixels from a window's upper left corner; those that are far away are clipped."""
    rows, columns = window
    return np.nan_to_num(np.clip(points - np.array([columns.start, rows.start]), -_FAR, _FAR))


def _pixels(points: np.ndarray, window: Window) -> np.ndarray:
    """Points in OpenCV's coordinates: the centre of the window's first pixel is (0, 0)."""
    return np.round((_in_window(points, window) - 0.5) * 2**_SHIFT).astype(np.int32)


def _blank(window: Window) -> np.ndarray:
    return np.zeros([part.stop - part.start for part in window], np.uint8)


def _polylines(lines: Sequence[Subpath], window: Window, width: int) -> np.ndarray:
    """Where lines are: bool (h, w)."""
    canvas = _blank(window)
    for closed in (False, True):
        chosen = [_pixels(line.points, window) for line in lines if line.closed == closed]
        cv2.polylines(canvas, chosen, closed, 1, width, cv2.LINE_8, _SHIFT)
    return canvas.astype(bool)


def _stroke_area(item: Painted, window: Window) -> np.ndarray:
    """Where an item's lines are, as wide as they are: bool (h, w)."""
    return _polylines(item.lines if item.stroke else [], window, min(max(round(item.stroke_width), 1), _WIDEST))


def _area(item: Painted, window: Window) -> np.ndarray:
    """The inside of an outline, its edge included: bool (h, w)."""
    rows, columns = window
    polygons = [_in_window(part.points, window) for part in item.outline]
    winding = winding_numbers(polygons, rows.stop - rows.start, columns.stop - columns.start)
    inside = winding % 2 != 0 if item.even_odd else winding != 0
    return inside | _polylines([part._replace(closed=True) for part in item.outline], window, 1)
