import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sketch2video.data.clips.shards import ShardReader, clip_ids_of, label_columns, read_shard, shard_path
from sketch2video.data.ingest.stage import ingest, ingest_all
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.params import parse_params
from sketch2video.scenes.synthetic import SHAPE_COLOURS, combinations, held_out
from tests.media.small_videos import encode, noisy, number_of, numbered

PARAMS = Path(__file__).parents[2] / "params.yaml"
FRAMES, SIZE = 4, 16


def params_with(**ingest_values):
    """The default parameters at a small size, in one process."""
    values = yaml.safe_load(PARAMS.read_text())
    values["base"] |= {"frames": FRAMES, "size": SIZE, "workers": 1}
    values["ingest"] |= {"shards": 4, "min_frames": 3}
    synthetic = ingest_values.pop("synthetic", {})
    values["ingest"] |= ingest_values
    values["ingest"]["synthetic"] |= {"clips_per_combination": 1} | synthetic
    return parse_params(values)


def scenes(**values):
    return params_with(source="synthetic", synthetic=values)


def videos(folder, **values):
    return params_with(source="folder", folder=str(folder), **values)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def table_of(folder):
    return pd.read_parquet(folder / "clips.parquet")


@pytest.fixture
def source(tmp_path):
    """Eight good videos, and one of each kind that cannot be used."""
    folder = tmp_path / "source"
    folder.mkdir()
    rows = ["path_to_video,caption,label"]
    for number in range(8):
        encode(folder / f"{number}.mp4", numbered(6 + number))
        rows.append(f"{number}.mp4,video number {number},{'even' if number % 2 == 0 else ''}")
    encode(folder / "short.mp4", numbered(2))
    encode(folder / "whole.mkv", noisy(20))
    data = (folder / "whole.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(data[: len(data) // 2])
    (folder / "empty.mp4").touch()
    rows += [f"{name},a video," for name in ("short.mp4", "cut.mkv", "empty.mp4", "absent.mp4", "../0.mp4")]
    rows += ["0.mp4,,"]
    (folder / "captions.csv").write_text("\n".join(rows))
    return folder


def test_the_table_says_what_the_shards_hold(tmp_path, source):
    ingest(videos(source), tmp_path / "clips")
    table = table_of(tmp_path / "clips")
    assert table["clip_id"].is_monotonic_increasing
    assert table["path_to_video"].tolist() == [f"{number}.mp4" for number in range(8)]
    assert table["caption"].tolist() == [f"video number {number}" for number in range(8)]
    assert table["label"].isna().tolist() == [False, True] * 4
    assert table["source_frames"].tolist() == list(range(6, 14))
    np.testing.assert_allclose(table["source_fps"], 25)
    np.testing.assert_allclose(table["fps"], (FRAMES - 1) / ((table["source_frames"] - 1) / 25))
    assert table["video_sha256"].tolist() == [sha256_of_file(source / path) for path in table["path_to_video"]]
    assert set(table["split"]) == {"train", "test"}
    assert table[["shape", "colour", "motion"]].isna().all(axis=None)
    for name in ("clip_id", "caption", "label", "split", "shape"):
        assert table[name].dtype == "str"
    for name in ("shard", "row", "source_frames", "source_width"):
        assert table[name].dtype == "int64"
    reader = ShardReader(tmp_path / "clips")
    for _, row in table.iterrows():
        assert clip_ids_of(shard_path(tmp_path / "clips", row["shard"]))[row["row"]] == row["clip_id"]
        clip = reader("frames", row["shard"], row["row"])
        assert clip.shape == (FRAMES, SIZE, SIZE, 3)
        assert number_of(clip[0]) == 0
        assert number_of(clip[-1]) == row["source_frames"] - 1


def test_rejected_rows_are_listed_on_every_run(tmp_path, source):
    for _ in range(2):
        ingest(videos(source), tmp_path / "clips")
        rejected = pd.read_csv(tmp_path / "clips" / "rejected.csv")
        assert rejected.columns.tolist() == ["row", "path_to_video", "caption", "reason"]
        assert rejected["row"].tolist() == list(range(10, 16))
        reasons = ["too short", "truncated", "is empty", "is missing", "leads out", "caption is empty"]
        for found, reason in zip(rejected["reason"], reasons, strict=True):
            assert reason in found


def test_too_many_rejected_rows_end_the_stage(tmp_path, source):
    with pytest.raises(UserError) as caught:
        ingest(videos(source, max_rejected=5), tmp_path / "clips")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("6 of 14 rows", "line 10 (short.mp4)", "rejected.csv", "ingest.max_rejected (5)"):
        assert part in message
    assert len(pd.read_csv(tmp_path / "clips" / "rejected.csv")) == 6
    assert not (tmp_path / "clips" / "clips.parquet").exists()


def test_a_source_without_a_usable_video_ends_the_stage(tmp_path):
    (tmp_path / "captions.csv").write_text("path_to_video,caption\na.mp4,x\n")
    with pytest.raises(UserError, match="no video is left"):
        ingest(videos(tmp_path), tmp_path / "clips")


def test_a_link_that_leads_nowhere_costs_its_row_alone(tmp_path, monkeypatch):
    folder = tmp_path / "source"
    folder.mkdir()
    rows = ["path_to_video,caption"]
    for number, name in enumerate(("12:30:05.mp4", "what is this? #1.mp4", "50%20.mp4", "it's.mp4")):
        encode(folder / name, numbered(6 + number))
        rows.append(f"{name},clip {number}")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / os.fsdecode(b"\xff.mp4")).write_text("no row names it")
    (folder / "captions.csv").write_text("\n".join([*rows, "gone.mp4,a link"]))
    params = params_with(source="folder", folder=str(folder), captions="captions.csv", max_rejected=1)
    ingest_all(params, tmp_path / "data")
    assert len(table_of(tmp_path / "data/clips")) == 4
    rejected = pd.read_csv(tmp_path / "data/clips/rejected.csv")
    assert rejected["path_to_video"].tolist() == ["gone.mp4"]

    monkeypatch.setenv("DVC_STAGE", "ingest")  # DVC would hash the folder after the stage, and fail
    with pytest.raises(UserError, match=r"DVC cannot hash .*gone\.mp4 is a link that leads nowhere; .*udcff\.mp4"):
        ingest_all(params, tmp_path / "data")


