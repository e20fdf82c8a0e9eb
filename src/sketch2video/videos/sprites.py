"""The sheets of YingzhenLi/Sprites: animated characters, composed of garments that are drawn over each other.

Layout of the folder, as the repository has it::

    body/0.png  bottomwear/0.png  topwear/0.png  hair/0.png    numbered from 0; a character is one of each
    shoes/1.png                                                worn by everyone

A sheet has 13 columns and 21 rows of cells, 64 x 64 pixels each, RGBA. Four rows show an action from the back, the
left, the front and the right. The frames are those of the benchmark of Li & Mandt, "Disentangled Sequential
Autoencoder" (ICML 2018): :data:`CELLS` lists its cells, on black ground.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.params import SpritesParams
from sketch2video.videos.pictures import middle_square

GARMENTS = ("body", "bottomwear", "topwear", "hair")
"""Folders of the numbered sheets, in the order in which they are drawn over each other; the shoes come last."""

SHOES = "shoes/1.png"
DIRECTIONS = {"left": 1, "front": 2, "right": 3}
"""Row of each direction among the four of an action."""

ACTIONS = {"spellcast": 0, "walk": 8, "slash": 12}
"""First of the four rows of each action."""

CELLS = {
    "spellcast": (0, 1, 2, 3, 4, 5, 4, 6),
    "walk": (8, 1, 2, 3, 4, 5, 6, 7),
    "slash": (0, 1, 2, 3, 4, 5, 4, 0),
}
"""Columns of the benchmark's eight frames; walk leaves out column 0, the character at rest."""

FRAMES = 8
FPS = 8.0
"""Frames a second of the eight frames; the sheets state none."""

CELL = 64
SHEET = (13 * CELL, 21 * CELL)
"""Width and height of a sheet, pixels."""

GROUND = 0
"""Grey value of the ground: the benchmark's is black."""


class Character(NamedTuple):
    """Numbers of a character's sheets."""

    body: int
    bottomwear: int
    topwear: int
    hair: int


class SpriteClip(NamedTuple):
    """One clip: who does what, seen from where, and the split that shows it."""

    character: Character
    action: str
    direction: str
    split: str

    @property
    def id(self) -> str:
        """Such as ``sprite-2-0-5-3-walk-left``."""
        return "-".join(["sprite", *map(str, self.character), self.action, self.direction])


class Sheet(NamedTuple):
    """A file and the hash of its bytes."""

    path: Path
    digest: str


def clips_of(wanted: SpritesParams, seed: int) -> list[SpriteClip]:
    """Every character in every action and direction.

    Raises:
        UserError: too few characters are for training to show every sheet.
    """
    return [
        SpriteClip(character, action, direction, split)
        for split, characters in sides(wanted, seed).items()
        for character in characters
        for action in ACTIONS
        for direction in DIRECTIONS
    ]


def sides(wanted: SpritesParams, seed: int) -> dict[str, list[Character]]:
    """The characters of each split.

    Raises:
        UserError: too few characters are for training to show every sheet.
    """
    rng = np.random.default_rng([seed, 0x5921])
    everyone = [Character(*numbers) for numbers in itertools.product(range(wanted.sheets), repeat=4)]
    order = [everyone[place] for place in rng.permutation(len(everyone))]
    if wanted.split == "characters":
        hidden = set(order[: wanted.test_characters])
    else:
        never_with = rng.permutation(wanted.sheets)
        hidden = {one for one in order if never_with[one.bottomwear] == one.topwear}
    test = [one for one in order if one in hidden]
    train = _every_sheet_first([one for one in order if one not in hidden])
    if wanted.characters:
        tests = max(round(wanted.characters * len(test) / len(everyone)), 1)
        test, train = test[:tests], train[: wanted.characters - tests]
    if len(_sheets_of(train)) < len(GARMENTS) * wanted.sheets:
        raise UserError(
            f"ingest.sprites: {len(train)} characters for training do not show every sheet;"
            " raise ingest.sprites.characters or lower ingest.sprites.test_characters"
        )
    return {"train": sorted(train), "test": sorted(test)}


def _every_sheet_first(characters: list[Character]) -> list[Character]:
    seen: set[tuple[int, int]] = set()
    first = []
    for one in characters:
        if not _sheets_of([one]) <= seen:
            seen |= _sheets_of([one])
            first.append(one)
    return first + [one for one in characters if one not in set(first)]


def _sheets_of(characters: Sequence[Character]) -> set[tuple[int, int]]:
    return {sheet for one in characters for sheet in enumerate(one)}


def find_sheets(folder: Path, sheets: int) -> dict[str, list[Sheet]]:
    """The sheets of each garment by number, and the shoes.

    Raises:
        UserError: a folder or a sheet is missing, damaged or of another size.
    """
    for garment in GARMENTS:
        if not (folder / garment).is_dir():
            raise UserError(f"{folder / garment} is not there; ingest.folder holds {', '.join(GARMENTS)} of Sprites")
    files = {garment: [folder / garment / f"{number}.png" for number in range(sheets)] for garment in GARMENTS}
    files["shoes"] = [folder / SHOES]
    return {garment: [_checked(path) for path in paths] for garment, paths in files.items()}


def _checked(path: Path) -> Sheet:
    try:
        sheet = Sheet(path, sha256_of_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); add it or lower ingest.sprites.sheets") from error
    read_cells(sheet)
    return sheet


@cache
def read_cells(sheet: Sheet) -> dict[tuple[str, str], np.ndarray]:
    """The frames that a sheet has for each action and direction: uint8 (8, 64, 64, 4) RGBA.

    Raises:
        UserError: the sheet is damaged or of another size.
    """
    try:
        with Image.open(sheet.path) as file:
            pixels = np.asarray(file.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{sheet.path} cannot be read as an image; download it again") from error
    if pixels.shape[1::-1] != SHEET:
        raise UserError(
            f"{sheet.path} is {pixels.shape[1]} x {pixels.shape[0]} pixels, a sheet is 832 x 1344; download it again"
        )
    cells = pixels.reshape(SHEET[1] // CELL, CELL, SHEET[0] // CELL, CELL, 4).swapaxes(1, 2)
    return {
        (action, direction): cells[first + row, list(CELLS[action])]
        for action, first in ACTIONS.items()
        for direction, row in DIRECTIONS.items()
    }


def compose(sheets: Sequence[Sheet], action: str, direction: str, frames: int, size: int) -> np.ndarray:
    """Draw sheets over each other, the first one lowest: uint8 (T, S, S, 3) RGB."""
    picture = np.full((FRAMES, CELL, CELL, 3), GROUND, np.uint32)
    for sheet in sheets:
        layer = read_cells(sheet)[action, direction].astype(np.uint32)
        alpha = layer[..., 3:]
        picture = (layer[..., :3] * alpha + picture * (255 - alpha) + 127) // 255
    sampled = picture.astype(np.uint8)[np.linspace(0, FRAMES - 1, frames).round().astype(int)]
    return np.stack([middle_square(frame, size) for frame in sampled]) if size != CELL else sampled
