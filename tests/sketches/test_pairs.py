from pathlib import Path

import cv2
import numpy as np
import pytest

from sketch2video.errors import UserError
from sketch2video.sketches.pairs import ink_of, read_pairs


def write_pair(folder: Path, number: int, height: int = 60, width: int = 80, drawings: int = 1) -> list[str]:
    """A photo of a bright square and drawings of it; returns their rows of the CSV."""
    photo = np.full((height, width, 3), 40 + number, np.uint8)
    photo[20:40, 30:50] = 200
    cv2.imwrite(str(folder / f"photo{number}.png"), photo)
    rows = []
    for variant in range(drawings):
        paper = np.full((height, width, 3), 255, np.uint8)
        cv2.rectangle(paper, (30, 20), (49, 39), (30, 30, 30), 1 + variant)
        cv2.imwrite(str(folder / f"drawing{number}-{variant}.png"), paper)
        rows.append(f"photo{number}.png,drawing{number}-{variant}.png")
    return rows


def write_table(folder: Path, rows: list[str]) -> None:
    (folder / "pairs.csv").write_text("\n".join(["photo,drawing", *rows]) + "\n")


def read(folder: Path, test_fraction: float = 0.3):
    return read_pairs(folder, "pairs.csv", 30, test_fraction)


def test_drawings_come_to_lie_on_their_photos(tmp_path):
    write_table(tmp_path, [row for number in range(4) for row in write_pair(tmp_path, number)])
    training, held_out = read(tmp_path)
    assert len(training.pictures) + len(held_out.pictures) == 4
    assert training.pictures.shape[1:] == (30, 30, 3)
    for pictures, ink in zip(*(np.concatenate(each) for each in zip(training, held_out, strict=True)), strict=True):
        bright = np.uint8(pictures[..., 0] > 120)
        border = cv2.morphologyEx(bright, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        assert ink.any()
        assert border[ink > 0].all(), "60 x 80 px are cut to the middle 60 x 60 and halved, both alike"


def test_all_drawings_of_a_photo_share_a_split(tmp_path):
    write_table(tmp_path, [row for number in range(6) for row in write_pair(tmp_path, number, drawings=3)])
    splits = [{p.tobytes() for p in pairs.pictures} for pairs in read(tmp_path)]
    assert not splits[0] & splits[1]
    assert len(splits[0]) + len(splits[1]) == 6


@pytest.mark.parametrize("thickness", [1, 3, 8])
@pytest.mark.parametrize("chalk", [False, True])
def test_lines_of_any_width_and_polarity_become_one_pixel_wide(thickness, chalk):
    paper = np.full((200, 200, 3), 250, np.uint8)
    cv2.line(paper, (0, 100), (199, 100), (40, 40, 40), thickness)
    rows, columns = np.nonzero(ink_of(255 - paper if chalk else paper, 50))
    assert abs(rows - 25).max() <= 1
    assert len(columns) == len(set(columns))
    assert len(columns) > 44


def damaged(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "photo1.png").unlink(), r"pairs\.csv line 3: photo1\.png is missing"),
        (lambda f: damaged(f, "drawing1-0.png"), r"line 3: drawing1-0\.png cannot be read as an image"),
        (
            lambda f: write_pair(f, 1, 60, 82) and write_photo(f),
            r"line 3: photo1\.png is 80 x 60, drawing1-0\.png is 82",
        ),
        (lambda f: cv2.imwrite(str(f / "drawing1-0.png"), np.full((60, 80, 3), 255)), "drawing1-0.png shows no lines"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, spoil, message):
    write_table(tmp_path, [row for number in range(3) for row in write_pair(tmp_path, number)])
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def write_photo(folder: Path) -> None:
    cv2.imwrite(str(folder / "photo1.png"), np.zeros((60, 80, 3), np.uint8))


@pytest.mark.parametrize("row", ["../a.png,b.png", "/etc/a.png,b.png", "photo0.png,link/b.png"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, row):
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    write_table(folder, [*write_pair(folder, 0), row])
    with pytest.raises(UserError, match=r"pairs\.csv line 3: \w+ \S+ is outside of"):
        read(folder)
    with pytest.raises(UserError, match=r"outside of sketcher\.folder"):
        read_pairs(folder, "../pairs.csv", 30, 0.3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column photo, drawing"),
        (b"photo,sketch\na,b\n", "no column drawing"),
        (b"photo,drawing\n", "names fewer than two photos"),
        (b"photo,drawing\n,b.png\n", "line 2: photo is empty"),
        (b"photo,drawing\na.png\n", "line 2: drawing is empty"),
        (b"photo,drawing\n\xff\xfe,b\n", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_no_pairs(tmp_path, content, message):
    if content is not None:
        (tmp_path / "pairs.csv").write_bytes(content)
    if message.startswith("line 2: drawing"):
        write_pair(tmp_path, 0)
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_one_photo_is_not_enough(tmp_path):
    write_table(tmp_path, write_pair(tmp_path, 0, drawings=2))
    with pytest.raises(UserError, match="names fewer than two photos"):
        read(tmp_path)
