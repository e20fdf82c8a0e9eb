import itertools
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sketch2video.data.clips.shards import ShardReader
from sketch2video.data.ingest.stage import ingest
from sketch2video.data.sources import sprites
from sketch2video.data.sources.sprite_captions import NAMES
from sketch2video.data.sources.sprites import Character, clips_of, compose, find_sheets, is_sprites, sides
from sketch2video.errors import UserError
from sketch2video.params import load_params, parse_params

GARMENTS = ("body", "bottomwear", "topwear", "hair")
SPRITES = load_params().ingest.sprites

CELLS = {
    ("walk", "left"): [(9, column) for column in (8, 1, 2, 3, 4, 5, 6, 7)],
    ("walk", "front"): [(10, column) for column in (8, 1, 2, 3, 4, 5, 6, 7)],
    ("walk", "right"): [(11, column) for column in (8, 1, 2, 3, 4, 5, 6, 7)],
    ("spellcast", "left"): [(1, column) for column in (0, 1, 2, 3, 4, 5, 4, 6)],
    ("spellcast", "front"): [(2, column) for column in (0, 1, 2, 3, 4, 5, 4, 6)],
    ("spellcast", "right"): [(3, column) for column in (0, 1, 2, 3, 4, 5, 4, 6)],
    ("slash", "left"): [(13, column) for column in (0, 1, 2, 3, 4, 5, 4, 0)],
    ("slash", "front"): [(14, column) for column in (0, 1, 2, 3, 4, 5, 4, 0)],
    ("slash", "right"): [(15, column) for column in (0, 1, 2, 3, 4, 5, 4, 0)],
}
"""Row and column of the cell of each frame, as the benchmark's own script takes them."""


def plain(red, alpha=255):
    """A sheet of one colour a cell: red as given, green by the cell's row, blue by its column."""
    row, column = (np.kron(part, np.ones((64, 64))) for part in np.mgrid[:21, :13])
    layers = [np.full((1344, 832), red), 12 * row, 19 * column, np.full((1344, 832), alpha)]
    return np.stack(layers, -1).astype(np.uint8)


