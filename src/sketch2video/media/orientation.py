"""Orientation of the stored frames of a video: the display matrix that cameras write."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple, cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type

_TOLERANCE = math.radians(10)
"""Tolerance for the match of a matrix with an orientation."""


class Orientation(NamedTuple):
    """One of the eight orientations of a picture: transposed first, then mirrored.

    Attributes:
        transposed: rows become columns.
        mirrored: left becomes right.
        flipped: top becomes bottom.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """The picture (H, W, ...) as it is shown: (H, W, ...), or (W, H, ...) if it is transposed."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])


class SlantedPicture(ValueError):
    """A display matrix turns the picture by an angle that is not a multiple of 90 degrees."""


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """The orientation in which a player shows a decoded frame.

    Raises:
        SlantedPicture: the frame's display matrix turns it by another angle than multiples of 90 degrees, or shears it.
    """
    # PyAV's type annotations declare one item here.
    for side_data in cast(SideDataContainer, frame.side_data):
        if side_data.type == Type.DISPLAYMATRIX:
            return orientation_of_matrix(struct.unpack("=9i", bytes(side_data)[:36]))
    return Orientation()


def orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """The orientation of a display matrix.

    Args:
        matrix: 9 fixed-point numbers a, b, u, c, d, v, x, y, w of ISO/IEC 14496-12: the stored pixel (x, y), y down, is
            shown at (a x + c y, b x + d y). A singular matrix, which some programs write, counts as none.

    Raises:
        SlantedPicture: it is not one of the eight, up to 10 degrees.
    """
    a, b, _, c, d = (float(number) for number in matrix[:5])
    across, down = math.hypot(a, b), math.hypot(c, d)
    if not across or not down or abs(a * d - b * c) < 1e-6 * across * down:
        return Orientation()
    a, b, c, d = a / across, b / across, c / down, d / down
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    if min((abs(b), abs(c)) if transposed else (abs(a), abs(d))) < math.cos(_TOLERANCE):
        raise SlantedPicture(round(math.degrees(math.atan2(b, a))))
    return Orientation(True, c < 0, b < 0) if transposed else Orientation(False, a < 0, d < 0)