def test_an_added_video_leaves_the_other_shards_alone(tmp_path, source):
    clips, halves = tmp_path / "clips", videos(source, test_fraction=0.5)  # so that no split is empty
    ingest(halves, clips)
    before, times = contents(clips), {path: path.stat().st_mtime_ns for path in (clips / "shards").iterdir()}
    splits = table_of(clips).set_index("clip_id")["split"]
    with (source / "captions.csv").open("a") as file:
        file.write("\nwhole.mkv,one more,\n")
    ingest(halves, clips)
    table = table_of(clips).set_index("clip_id")
    assert len(table) == 9
    added = shard_path(clips, table.loc[table["path_to_video"] == "whole.mkv", "shard"].item())
    after = contents(clips)
    for path, time_before in times.items():
        if path != added:
            assert path.stat().st_mtime_ns == time_before
            assert after[f"shards/{path.name}"] == before[f"shards/{path.name}"]
    assert after[f"shards/{added.name}"] != before.get(f"shards/{added.name}")
    assert (table["split"][splits.index] == splits).all()


def test_a_changed_video_changes_its_shard_and_a_removed_one_goes(tmp_path, source):
    clips = tmp_path / "clips"
    ingest(videos(source), clips)
    before, shard_of_first = contents(clips), table_of(clips)["shard"][0]
    encode(source / "0.mp4", numbered(20))
    ingest(videos(source), clips)
    after = contents(clips)
    changed = {name for name in before if name.startswith("shards/") and before[name] != after[name]}
    assert changed == {f"shards/{shard_of_first:04d}.safetensors"}
    assert table_of(clips)["source_frames"][0] == 20
    (source / "captions.csv").write_text("path_to_video,caption\n1.mp4,x\n2.mp4,x\n")
    ingest(videos(source), clips)
    table = table_of(clips)
    assert len(table) == 2
    assert {path.name for path in (clips / "shards").iterdir()} == {f"{n:04d}.safetensors" for n in table["shard"]}


