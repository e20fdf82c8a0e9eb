import pickle

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sketch2video.data.clips.shards import (
    ShardReader,
    array_shape,
    clip_ids_of,
    digests,
    label_columns,
    named_labels,
    read_shard,
    read_table,
    shard_key,
    shard_notes,
    shard_of,
    shard_path,
    sweep,
    update_shard,
    write_shard,
    write_table,
    writing_shard,
)
from sketch2video.errors import UserError


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "frames": rng.integers(0, 256, (3, 2, 5, 5, 3), np.uint8),
        "outlines": rng.standard_normal((3, 2, 1, 7, 2)).astype(np.float32),
    }


def test_a_clip_stays_in_its_shard_and_shards_fill_evenly():
    assert shard_of("red-circle-000", 16) == shard_of("red-circle-000", 16)
    counts = np.bincount([shard_of(f"clip {n}", 8) for n in range(4000)], minlength=8)
    assert counts.min() > 400
    assert counts.max() < 600


def test_other_programs_read_a_shard(tmp_path, arrays):
    path = shard_path(tmp_path, 7)
    write_shard(path, arrays, ["a", "b", "c"], "key")
    for loaded in (load_file(path), read_shard(path)):
        assert set(loaded) == set(arrays)
        for name in arrays:
            np.testing.assert_array_equal(loaded[name], arrays[name])
            assert loaded[name].dtype == arrays[name].dtype
    assert (shard_key(path), clip_ids_of(path)) == ("key", ["a", "b", "c"])
    assert array_shape(path, "frames") == (3, 2, 5, 5, 3)
    assert array_shape(path, "ink") is None


def test_a_shard_written_clip_by_clip_is_the_same_file(tmp_path, arrays):
    write_shard(tmp_path / "at once", arrays, ["a", "b", "c"], "key")
    with writing_shard(tmp_path / "one by one", "key") as shard:
        for row, clip_id in enumerate("abc"):
            shard.add(clip_id, {name: array[row] for name, array in reversed(arrays.items())})
    assert (tmp_path / "at once").read_bytes() == (tmp_path / "one by one").read_bytes()


def test_notes_come_back(tmp_path, arrays):
    with writing_shard(tmp_path / "shard", "key") as shard:
        shard.notes = {"rejected": {"b": "too short"}}
        shard.add("a", {name: array[0] for name, array in arrays.items()})
    assert shard_notes(tmp_path / "shard") == {"rejected": {"b": "too short"}}


def write_clips(path, **ink):
    with writing_shard(path, "key") as shard:
        for clip_id, array in ink.items():
            shard.add(clip_id, {"ink": array})


def test_rows_that_do_not_fit_are_refused_and_leave_nothing(tmp_path, arrays):
    with pytest.raises(ValueError, match="3 rows for 2 clips"):
        write_shard(tmp_path / "shard", arrays, ["a", "b"], "key")
    with pytest.raises(ValueError, match="b has"):
        write_clips(tmp_path / "shard", a=np.zeros((2, 4), np.uint8), b=np.zeros((2, 5), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_has_no_key_and_reading_it_is_a_clear_error(tmp_path, arrays):
    path = shard_path(tmp_path, 0)
    assert shard_key(path) is None
    write_shard(path, arrays, ["a", "b", "c"], "key")
    path.write_bytes(path.read_bytes()[:-10])
    assert shard_key(path) is None
    assert array_shape(path, "frames") is None
    with pytest.raises(UserError, match=r"0000\.safetensors cannot be read.*dvc repro"):
        read_shard(path)
    with pytest.raises(UserError, match=r"0000\.safetensors cannot be read.*dvc repro"):
        ShardReader(tmp_path)("frames", 0, 0)


def test_a_reader_gives_rows_in_any_order_and_travels_to_other_processes(tmp_path, arrays):
    for shard in range(2):
        write_shard(shard_path(tmp_path, shard), {"n": np.arange(3) + 10 * shard}, ["a", "b", "c"], "key")
    reader = ShardReader(tmp_path)
    table = pd.DataFrame({"shard": [1, 0, 1], "row": [2, 1, 0]})
    np.testing.assert_array_equal(reader.batch("n", table), [12, 1, 10])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).batch("n", table), [12, 1, 10])


def test_sweep_removes_what_is_not_wanted(tmp_path, arrays):
    for shard in range(3):
        write_shard(shard_path(tmp_path, shard), arrays, ["a", "b", "c"], "key")
    (tmp_path / "shards/.partial-0123-0001.safetensors").write_text("left by a killed process")
    sweep(tmp_path, [0, 2])
    assert sorted(p.name for p in (tmp_path / "shards").iterdir()) == ["0000.safetensors", "0002.safetensors"]


def test_tables_come_back_and_missing_ones_are_a_clear_error(tmp_path):
    table = pd.DataFrame({"clip_id": ["a", "b"], "label": ["x", None]})
    write_table(table, tmp_path / "clips.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "clips.parquet"), table)
    with pytest.raises(UserError, match="dvc repro"):
        read_table(tmp_path / "curves.parquet")
    (tmp_path / "clips.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="dvc repro"):
        read_table(tmp_path / "clips.parquet")


def picture(value):
    return {"ink": np.full((2, 4), value, np.uint8)}, {"value": value}


def test_only_clips_with_new_keys_are_made(tmp_path):
    path, made = shard_path(tmp_path, 0), []

    def make(clip_id):
        made.append(clip_id)
        return "too short" if clip_id == "c" else picture(ord(clip_id))

    notes = update_shard(path, {"a": "1", "c": "2"}, make)
    assert notes["clips"] == [{"clip_id": "a", "value": 97}]
    assert notes["rejected"] == {"c": "too short"}
    written = path.stat().st_mtime_ns
    assert update_shard(path, {"a": "1", "c": "2"}, make) == notes
    assert (made, path.stat().st_mtime_ns) == (["a", "c"], written)

    notes = update_shard(path, {"a": "1", "b": "3", "c": "2"}, make)
    assert made == ["a", "c", "b"]
    assert [facts["clip_id"] for facts in notes["clips"]] == clip_ids_of(path) == ["a", "b"]
    np.testing.assert_array_equal(read_shard(path)["ink"][:, 0, 0], [97, 98])

    update_shard(path, {"a": "1", "b": "4", "c": "2"}, make)
    assert made == ["a", "c", "b", "b"]
    at_once = shard_path(tmp_path, 1)
    update_shard(at_once, {"a": "1", "b": "4", "c": "2"}, make)
    assert at_once.read_bytes() == path.read_bytes()


def test_a_damaged_shard_is_made_again(tmp_path):
    path = shard_path(tmp_path, 0)
    update_shard(path, {"a": "1"}, lambda _: picture(7))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    update_shard(path, {"a": "1"}, lambda _: picture(7))
    assert path.read_bytes() == whole


def test_digests_tell_values_shapes_and_types_apart():
    arrays = {
        "a": np.zeros((2, 3), np.uint8),
        "b": np.zeros((3, 2), np.uint8),
        "c": np.zeros((2, 3), np.int8),
        "d": np.ones((2, 3), np.uint8),
    }
    assert len(set(digests(arrays).values())) == 4
    assert digests({"a": np.zeros((4, 3), np.uint8)[::2]}) == digests({"a": arrays["a"]})


def test_further_labels_are_known_by_the_names_of_their_columns():
    table = pd.DataFrame(columns=["clip_id", "label", "label.top", "label_in_training", "label.action"])
    assert label_columns(table) == ["label.action", "label.top"]
    assert list(named_labels({"action": "walk"})) == ["label.action"]
