import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sketch2video.data.clips.columns import IMAGE_COLUMNS
from sketch2video.data.clips.shards import ShardReader
from sketch2video.data.ingest.images import ingest_images
from sketch2video.errors import UserError
from tests.data.test_ingest import SIZE, contents, params_with, scenes


def table_of(folder):
    return pd.read_parquet(folder / "images.parquet")


@pytest.fixture
def source(tmp_path):
    """Two wide images whose middle square is white, and one of each kind that cannot be used."""
    folder = tmp_path / "source"
    folder.mkdir()
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 255
    for name in ("a.png", "b.jpg"):
        Image.fromarray(picture).save(folder / name, quality=100)
    (folder / "empty.png").touch()
    data = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "text.png").write_text("not an image")
    names = ["a.png", "b.jpg", "empty.png", "cut.png", "text.png", "absent.png", "../a.png"]
    rows = [f"{name},picture number {number}" for number, name in enumerate(names)]
    (folder / "images.csv").write_text("\n".join(["path_to_image,caption", *rows]))
    return folder


def test_images_become_clips_of_one_frame(tmp_path, source):
    ingest_images(params_with(source="folder", folder=str(source), images="images.csv"), tmp_path / "images")
    table = table_of(tmp_path / "images").sort_values("path_to_image", ignore_index=True)
    assert list(table.columns) == list(IMAGE_COLUMNS)
    assert table["path_to_image"].tolist() == ["a.png", "b.jpg"]
    assert table["caption"].tolist() == ["picture number 0", "picture number 1"]
    assert set(table["split"]) == {"train", "test"}
    assert (table["source_width"].tolist(), table["source_height"].tolist()) == ([80, 80], [40, 40])
    frames = ShardReader(tmp_path / "images").batch("frames", table)
    assert frames.shape == (2, 1, SIZE, SIZE, 3)
    assert frames.dtype == np.uint8
    assert (frames[0] == 255).all()
    assert frames[1].min() > 240
    rejected = pd.read_csv(tmp_path / "images/rejected.csv")
    assert rejected.columns.tolist() == ["row", "path_to_image", "caption", "reason"]
    assert rejected["row"].tolist() == [4, 5, 6, 7, 8]
    reasons = ["cannot be read as an image"] * 3 + ["is missing", "leads out of the source folder"]
    for found, reason in zip(rejected["reason"], reasons, strict=True):
        assert reason in found


def test_too_many_rejected_images_end_the_stage(tmp_path, source):
    params = params_with(source="folder", folder=str(source), images="images.csv", max_rejected=4)
    with pytest.raises(UserError, match=r"5 of 7 rows of images\.csv are rejected: line 4 \(empty\.png\)") as caught:
        ingest_images(params, tmp_path / "images")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "images/images.parquet").exists()


def test_without_images_the_table_is_empty_and_old_shards_go(tmp_path):
    ingest_images(scenes(images=8), tmp_path)
    assert list((tmp_path / "shards").iterdir())
    ingest_images(scenes(), tmp_path)
    assert table_of(tmp_path).empty
    assert list(table_of(tmp_path).columns) == list(IMAGE_COLUMNS)
    assert not list((tmp_path / "shards").iterdir())
    ingest_images(params_with(source="folder", synthetic={"images": 8}), tmp_path / "of videos")
    assert table_of(tmp_path / "of videos").empty


def test_stills_are_captioned_by_shape_and_colour_for_training(tmp_path):
    ingest_images(scenes(images=64), tmp_path / "a")
    table = table_of(tmp_path / "a")
    assert len(table) == 64
    assert (table["split"] == "train").all()
    assert table["caption"].str.fullmatch(r"a (red|green|blue|yellow|purple|cyan) [a-z -]+").all()
    assert table["caption"].nunique() > 20
    assert table["image_sha256"].is_unique
    frames = ShardReader(tmp_path / "a").batch("frames", table)
    assert frames.shape == (64, 1, SIZE, SIZE, 3)
    # A still is the same still among more of them.
    ingest_images(scenes(images=70), tmp_path / "b")
    more = table_of(tmp_path / "b").set_index("image_id")
    columns = ["caption", "image_sha256"]
    pd.testing.assert_frame_equal(more.loc[table["image_id"], columns], table.set_index("image_id")[columns])


def test_a_still_is_of_the_colour_that_its_caption_names(tmp_path):
    ingest_images(scenes(images=48), tmp_path)
    table = table_of(tmp_path)
    for words, channel in (("a red", 0), ("a green", 1), ("a blue", 2)):
        rows = table[table["caption"].str.startswith(words)]
        frames = ShardReader(tmp_path).batch("frames", rows).astype(float)
        others = [c for c in range(3) if c != channel]
        vivid = frames[..., channel] - frames[..., others].max(-1)
        assert (vivid.reshape(len(rows), -1).max(1) > 60).all()


def test_repeating_gives_the_same_bytes(tmp_path, source):
    params = params_with(source="folder", folder=str(source), images="images.csv")
    for name in ("a", "b", "b"):
        ingest_images(params, tmp_path / name)
        ingest_images(scenes(images=8), tmp_path / f"still {name}")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "still a") == contents(tmp_path / "still b")