def test_copies_of_a_video_share_a_split(tmp_path, source):
    rows = ["path_to_video,caption"]
    for number in range(8):
        shutil.copy(source / f"{number}.mp4", source / f"copy-{number}.mp4")
        rows += [f"{number}.mp4,x", f"{number}.mp4,y", f"copy-{number}.mp4,x"]
    (source / "captions.csv").write_text("\n".join(rows))
    ingest(videos(source, test_fraction=0.5), tmp_path / "clips")
    assert (table_of(tmp_path / "clips").groupby("video_sha256")["split"].nunique() == 1).all()


def test_named_splits_are_taken_over(tmp_path, source):
    rows = [f"{number}.mp4,x,{'test' if number < 3 else 'train'}" for number in range(8)]
    (source / "captions.csv").write_text("path_to_video,caption,split\n" + "\n".join(rows))
    ingest(videos(source), tmp_path / "clips")
    assert table_of(tmp_path / "clips")["split"].tolist() == ["test"] * 3 + ["train"] * 5


def test_further_labels_are_columns_behind_the_others(tmp_path, source):
    ingest(videos(source), tmp_path / "clips")
    columns = list(table_of(tmp_path / "clips").columns)
    rows = ["0.mp4,x,walk,", "1.mp4,y,,red", "2.mp4,z,,"]
    (source / "captions.csv").write_text("\n".join(["path_to_video,caption,label.do,label.a b", *rows]))
    ingest(videos(source), tmp_path / "clips")
    table = table_of(tmp_path / "clips")
    assert list(table.columns) == [*columns, "label.a b", "label.do"]
    assert table["label.do"].dtype == "str"
    table = table.set_index("path_to_video").sort_index()
    assert table["label.do"].fillna("none").tolist() == ["walk", "none", "none"]
    assert table["label.a b"].fillna("none").tolist() == ["none", "red", "none"]


def test_scenes_show_held_out_combinations_in_the_test_split_alone(tmp_path):
    params = scenes(clips_per_combination=2)
    ingest(params, tmp_path)
    table = table_of(tmp_path)
    assert len(table) == 2 * len(combinations())
    assert "red-circle-left-to-right-001" in table["clip_id"].tolist()
    hidden = held_out(params.ingest.synthetic.held_out_combinations, params.ingest.seed)
    for _, row in table.iterrows():
        shown = (row["shape"], row["colour"], row["motion"])
        assert (row["split"] == "test") == (shown in hidden)
        assert row["label"] == f"{row['colour']} {row['shape']} {row['motion']}"
        assert row["colour"] in row["caption"]
    assert table["caption"].nunique() > table["label"].nunique()
    assert table["video_sha256"].is_unique
    arrays = read_shard(shard_path(tmp_path, 0))
    clips = (table["shard"] == 0).sum()
    assert arrays["frames"].shape == (clips, FRAMES, SIZE, SIZE, 3)
    assert arrays["outlines"].shape == (clips, FRAMES, 1, 128, 2)
    assert arrays["masks"].shape == (clips, FRAMES, SIZE, SIZE)
    assert (arrays["frames"].dtype, arrays["outlines"].dtype, arrays["masks"].dtype) == ("uint8", "float32", "uint8")
    # The object is where its outline and its mask say: their centres agree.
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    mask = arrays["masks"][0, 0] == 1
    centre = arrays["outlines"][0, 0, 0].mean(0) * SIZE
    assert np.hypot(x[mask].mean() - centre[0], y[mask].mean() - centre[1]) < 1


def test_a_scene_depends_on_seed_and_id_alone(tmp_path):
    ingest(scenes(), tmp_path / "a")
    ingest(params_with(source="synthetic", shards=7, synthetic={"clips_per_combination": 2}), tmp_path / "b")
    first, second = (table_of(tmp_path / name).set_index("clip_id") for name in "ab")
    columns = ["caption", "label", "split", "fps", "video_sha256"]
    pd.testing.assert_frame_equal(first[columns], second.loc[first.index, columns])


def test_two_objects_come_from_the_same_side_of_the_split(tmp_path):
    params = scenes(objects=2, moving_ground=True)
    ingest(params, tmp_path)
    table = table_of(tmp_path)
    hidden = {f"{c.colour} {c.shape} {c.motion}" for c in held_out(36, params.ingest.seed)}
    for _, row in table.iterrows():
        assert {part in hidden for part in row["label"].split(" and ")} == {row["split"] == "test"}
    assert table["shape"].isna().all()
    assert read_shard(shard_path(tmp_path, 0))["outlines"].shape[2] == 2


