import json
import re

import numpy as np
import pandas as pd
import pytest

from sketch2video.data.clips.columns import IMAGE_COLUMNS
from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.data.validation.expectations import validate
from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES

FRAMES, SIZE, CLIPS = 16, 64, 24


@pytest.fixture
def params():
    return load_params()


@pytest.fixture
def tables():
    number = np.arange(CLIPS)
    attributes = {"shape": SHAPES, "colour": COLOURS, "motion": MOTIONS}
    shown = {name: [words[(n + n // 6) % 6] for n in number] for name, words in attributes.items()}
    clips = pd.DataFrame(
        {
            "clip_id": [f"clip-{n:02d}" for n in number],
            "path_to_video": [f"scenes/{n}.mp4" for n in number],
            "caption": [f"a video of number {n}" for n in number],
            "label": [" ".join(words) for words in zip(*shown.values(), strict=True)],
            "split": ["train" if n < CLIPS / 2 else "test" for n in number],
            "shard": number % 2,
            "row": number // 2,
            "source_frames": 30,
            "source_fps": 25.0,
            "fps": 12.5,
            "source_width": 320,
            "source_height": 240,
            "video_sha256": [f"{n:064x}" for n in number],
            **shown,
        }
    )
    curves = clips[["clip_id", "caption", "label", "split", "fps", "shard", "row"]].assign(
        num_parameters=288,
        strokes=2.5,
        ink_coverage=0.05,
        ink_to_curve_px=np.linspace(0.2, 1.0, CLIPS),
        curve_to_ink_px=0.5,
        rendered_discrepancy=0.1,
    )
    return clips, curves


def check(params, tables, folder, rejected="", images=None):
    clips, curves = tables
    for shard in range(2):
        rows = CLIPS // 2
        ids = [f"clip-{2 * row + shard:02d}" for row in range(rows)]
        frames = np.zeros((rows, FRAMES, SIZE, SIZE, 3), np.uint8)
        write_shard(shard_path(folder / "clips", shard), {"frames": frames}, ids, "key")
        coefficients = np.zeros((rows, FRAMES, 8, 2, 32), np.float32)
        write_shard(shard_path(folder / "curves", shard), {"coefficients": coefficients}, ids, "key")
    write_table(clips, folder / "clips/clips.parquet")
    write_table(curves, folder / "curves/curves.parquet")
    (folder / "clips/rejected.csv").write_text(f"row,path_to_video,caption,reason\n{rejected}")
    images = pd.DataFrame(columns=list(IMAGE_COLUMNS)).astype(IMAGE_COLUMNS) if images is None else images
    write_table(images, folder / "images/images.parquet")
    (folder / "images/rejected.csv").write_text("row,path_to_image,caption,reason\n")
    still = {"frames": np.zeros((len(images), 1, SIZE, SIZE, 3), np.uint8)}
    write_shard(shard_path(folder / "images", 0), still, images["image_id"].tolist(), "key")
    validate(
        params,
        clips=folder / "clips",
        curves=folder / "curves",
        images=folder / "images",
        report=folder / "reports/validation.json",
        docs=folder / "reports/data_docs",
        passed=folder / "validated.json",
    )


def test_good_data_pass_and_the_outcome_holds_no_time(params, tables, tmp_path):
    check(params, tables, tmp_path)
    first = (tmp_path / "reports/validation.json").read_bytes()
    passed = (tmp_path / "validated.json").read_bytes()
    assert json.loads(first)["success"]
    assert "clips" in (tmp_path / "reports/data_docs/index.html").read_text()
    check(params, tables, tmp_path)
    assert (tmp_path / "reports/validation.json").read_bytes() == first
    assert (tmp_path / "validated.json").read_bytes() == passed


def test_bad_data_end_the_stage_and_their_rows_are_named(params, tables, tmp_path):
    clips, curves = tables
    spoiled = [
        (clips, 0, "clip_id", "clip-02", "clips.clip_id"),
        (clips, 3, "caption", " ", "clips.caption"),
        (clips, 4, "caption", None, "clips.caption"),
        (clips, 5, "video_sha256", f"{20:064x}", "clips.splits_of_video_sha256"),
        (clips, 6, "split", "validation", "clips.split"),
        (clips, 7, "fps", 0.01, "clips.fps"),
        (clips, 8, "source_frames", 2, "clips.source_frames"),
        (clips, 9, "row", 99, "clips.frames"),
        (clips, 10, "shape", "hexagon", "clips.splits_of_shape"),
        (curves, 11, "num_parameters", 300, "curves.num_parameters"),
        (curves, 12, "ink_coverage", 0.0, "curves.ink_coverage"),
        (curves, 13, "ink_to_curve_px", np.nan, "curves.ink_to_curve_px"),
        (curves, 14, "split", "train", "curves.clip_known"),
        (curves, 15, "clip_id", "clip-99", "curves.clip_known"),
    ]
    for table, row, column, value, _ in spoiled:
        table.loc[row, column] = value
    with pytest.raises(UserError) as error:
        check(params, tables, tmp_path)
    lines = str(error.value).splitlines()
    for table, row, _, _, named in spoiled:
        clip = table["clip_id"][row]
        assert any(line.strip().startswith(named) and clip in line for line in lines), (named, clip, lines)
    assert not json.loads((tmp_path / "reports/validation.json").read_text())["success"]
    assert (tmp_path / "reports/data_docs/index.html").exists()
    for page in (tmp_path / "reports/data_docs").rglob("*.html"):
        text = page.read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"""<script|(src|<link[^>]*href)\s*=\s*["'](https?:)?//|url\(["']?http""", text)
    assert not (tmp_path / "validated.json").exists()


def test_a_column_of_the_wrong_type(params, tables, tmp_path):
    with pytest.raises(UserError, match=r"clips\.caption: .*_to_be_of_type\(type_=str\); rows .*\(7\)"):
        check(params, (tables[0].assign(caption=7), tables[1]), tmp_path)


def test_a_poor_fit_of_some_clips_is_allowed_up_to_the_quantile(params, tables, tmp_path):
    bound = params.validate_.max_ink_to_curve * SIZE
    tables[1].loc[:1, "ink_to_curve_px"] = 2 * bound
    check(params, tables, tmp_path)
    tables[1].loc[:5, "ink_to_curve_px"] = 2 * bound
    with pytest.raises(UserError, match=r"ink_to_curve_px.*mostly=0\.9.*clip-00 \(5\.12\)"):
        check(params, tables, tmp_path)


def test_a_missing_column_is_named(params, tables, tmp_path):
    with pytest.raises(UserError, match=r"expect_table_columns_to_match_set.*source_fps"):
        check(params, (tables[0].drop(columns="source_fps"), tables[1]), tmp_path)


def test_more_rejected_rows_than_allowed(params, tables, tmp_path):
    rejected = "".join(f"{n},v{n}.mp4,a caption,empty file\n" for n in range(params.ingest.max_rejected + 1))
    with pytest.raises(UserError, match=r"rejected: .*max_value=10.*observed 11"):
        check(params, tables, tmp_path, rejected)


class TestLabelsOfVideosFromAFolder:
    @pytest.fixture
    def params(self, params):
        return params.model_copy(update={"ingest": params.ingest.model_copy(update={"source": "folder"})})

    @pytest.fixture
    def tables(self, tables):
        clips, curves = tables
        return clips.assign(shape=None, colour=None, motion=None), curves

    def test_labels_of_one_clip_each_pass(self, params, tables, tmp_path):
        tables[0]["label"] = tables[0]["clip_id"]
        check(params, tables, tmp_path)

    def test_no_labels_pass(self, params, tables, tmp_path):
        check(params, (tables[0].assign(label=None), tables[1]), tmp_path)

    def test_further_labels_are_text_or_null(self, params, tables, tmp_path):
        clips, curves = (table.assign(**{"label.action": ["walk"] * 9 + [None] * 15}) for table in tables)
        check(params, (clips, curves), tmp_path)
        with pytest.raises(UserError, match=r"clips\.label\.action: .*_to_be_of_type\(type_=str\); rows .*\(7\)"):
            check(params, (clips.assign(**{"label.action": 7}), curves), tmp_path)

    def test_a_label_of_many_clips_that_training_never_shows(self, params, tables, tmp_path):
        tables[0]["label"] = ["word"] * (CLIPS - 6) + ["digit"] * 6
        with pytest.raises(UserError, match=r"clips\.label_in_training.*rows clip-18 \(no\), clip-19"):
            check(params, tables, tmp_path)


@pytest.fixture
def images():
    number = np.arange(6)
    return pd.DataFrame(
        {
            "image_id": [f"image-{n}" for n in number],
            "path_to_image": [f"stills/{n}.png" for n in number],
            "caption": [f"a picture of number {n}" for n in number],
            "split": ["train"] * 4 + ["test"] * 2,
            "shard": 0,
            "row": number,
            "source_width": 320,
            "source_height": 240,
            "image_sha256": [f"{n:064x}" for n in number],
        }
    )


def test_images_are_checked_like_clips(params, tables, images, tmp_path):
    check(params, tables, tmp_path, images=images)
    assert json.loads((tmp_path / "reports/validation.json").read_text())["success"]
    for row, column, value in (
        (0, "caption", " "),
        (1, "split", "validation"),
        (2, "row", 99),
        (4, "image_sha256", f"{3:064x}"),
    ):
        images.loc[row, column] = value
    with pytest.raises(UserError) as error:
        check(params, tables, tmp_path, images=images)
    lines = str(error.value).splitlines()
    for named in ("images.caption", "images.split", "images.frames", "images.splits_of_image_sha256"):
        assert any(line.strip().startswith(named) for line in lines), (named, lines)
    assert any("image-2" in line for line in lines)
