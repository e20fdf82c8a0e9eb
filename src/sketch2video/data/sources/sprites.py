"""The sheets of YingzhenLi/Sprites: animated characters, composed of garments that are drawn over each other.

Layout, as the repository has it::

    body/0.png  bottomwear/0.png  topwear/0.png  hair/0.png    numbered from 0; a character has one of each
    shoes/1.png                                                worn by all_characters

A sheet has 13 columns and 21 rows of cells, 64 x 64 pixels each, RGBA. Four rows show an action from the back, the
left, the front and the right. The frames are those of the benchmark of Li & Mandt, "Disentangled Sequential
Autoencoder" (ICML 2018): columns as in :data:`COLUMNS`, on a black background, 1,000 training and 296 test characters.
Which characters these are is drawn by ``ingest.seed``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.media.pictures import RejectedPicture, middle_square, read_layer
from sketch2video.params import SpritesParams

GARMENTS = ("body", "bottomwear", "topwear", "hair")
"""Folders of the numbered sheets, the lowest layer first; the shoes are drawn over all of them."""

SHOES = "shoes/1.png"
ROWS = {"walk": 8, "spellcast": 0, "slash": 12}
"""First of the four rows of each action."""

COLUMNS = {
    "walk": (8, 1, 2, 3, 4, 5, 6, 7),
    "spellcast": (0, 1, 2, 3, 4, 5, 4, 6),
    "slash": (0, 1, 2, 3, 4, 5, 4, 0),
}
"""Columns of the eight frames of each action; in column 0 of walk the character does not move."""

DIRECTIONS = {"front": 2, "left": 1, "right": 3}
"""Row of each direction among the four of an action."""

FRAMES = 8
FPS = 8.0
"""Frames a second of the eight frames. The sheets state none."""

CELL = 64
SHEET = (13 * CELL, 21 * CELL)
"""Width and height of a sheet, pixels."""

GROUND = 0
"""Grey value of the background."""


class Character(NamedTuple):
    """Numbers of a character's sheets."""

    body: int
    bottomwear: int
    topwear: int
    hair: int


class SpriteClip(NamedTuple):
    """Character, action, direction and split of a clip."""

    character: Character
    action: str
    direction: str
    split: str

    @property
    def id(self) -> str:
        """Such as ``sprite-2-0-5-3-walk-left``: body, bottomwear, topwear, hair, action, direction."""
        return "-".join(["sprite", *map(str, self.character), self.action, self.direction])


class Sheet(NamedTuple):
    """A sheet's file and the hash of its bytes."""

    path: Path
    digest: str


def is_sprites(folder: Path) -> bool:
    """Whether a folder has the layout: numbered sheets of each garment."""
    return all((folder / garment / "0.png").is_file() for garment in GARMENTS)


def find_sheets(folder: Path, sheets: int) -> dict[str, list[Sheet]]:
    """Sheets 0 to ``sheets`` - 1 of each garment, and those of ``shoes``.

    Raises:
        UserError: a folder or a sheet is missing, damaged or of another size.
    """
    for garment in GARMENTS:
        if not (folder / garment).is_dir():
            layout = ", ".join(f"{name}/" for name in (*GARMENTS, "shoes"))
            raise UserError(f"{folder / garment} is not there; ingest.folder holds {layout} of Sprites")
    files = {garment: [folder / garment / f"{number}.png" for number in range(sheets)] for garment in GARMENTS}
    for path in itertools.chain(*files.values()):
        if not path.exists():
            raise UserError(f"{path} is missing; add it or lower ingest.sprites.sheets ({sheets})")
    files["shoes"] = [folder / SHOES]
    return {garment: [_checked(path) for path in paths] for garment, paths in files.items()}


def _checked(path: Path) -> Sheet:
    try:
        sheet = Sheet(path, sha256_of_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); download it again") from error
    _read_frames(sheet)
    return sheet