def noisy(seed):
    """A sheet of random colours in blocks, of random alpha that is often 0 or 255."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (336, 208, 4))
    pixels[..., 3] = np.clip(pixels[..., 3] * 3 - 256, 0, 255)
    return pixels.astype(np.uint8).repeat(4, 0).repeat(4, 1)


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)


@pytest.fixture
def folder(tmp_path):
    """Two sheets of each garment: bodies whose cells are told by their colours; all else is transparent."""
    for number in range(2):
        save(plain(100 + number), tmp_path / f"sprites/body/{number}.png")
        for garment in GARMENTS[1:]:
            save(plain(number, alpha=0), tmp_path / f"sprites/{garment}/{number}.png")
    save(plain(0, alpha=0), tmp_path / "sprites/shoes/1.png")
    return tmp_path / "sprites"


def params_for(folder, frames=8, size=64, **values):
    content = yaml.safe_load(open("params.yaml", encoding="utf-8").read())  # noqa: PTH123, SIM115
    content["base"] |= {"frames": frames, "size": size, "workers": 1}
    content["ingest"] |= {"source": "sprites", "folder": str(folder), "shards": 3}
    content["ingest"]["sprites"] |= {"sheets": 2, "test_characters": 4} | values
    return parse_params(content)


def table_of(clips):
    return pd.read_parquet(clips / "clips.parquet")


def wanted(**values):
    return SPRITES.model_validate(SPRITES.model_dump() | values)


def test_every_frame_is_the_cell_of_the_benchmark(folder):
    body = find_sheets(folder, 2)["body"][1]
    for (action, direction), cells in CELLS.items():
        frames = compose([body], action, direction, frames=8, size=64)
        assert (frames.shape, frames.dtype) == ((8, 64, 64, 3), "uint8")
        expected = [(101, 12 * row, 19 * column) for row, column in cells]
        assert (frames == np.array(expected)[:, None, None]).all(), (action, direction)


def test_layers_are_composited_as_pillow_does_on_black(folder):
    worn = [("body", 1), ("bottomwear", 0), ("topwear", 1), ("hair", 0), ("shoes", 1)]
    for seed, (garment, number) in enumerate(worn):
        save(noisy(seed), folder / f"{garment}/{number}.png")
    sheets = find_sheets(folder, 2)
    frames = compose(
        [sheets[garment][number] for garment, number in worn[:-1]] + sheets["shoes"], "slash", "right", 8, 64
    )
    for frame, (row, column) in zip(frames, CELLS["slash", "right"], strict=True):
        picture = Image.new("RGBA", (64, 64), "black")
        for garment, number in worn:
            with Image.open(folder / f"{garment}/{number}.png") as sheet:
                cell = sheet.crop((64 * column, 64 * row, 64 * column + 64, 64 * row + 64))
            picture = Image.alpha_composite(picture, cell)
        np.testing.assert_array_equal(frame, np.asarray(picture.convert("RGB")))


def test_other_numbers_of_frames_are_taken_evenly_and_other_sizes_resized(folder):
    body = find_sheets(folder, 2)["body"][0]
    columns = compose([body], "walk", "front", frames=4, size=32)[..., 2] // 19
    assert columns.shape == (4, 32, 32)
    assert columns[:, 5, 5].tolist() == [8, 2, 5, 7]
    columns = compose([body], "walk", "front", frames=16, size=128)[:, 5, 5, 2] // 19
    assert columns.tolist() == [8, 8, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]


def test_every_character_does_everything(tmp_path, folder):
    ingest(params_for(folder), tmp_path / "clips")
    table = table_of(tmp_path / "clips")
    assert len(table) == 2**4 * 9
    assert table["clip_id"].is_unique
    row = table.set_index("clip_id").loc["sprite-1-0-1-0-walk-left"]
    assert row["label"] == "walk left"
    labels = [row[f"label.{name}"] for name in ("skin", "bottom", "top", "hair", "action", "direction")]
    assert labels == [
        NAMES["skin"][1],
        NAMES["bottom"][0],
        NAMES["top"][1],
        NAMES["hair"][0],
        "walk",
        "left",
    ]
    assert list(table.columns[-6:]) == [
        f"label.{name}" for name in ("action", "bottom", "direction", "hair", "skin", "top")
    ]
    assert table[["shape", "colour", "motion"]].isna().all(axis=None)
    assert (table[["source_frames", "source_fps", "fps"]] == 8).all(axis=None)
    assert (tmp_path / "clips/rejected.csv").read_text() == "row,path_to_video,caption,reason\n"
    reader = ShardReader(tmp_path / "clips")
    frames = reader("frames", row["shard"], row["row"])
    np.testing.assert_array_equal(frames[:, 0, 0], [(101, 12 * r, 19 * c) for r, c in CELLS["walk", "left"]])
    cuts = reader.batch("cuts", table)
    assert (cuts.shape, cuts.dtype, cuts.any()) == ((len(table), 8), "bool", False)


def test_what_is_made_is_not_made_again(tmp_path, folder, monkeypatch):
    clips, made = tmp_path / "clips", []
    monkeypatch.setattr(sprites, "compose", lambda *what, **settings: made.append(what) or compose(*what, **settings))
    ingest(params_for(folder, characters=10), clips)
    assert len(made) == 10 * 9
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (clips / "shards").iterdir()}
    table = table_of(clips)
    ingest(params_for(folder, characters=10), clips)
    assert len(made) == 10 * 9
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (clips / "shards").iterdir()}
    assert after == before
    pd.testing.assert_frame_equal(table_of(clips), table)

    ingest(params_for(folder), clips)  # six more characters
    assert len(made) == 16 * 9
    assert set(table["clip_id"]) <= set(table_of(clips)["clip_id"])

    made.clear()
    save(plain(50), folder / "hair/1.png")
    ingest(params_for(folder), clips)
    assert len(made) == 8 * 9
    table = table_of(clips)
    red = ShardReader(clips).batch("frames", table)[:, 0, 0, 0, 0]
    assert ((red == 50) == (table["label.hair"] == NAMES["hair"][1])).all()


def with_short_profile(path):
    """A PNG with a colour profile of two bytes behind its pixels, for which Pillow raises an IndexError."""
    data, chunk = path.read_bytes(), b"iCCPab"
    return data[:-12] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[-12:]


def test_a_sheet_is_decoded_once_a_process(tmp_path, folder, monkeypatch):
    opened = []
    read = sprites.read_layer
    monkeypatch.setattr(sprites, "read_layer", lambda path: opened.append(path) or read(path))
    ingest(params_for(folder), tmp_path / "clips")
    assert sorted(opened) == sorted(folder.glob("*/*.png"))


def test_the_published_split_has_1000_characters_to_train_and_296_to_test():
    found = sides(wanted(), seed=0)
    assert {split: len(characters) for split, characters in found.items()} == {"train": 1000, "test": 296}
    assert set(found["train"]) | set(found["test"]) == set(itertools.product(range(6), repeat=4))
    assert sides(wanted(), seed=0) == found
    assert sides(wanted(), seed=1) != found


@pytest.mark.parametrize("split", ["characters", "combinations"])
@pytest.mark.parametrize("count", [0, 40, 164])
def test_training_shows_every_sheet_and_no_character_of_the_test(split, count):
    for seed in range(5):
        asked = wanted(split=split, characters=count)
        found = sides(asked, seed)
        train, test = set(found["train"]), set(found["test"])
        assert len(train) + len(test) == (count or 6**4)
        assert not train & test
        assert all({character[garment] for character in train} == set(range(6)) for garment in range(4))
        shown = {(clip.action, clip.direction) for clip in clips_of(asked, seed) if clip.split == "train"}
        assert shown == set(CELLS)
        if split == "combinations":
            pairs = [{(one.bottomwear, one.topwear) for one in side} for side in (train, test)]
            assert not pairs[0] & pairs[1]
            assert count or (len(pairs[1]) == 6 and len(test) == 6**3)


@pytest.mark.parametrize("split", ["characters", "combinations"])
def test_a_subset_is_part_of_any_larger_one(split):
    few, more, everyone = (sides(wanted(split=split, characters=count), 3) for count in (50, 164, 0))
    for side in ("train", "test"):
        assert set(few[side]) < set(more[side]) < set(everyone[side])
    share = len(everyone["test"]) / 6**4
    assert len(more["test"]) == round(164 * share)


def test_too_few_characters_for_training_are_an_error():
    for asked in (wanted(characters=5), wanted(test_characters=1292)):
        with pytest.raises(UserError, match=r"ingest\.sprites: [45] characters for training do not show every sheet"):
            sides(asked, 0)


def test_ids_name_the_sheets():
    assert sprites.SpriteClip(Character(2, 0, 5, 3), "walk", "left", "train").id == "sprite-2-0-5-3-walk-left"


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        (
            "topwear",
            lambda path: path.rename(path.with_name("tops")),
            r"topwear is not there; ingest\.folder holds body/",
        ),
        ("hair/1.png", lambda path: path.unlink(), r"hair/1\.png is missing; .*ingest\.sprites\.sheets \(2\)"),
        ("shoes/1.png", lambda path: path.unlink(), r"shoes/1\.png cannot be read"),
        (
            "body/0.png",
            lambda path: path.write_bytes(path.read_bytes()[:900]),
            r"body/0\.png cannot be read as an image",
        ),
        (
            "body/0.png",
            lambda path: path.write_bytes(with_short_profile(path)),
            r"body/0\.png cannot be read as an image",
        ),
        ("body/0.png", lambda path: path.write_bytes(b""), r"body/0\.png cannot be read as an image"),
        (
            "hair/0.png",
            lambda path: save(plain(9)[:64], path),
            r"hair/0\.png is 832 x 64 pixels, .* is 832 x 1344 pixels",
        ),
    ],
)
def test_a_sheet_that_cannot_be_used_is_named(tmp_path, folder, name, spoil, message):
    spoil(folder / name)
    with pytest.raises(UserError, match=message) as caught:
        ingest(params_for(folder), tmp_path / "clips")
    assert "\n" not in str(caught.value)


def test_the_layout_is_recognised(folder):
    assert is_sprites(folder)
    (folder / "hair/0.png").unlink()
    assert not is_sprites(folder)
