"""Drawings of some frames in prompts files: columns ``sketch_0``, ``sketch_15``, ..., and folders."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.generation.prompt_sketches import KeySketch
from sketch2video.generation.prompts import Prompt, read_prompts


def write(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, name: str = "p.csv") -> list[Prompt]:
    return read_prompts(write(folder, name, text))


def test_columns_name_drawings_of_frames(tmp_path: Path) -> None:
    first, last = write(tmp_path, "a/first.svg"), write(tmp_path, "last.PNG")
    expected = (KeySketch(0, first, "sketch_0"), KeySketch(15, last, "sketch_15"))
    header = "caption,num_frames,sketch_15,sketch_0,sketch"
    table = f"{header}\na star,16,last.PNG,a/first.svg,\na heart,,,,last.PNG\na ring,,,a/first.svg,\n"
    star, heart, ring = read(tmp_path, table)
    assert (star.sketch, star.sketches) == (None, expected)
    assert (heart.sketch, heart.sketches) == (last, ())
    assert (ring.sketch, ring.sketches) == (None, expected[:1])
    assert [prompt.drawn for prompt in (star, heart, ring, Prompt(1, "x"))] == [True, True, True, False]
    row = {"caption": "a star", "num_frames": 16, "sketch_15": "last.PNG", "sketch_0": "a/first.svg", "sketch": None}
    assert read(tmp_path, json.dumps(row), "p.jsonl")[0].sketches == expected
    spelled = read(tmp_path, "Caption;Sketch 0;SKETCH-15\na star;a/first.svg;last.PNG\n")[0].sketches
    assert [(one.frame, one.path) for one in spelled] == [(0, first), (15, last)]


@pytest.mark.parametrize(
    "names",
    [
        ["0.png", "15.svg"],
        ["frame-0000.png", "frame-0015.svg"],
        ["walk 0.jpg", "walk 15.json"],
        ["0.gif", "015.webp"],
        ["0.png", "15.png", ".DS_Store", ".15.png"],
    ],
)
@pytest.mark.parametrize("written", ["walk", "walk/", "./walk"])
def test_a_folder_has_drawings_of_frames(tmp_path: Path, names: list[str], written: str) -> None:
    files = [write(tmp_path, f"walk/{name}") for name in names][:2]
    prompt = read(tmp_path, f"caption,sketch\na star,{written}\n")[0]
    assert prompt.sketch is None
    assert [(one.frame, one.path) for one in prompt.sketches] == list(zip((0, 15), files, strict=True))
    assert [one.name for one in prompt.sketches] == [f"walk/{file.name}" for file in files]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for frame in (10, 9, 100):
        write(tmp_path, f"walk/{frame}.png")
    assert [one.frame for one in read(tmp_path, "caption,sketch\na star,walk\n")[0].sketches] == [9, 10, 100]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_in_either_normal_form(tmp_path: Path, form: str) -> None:
    write(tmp_path, unicodedata.normalize(form, "étoile/0.png"))
    for written in ("NFC", "NFD"):
        table = f"caption,sketch,sketch_3\na,{unicodedata.normalize(written, 'étoile')},\n"
        table += f"b,,{unicodedata.normalize(written, 'étoile/0.png')}\n"
        assert [prompt.sketches[0].frame for prompt in read(tmp_path, table)] == [0, 3]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("caption,sketch,sketch_0\na,a.png,b.png\n", "row 2: sketch and sketch_0 are given"),
        ("caption,sketch,sketch_0\na,walk,b.png\n", "row 2: sketch and sketch_0 are given"),
        ("caption,sketch_0,sketch_00\na,a.png,b.png\n", r"row 2: sketch_00: a\.png and b\.png are both of frame 0"),
        ("caption,sketch_0,Sketch-0\na,a.png,b.png\n", "several columns sketch_0"),
        (
            "caption,num_frames,sketch_15\nx,16,a.png\na,15,a.png\n",
            r"row 3: sketch_15 a\.png is of frame 15, .* 0 to 14",
        ),
        ("caption,sketch_1024\na,a.png\n", "row 2: sketch_1024 .* the frames 0 to 1023"),
        ("caption,num_frames,sketch\na,12,walk\n", r"row 2: sketch walk/12\.png is of frame 12, .* 0 to 11"),
        ("caption,sketch_0\na,film.mp4\n", r"row 2: sketch_0 film\.mp4 is a video, and a frame is a still drawing"),
        ("caption,sketch\na,films\n", r"row 2: sketch films/0\.mp4 is a video, and a frame is a still drawing"),
        ("caption,sketch_0\na,p.csv\n", r"row 2: sketch_0 p\.csv is of no known kind"),
        ("caption,sketch_0\na,gone.png\n", r"row 2: sketch_0 gone\.png is missing in"),
        ("caption,sketch_0\na,../a.png\n", r"row 2: sketch_0 \.\./a\.png is outside of"),
        ("caption,sketch_0\na,walk\n", "row 2: sketch_0 walk is a folder; name the drawing"),
        ("caption,sketch\na,twice\n", r"row 2: sketch: twice/1\.png and twice/1\.svg are both of frame 1; keep one"),
        ("caption,sketch\na,notes\n", r"row 2: sketch notes/notes\.png does not name one frame"),
        ("caption,sketch\na,dates\n", r"row 2: sketch dates/2026-11-30\.png does not name one frame"),
        ("caption,sketch\na,nested\n", r"row 2: sketch nested/0\.png is no file"),
        ("caption,sketch\na,empty\n", "row 2: sketch empty is an empty folder"),
        ("caption,sketch\na,links\n", r"row 2: sketch links/0\.png is outside of"),
        ("caption,sketch\na,linked\n", "row 2: sketch linked is outside of"),
        ("caption,sketch_x\na,a.png\n", "unknown column 'sketch_x'; the columns are .*, sketch, sketch_<frame>"),
        ("caption,sketch_-1\na,a.png\n", "unknown column"),
        (f"caption,sketch_{'9' * 5000}\na,a.png\n", "unknown column 'sketch_999"),
    ],
)
def test_a_wrong_drawing_is_one_line_that_names_row_and_column(tmp_path: Path, table: str, message: str) -> None:
    folder = tmp_path / "prompts"
    for name in ("a.png", "b.png", "walk/12.png", "film.mp4", "films/0.mp4", "twice/1.png", "twice/1.svg"):
        write(folder, name)
    for name in ("notes/notes.png", "dates/2026-11-30.png"):
        write(folder, name)
    (folder / "nested/0.png").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "links").mkdir()
    (folder / "links/0.png").symlink_to(write(tmp_path, "outside/0.png"))
    (folder / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=message) as error:
        read(folder, table)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", ["3", '["a.png"]', '""', '"a\\u0000.png"', '"\\udc00.png"'])
def test_what_is_no_path_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match="row 1: sketch_0 "):
        read(tmp_path, f'{{"caption": "a", "sketch_0": {value}}}', "p.jsonl")