@cache
def _read_frames(sheet: Sheet) -> dict[tuple[str, str], np.ndarray]:
    """The frames of each action and direction on a sheet, uint8 (8, 64, 64, 4) RGBA; decoded once a process."""
    try:
        pixels = read_layer(sheet.path)
    except RejectedPicture as error:
        raise UserError(f"{sheet.path} {error.reason}; download it again") from error
    if pixels.shape[1::-1] != SHEET:
        size, expected = (f"{width} x {height} pixels" for width, height in (pixels.shape[1::-1], SHEET))
        raise UserError(f"{sheet.path} is {size}, a sheet of Sprites is {expected}; download it again")
    cells = pixels.reshape(SHEET[1] // CELL, CELL, SHEET[0] // CELL, CELL, 4).swapaxes(1, 2)
    return {
        (action, direction): cells[first + row, list(COLUMNS[action])]
        for action, first in ROWS.items()
        for direction, row in DIRECTIONS.items()
    }


def compose(sheets: Sequence[Sheet], action: str, direction: str, frames: int, size: int) -> np.ndarray:
    """Compose sheets over each other on the background: uint8 (T, S, S, 3) RGB.

    Args:
        sheets: the lowest layer first.
        action: a key of :data:`ROWS`.
        direction: a key of :data:`DIRECTIONS`.
        frames: T; other than eight, T of the eight frames are taken at even steps, the first and the last included.
        size: S, pixels.

    Raises:
        UserError: a sheet is damaged or of another size.
    """
    picture = np.full((FRAMES, CELL, CELL, 3), GROUND, np.uint32)
    for sheet in sheets:
        layer = _read_frames(sheet)[action, direction].astype(np.uint32)
        alpha = layer[..., 3:]
        picture = (layer[..., :3] * alpha + picture * (255 - alpha) + 127) // 255
    taken = np.linspace(0, FRAMES - 1, frames).round().astype(int)
    return np.stack([middle_square(frame, size) for frame in picture[taken].astype(np.uint8)])


def clips_of(params: SpritesParams, seed: int) -> list[SpriteClip]:
    """Every character of :func:`sides` in every action and direction."""
    return [
        SpriteClip(character, action, direction, split)
        for split, characters in sides(params, seed).items()
        for character in characters
        for action in ROWS
        for direction in DIRECTIONS
    ]


def sides(params: SpritesParams, seed: int) -> dict[str, list[Character]]:
    """The characters of each split.

    Where ``split`` is ``characters``, ``test_characters`` of all are drawn for ``test``. Where it is ``combinations``,
    each bottomwear is combined with one topwear by a random permutation, and the characters that wear such a pair are
    for ``test``: training contains every sheet, but none of these pairs. A smaller number of ``characters`` is a subset
    of either side, in the same proportion, and of the subset of any larger number.

    Raises:
        UserError: the characters for training do not show every sheet.
    """
    rng = np.random.default_rng([seed, 0x5921])
    all_characters = [Character(*numbers) for numbers in itertools.product(range(params.sheets), repeat=len(GARMENTS))]
    all_characters = [all_characters[index] for index in rng.permutation(len(all_characters))]
    if params.split == "characters":
        hidden = set(all_characters[: params.test_characters])
    else:
        topwear_of = rng.permutation(params.sheets)
        hidden = {one for one in all_characters if topwear_of[one.bottomwear] == one.topwear}
    test = [one for one in all_characters if one in hidden]
    train = _every_sheet_first([one for one in all_characters if one not in hidden])
    if params.characters:
        tests = max(round(params.characters * len(test) / len(all_characters)), 1)
        test, train = test[:tests], train[: params.characters - tests]
    if len(_sheets_of(train)) < len(GARMENTS) * params.sheets:
        raise UserError(
            f"ingest.sprites: {len(train)} characters for training do not show every sheet; raise characters or lower"
            " test_characters"
        )
    return {"train": sorted(train), "test": sorted(test)}


def _every_sheet_first(characters: Sequence[Character]) -> list[Character]:
    """The same characters, first those that show a sheet which none before them shows."""
    seen: set[tuple[int, int]] = set()
    first: list[Character] = []
    others: list[Character] = []
    for one in characters:
        (others if _sheets_of([one]) <= seen else first).append(one)
        seen |= _sheets_of([one])
    return first + others


def _sheets_of(characters: Iterable[Character]) -> set[tuple[int, int]]:
    """Garment and number of the sheets that characters show."""
    return {sheet for one in characters for sheet in enumerate(one)}