def test_two_objects_are_labelled_by_what_they_are_and_do_in_any_order(tmp_path):
    ingest(scenes(objects=2), tmp_path / "two")
    table = table_of(tmp_path / "two")
    for _, row in table.iterrows():
        objects = [part.split(maxsplit=2) for part in row["label"].split(" and ")]
        for column, place in (("label.shapes", 1), ("label.motions", 2)):
            words = [one[place] for one in objects]
            if column == "label.motions" or isinstance(row[column], str):
                assert row[column] in (" and ".join(words), " and ".join(reversed(words)))
    assert table["label.shapes"].nunique() == 21, "neither order has a word of its own"
    assert 0 < table["label.shapes"].isna().mean() < 0.2, "what hides another object all the time has no such label"
    ingest(scenes(), tmp_path / "one")
    assert not label_columns(table_of(tmp_path / "one"))


def test_an_order_changes_captions_and_labels_but_no_frame(tmp_path):
    ingest(scenes(objects=2), tmp_path / "a")
    ingest(scenes(objects=2, in_front=True), tmp_path / "b")
    before, after = table_of(tmp_path / "a"), table_of(tmp_path / "b")
    assert before["video_sha256"].tolist() == after["video_sha256"].tolist()
    assert before["label"].tolist() == after["label"].tolist()
    said = after["caption"].str.contains(" in front of | behind ")
    assert 0.5 < said.mean() < 1
    pd.testing.assert_series_equal(said, after["label.front_shape"].notna(), check_names=False)
    assert before["caption"][~said].tolist() == after["caption"][~said].tolist()
    assert not before["caption"].str.contains(" in front of | behind ").any()
    assert "label.front_colour" not in before


def test_an_order_needs_two_objects():
    with pytest.raises(UserError, match=r"set ingest\.synthetic\.objects to 2"):
        scenes(in_front=True)


