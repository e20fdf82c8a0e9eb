"""The user's own pairs for the sketcher: pictures and drawings of them, named by a CSV."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from skimage.morphology import skeletonize

from sketch2video.data.sources.rows import assign_splits
from sketch2video.errors import UserError
from sketch2video.inputs.names import is_inside, is_too_long, name_on_disk
from sketch2video.inputs.tables import Row, read_table
from sketch2video.inputs.texts import brief
from sketch2video.media.pictures import RejectedPicture, read_picture

COLUMNS = ("photo", "drawing")
DARKNESS = 0.25
"""Of ink against its paper, as a share of the full range."""


class Pairs(NamedTuple):
    """Pictures uint8 (N, S, S, 3) RGB and their drawings uint8 (N, S, S), 255 ink on 0."""

    pictures: np.ndarray
    ink: np.ndarray


def read_pairs(folder: Path, name: str, size: int, test_fraction: float) -> tuple[Pairs, Pairs]:
    """Read a CSV with the columns ``photo,drawing`` and the pictures it names, relative to it.

    A drawing has dark lines on light paper, or light on dark, and is as large as its photo. Of both the middle square
    is cut out and brought to ``size``; lines become one pixel wide. All drawings of one photo share a split.

    Args:
        folder: that all paths stay in.
        name: of the CSV in it.
        size: S.
        test_fraction: share of the photos that is held out.

    Returns:
        The pairs to learn from and those held out.

    Raises:
        UserError: the CSV is missing, unreadable or empty, or a row cannot be used; the message names row and file.
    """
    table = folder / name
    if not is_inside(folder, folder, name):
        raise UserError(f"sketcher.pairs: {name} is outside of sketcher.folder ({folder}); move it there")
    pictures, inks, photos = [], [], []
    for row in read_table(table, COLUMNS, fix="name folder and CSV in sketcher.*").whole():
        paths = [_located(row, column, table, folder) for column in COLUMNS]
        photo, drawing = (_picture(table, row.line, path) for path in paths)
        if photo.shape != drawing.shape:
            raise UserError(
                f"{table} line {row.line}: {paths[0].name} is {photo.shape[1]} x {photo.shape[0]},"
                f" {paths[1].name} is {drawing.shape[1]} x {drawing.shape[0]}; draw at the photo's size"
            )
        ink = ink_of(drawing, size)
        if not ink.any():
            raise UserError(f"{table} line {row.line}: {paths[1].name} shows no lines; draw dark lines on light paper")
        pictures.append(cv2.resize(_middle(photo), (size, size), interpolation=cv2.INTER_AREA))
        inks.append(ink)
        photos.append(hashlib.sha256(photo.tobytes()).hexdigest())
    if len(set(photos)) < 2:
        raise UserError(f"{table} names fewer than two photos; add some, to learn from and to hold out")
    held_out = np.array(assign_splits(photos, [None] * len(photos), test_fraction)) == "test"
    everything = np.stack(pictures), np.stack(inks)
    return Pairs(*(each[~held_out] for each in everything)), Pairs(*(each[held_out] for each in everything))


def ink_of(drawing: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a drawing uint8 (H, W, 3) as lines one pixel wide: uint8 (size, size), 255 ink on 0."""
    grey = cv2.cvtColor(_middle(drawing), cv2.COLOR_RGB2GRAY)
    if np.median(grey) < 128:
        grey = 255 - grey
    middle = skeletonize(grey < np.median(grey) - 255 * DARKNESS)
    rows, columns = (np.nonzero(middle)[axis] * size // len(grey) for axis in range(2))
    ink = np.zeros((size, size), bool)
    ink[rows, columns] = True
    return skeletonize(ink).astype(np.uint8) * 255


def _located(row: Row, column: str, table: Path, folder: Path) -> Path:
    """The picture that a row names; it is in the folder."""
    where, value = f"{table} line {row.line}: {column}", row.values[column]
    if not value:
        raise UserError(f"{where} is empty; name a picture")
    if is_too_long(value):
        raise UserError(f"{where} {brief(value)} is longer than a file's name can be; check the row's quotes")
    if not is_inside(folder, table.parent, value):
        raise UserError(f"{where} {brief(value)} is outside of {folder}; put it there")
    return table.parent / name_on_disk(table.parent, value)


def _picture(table: Path, row: int, path: Path) -> np.ndarray:
    """A picture, upright, on white where it is transparent: uint8 (H, W, 3) RGB."""
    try:
        return read_picture(path)
    except RejectedPicture as error:
        raise UserError(f"{table} line {row}: {path.name} {error.reason}; {error.fix}") from error


def _middle(picture: np.ndarray) -> np.ndarray:
    """The middle square of a picture (H, W, 3)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])
