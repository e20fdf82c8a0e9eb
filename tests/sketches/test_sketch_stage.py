from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.sketches import extract_sketches, stage
from sketch2video.sketches.stage import draw_clip, sketch
from sketch2video.videos.shards import read_shard, shard_path, write_shard, write_table

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
PARAMS = PARAMS.model_copy(update={"base": PARAMS.base.model_copy(update={"workers": 1})})


def write_clips(folder: Path, shards: dict[int, int]) -> None:
    """One bright square a clip; ``shards`` maps a shard's number to where its square is."""
    rows = []
    for shard, place in shards.items():
        frames = np.full((2, 3, 32, 32, 3), 60, np.uint8)
        frames[:, :, place : place + 12, 8:24] = 220
        ids = [f"clip-{shard}-{row}" for row in range(2)]
        arrays = {"frames": frames, "cuts": np.zeros((2, 3), bool)}
        write_shard(shard_path(folder, shard), arrays, ids, key=f"{shard} {place}")
        rows += [{"clip_id": name, "shard": shard, "row": row} for row, name in enumerate(ids)]
    write_table(pd.DataFrame(rows), folder / "clips.parquet")


def test_every_clip_is_drawn_and_unchanged_shards_are_left_alone(tmp_path):
    clips, sketches = tmp_path / "clips", tmp_path / "sketches"
    write_clips(clips, {1: 4, 3: 10})
    sketch(PARAMS, clips=clips, sketches=sketches)
    table = pd.read_parquet(sketches / "sketches.parquet")
    assert list(table["clip_id"]) == ["clip-1-0", "clip-1-1", "clip-3-0", "clip-3-1"]
    ink = read_shard(shard_path(sketches, 3))["ink"]
    np.testing.assert_array_equal(ink[0], extract_sketches(read_shard(shard_path(clips, 3))["frames"][0]))
    np.testing.assert_allclose(table["ink_coverage"][2:], (ink > 127).mean((1, 2, 3)))

    files = {shard: shard_path(sketches, shard) for shard in (1, 3)}
    written = {shard: path.stat().st_mtime_ns for shard, path in files.items()}
    write_clips(clips, {1: 12, 3: 10, 4: 6})
    sketch(PARAMS, clips=clips, sketches=sketches)
    assert files[3].stat().st_mtime_ns == written[3]
    assert files[1].stat().st_mtime_ns != written[1]
    assert len(pd.read_parquet(sketches / "sketches.parquet")) == 6

    write_clips(clips, {4: 6})
    sketch(PARAMS, clips=clips, sketches=sketches)
    assert [p.name for p in (sketches / "shards").iterdir()] == ["0004.safetensors"]


def test_a_clip_that_joins_a_shard_is_the_only_one_that_is_drawn(tmp_path, monkeypatch):
    clips, sketches, drawn = tmp_path / "clips", tmp_path / "sketches", []
    write_clips(clips, {0: 4})
    sketch(PARAMS, clips=clips, sketches=sketches)
    frames = read_shard(shard_path(clips, 0))["frames"]
    more = np.concatenate([frames[:1], frames[:1, :, ::-1], frames[1:]])
    arrays = {"frames": more, "cuts": np.zeros((3, 3), bool)}
    write_shard(shard_path(clips, 0), arrays, ["clip-0-0", "clip-0-00", "clip-0-1"], key="more")
    monkeypatch.setattr(stage, "draw_clip", lambda *of: (drawn.append(of[0]["frames"]), draw_clip(*of))[1])
    sketch(PARAMS, clips=clips, sketches=sketches)
    np.testing.assert_array_equal(drawn, more[1:2])
    expected = np.stack([extract_sketches(clip) for clip in more])
    np.testing.assert_array_equal(read_shard(shard_path(sketches, 0))["ink"], expected)


def test_another_parameter_draws_again(tmp_path):
    write_clips(tmp_path / "clips", {0: 4})
    sketch(PARAMS, clips=tmp_path / "clips", sketches=tmp_path / "sketches")
    before = read_shard(shard_path(tmp_path / "sketches", 0))["ink"]
    blind = PARAMS.model_copy(update={"sketch": PARAMS.sketch.model_copy(update={"contrast": 0.99})})
    sketch(blind, clips=tmp_path / "clips", sketches=tmp_path / "sketches")
    assert before.any()
    assert not read_shard(shard_path(tmp_path / "sketches", 0))["ink"].any()


def test_a_missing_shard_is_a_clear_error(tmp_path):
    write_clips(tmp_path / "clips", {0: 4})
    shard_path(tmp_path / "clips", 0).unlink()
    with pytest.raises(UserError, match=r"0000\.safetensors is missing"):
        sketch(PARAMS, clips=tmp_path / "clips", sketches=tmp_path / "sketches")
    with pytest.raises(UserError, match=r"clips\.parquet"):
        sketch(PARAMS, clips=tmp_path / "nowhere", sketches=tmp_path / "sketches")