def test_the_data_are_drawn_by_their_own_seed(tmp_path):
    params = scenes()
    other = params.model_copy(update={"base": params.base.model_copy(update={"seed": 1})})
    ingest(params, tmp_path / "a")
    ingest(other, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    ingest(params_with(source="synthetic", seed=1), tmp_path / "c")
    first, third = (table_of(tmp_path / name) for name in "ac")
    assert first["clip_id"].tolist() == third["clip_id"].tolist()
    assert not first["video_sha256"].isin(third["video_sha256"]).any()
    assert (first["split"] != third["split"]).any()


def test_the_semantic_map_shows_each_shape_in_its_colour(tmp_path):
    ingest(scenes(objects=2, control=True), tmp_path)
    table = table_of(tmp_path)
    control = ShardReader(tmp_path).batch("control", table)
    masks = ShardReader(tmp_path).batch("masks", table)
    assert control.shape == (len(table), FRAMES, SIZE, SIZE, 3)
    for shown, mask, label in zip(control, masks, table["label"], strict=True):
        assert (shown[mask == 0] == 0).all()
        for number, part in enumerate(label.split(" and "), 1):
            assert (shown[mask == number] == SHAPE_COLOURS[part.split()[1]]).all()
    assert len(set(SHAPE_COLOURS.values())) == len(SHAPE_COLOURS)


def test_a_control_is_cut_as_its_clip_is(tmp_path):
    """Both carry their number as brightness; the control has another size, rate and container."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(4):
        encode(folder / f"{number}.mp4", numbered(9 + number))
        encode(folder / f"{number}-depth.mkv", numbered(9 + number, 96, 80), fps=10)
    encode(folder / "0-short.mkv", numbered(8))
    rows = [f"{n}.mp4,video {n},{n}-depth.mkv" for n in range(4)]
    rows += ["0.mp4,short,0-short.mkv", "0.mp4,absent,absent.mkv", "0.mp4,none,"]
    (folder / "captions.csv").write_text("\n".join(["path_to_video,caption,path_to_control", *rows]))
    ingest(videos(folder), tmp_path / "clips")
    table = table_of(tmp_path / "clips")
    assert len(table) == 4
    reader = ShardReader(tmp_path / "clips")
    frames, control = reader.batch("frames", table), reader.batch("control", table)
    assert control.shape == frames.shape
    assert control.dtype == np.uint8
    for clip, beside, count in zip(frames, control, table["source_frames"], strict=True):
        numbers = [number_of(picture) for picture in clip]
        assert numbers[-1] == count - 1
        assert [number_of(picture) for picture in beside] == numbers
    rejected = pd.read_csv(tmp_path / "clips/rejected.csv").set_index("caption")["reason"]
    assert rejected["short"].startswith("path_to_control has 8 frames, its video has 9")
    assert rejected["absent"] == "path_to_control is missing"
    assert rejected["none"].startswith("path_to_control is empty")


def test_another_control_makes_its_clip_again(tmp_path):
    folder, clips = tmp_path / "source", tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        encode(folder / name, numbered(6))
    (folder / "captions.csv").write_text("path_to_video,caption\na.mp4,x\n")
    ingest(videos(folder), clips)
    (folder / "captions.csv").write_text("path_to_video,caption,path_to_control\na.mp4,x,b.mp4\n")
    ingest(videos(folder), clips)
    table = table_of(clips)
    before = ShardReader(clips).batch("control", table)
    encode(folder / "b.mp4", numbered(6)[::-1])
    ingest(videos(folder), clips)
    np.testing.assert_allclose(ShardReader(clips).batch("control", table), before[:, ::-1], atol=2)


def test_the_fields_data_sets_are_decoded_with_their_splits(tmp_path):
    ucf, msrvtt = tmp_path / "ucf", tmp_path / "msrvtt"
    (ucf / "ucfTrainTestlist").mkdir(parents=True)
    (ucf / "UCF-101/YoYo").mkdir(parents=True)
    for number in (1, 8):
        encode(ucf / f"UCF-101/YoYo/v_YoYo_g0{number}_c01.avi", numbered(4 + number))
    (ucf / "ucfTrainTestlist/classInd.txt").write_text("1 YoYo\n")
    (ucf / "ucfTrainTestlist/trainlist01.txt").write_text("YoYo/v_YoYo_g08_c01.avi 1\n")
    (ucf / "ucfTrainTestlist/testlist01.txt").write_text("YoYo/v_YoYo_g01_c01.avi\n")
    (msrvtt / "videos/all").mkdir(parents=True)
    content = {"videos": [], "sentences": []}
    for number, split in enumerate(["train", "validate", "test", "test"]):
        content["videos"].append({"video_id": f"video{number}", "split": split, "category": number})
        content["sentences"] += [{"video_id": f"video{number}", "caption": text} for text in ("one", "two")]
        if number < 3:
            encode(msrvtt / f"videos/all/video{number}.mp4", numbered(5 + number))
    (msrvtt / "MSRVTT_data.json").write_text(json.dumps(content))

    ingest(params_with(source="ucf101", folder=str(ucf)), tmp_path / "a")
    table = table_of(tmp_path / "a")
    assert table[["caption", "label", "split", "source_frames"]].to_numpy().tolist() == [
        ["yo yo", "YoYo", "test", 5],
        ["yo yo", "YoYo", "train", 12],
    ]
    ingest(params_with(source="msrvtt", folder=str(msrvtt)), tmp_path / "b")
    table = table_of(tmp_path / "b")
    assert table[["clip_id", "label", "split", "source_frames"]].to_numpy().tolist() == [
        ["video0", "music", "train", 5],
        ["video1", "people", "train", 6],
        ["video2", "gaming", "test", 7],
    ]
    assert set(table["caption"]) <= {"one", "two"}
    rejected = pd.read_csv(tmp_path / "b/rejected.csv")
    assert rejected[["row", "path_to_video", "reason"]].to_numpy().tolist() == [
        [4, "videos/all/video3.mp4", "is missing"]
    ]


def test_repeating_gives_the_same_bytes_in_any_number_of_processes(tmp_path, source):
    one = videos(source)
    two = one.model_copy(update={"base": one.base.model_copy(update={"workers": 2})})
    ingest(one, tmp_path / "a")
    ingest(two, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
