from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from sketch2video.data.clips.shards import read_shard, shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.params import Params, load_params
from sketch2video.sketches import extract_sketches, stage
from sketch2video.sketches.learned import extract_sketches_learned
from sketch2video.sketches.network import load_sketcher
from sketch2video.sketches.stage import draw_clip, sketch

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
PARAMS = PARAMS.model_copy(update={"base": PARAMS.base.model_copy(update={"workers": 1})})


def run(folder: Path, params: Params = PARAMS) -> None:
    """The stage in a folder of its own."""
    names = {name: folder / name for name in ("clips", "sketches", "model")}
    sketch(params, **names, sheet=folder / "sheet.png")


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
    run(tmp_path)
    table = pd.read_parquet(sketches / "sketches.parquet")
    assert list(table["clip_id"]) == ["clip-1-0", "clip-1-1", "clip-3-0", "clip-3-1"]
    ink = read_shard(shard_path(sketches, 3))["ink"]
    np.testing.assert_array_equal(ink[0], extract_sketches(read_shard(shard_path(clips, 3))["frames"][0]))
    np.testing.assert_allclose(table["ink_coverage"][2:], (ink > 127).mean((1, 2, 3)))

    files = {shard: shard_path(sketches, shard) for shard in (1, 3)}
    written = {shard: path.stat().st_mtime_ns for shard, path in files.items()}
    write_clips(clips, {1: 12, 3: 10, 4: 6})
    run(tmp_path)
    assert files[3].stat().st_mtime_ns == written[3]
    assert files[1].stat().st_mtime_ns != written[1]
    assert len(pd.read_parquet(sketches / "sketches.parquet")) == 6

    write_clips(clips, {4: 6})
    run(tmp_path)
    assert [p.name for p in (sketches / "shards").iterdir()] == ["0004.safetensors"]


def test_a_clip_that_joins_a_shard_is_the_only_one_that_is_drawn(tmp_path, monkeypatch):
    clips, sketches, drawn = tmp_path / "clips", tmp_path / "sketches", []
    write_clips(clips, {0: 4})
    run(tmp_path)
    frames = read_shard(shard_path(clips, 0))["frames"]
    more = np.concatenate([frames[:1], frames[:1, :, ::-1], frames[1:]])
    arrays = {"frames": more, "cuts": np.zeros((3, 3), bool)}
    write_shard(shard_path(clips, 0), arrays, ["clip-0-0", "clip-0-00", "clip-0-1"], key="more")

    def noted(clip, *of, **by):
        drawn.append(clip["frames"])
        return draw_clip(clip, *of, **by)

    monkeypatch.setattr(stage, "draw_clip", noted)
    run(tmp_path)
    np.testing.assert_array_equal(drawn, more[1:2])
    expected = np.stack([extract_sketches(clip) for clip in more])
    np.testing.assert_array_equal(read_shard(shard_path(sketches, 0))["ink"], expected)


def test_another_parameter_draws_again(tmp_path):
    write_clips(tmp_path / "clips", {0: 4})
    run(tmp_path)
    before = read_shard(shard_path(tmp_path / "sketches", 0))["ink"]
    blind = PARAMS.model_copy(update={"sketch": PARAMS.sketch.model_copy(update={"contrast": 0.99})})
    run(tmp_path, blind)
    assert before.any()
    assert not read_shard(shard_path(tmp_path / "sketches", 0))["ink"].any()


LEARNED = PARAMS.model_copy(
    update={"sketch": PARAMS.sketch.model_copy(update={"extractor": "learned", "threshold": 0.5})}
)


def test_the_learned_extractor_draws_by_its_network(tmp_path, write_model):
    write_clips(tmp_path / "clips", {0: 4})
    frames = read_shard(shard_path(tmp_path / "clips", 0))["frames"]
    drawn = []
    for seed in (0, 1):
        write_model(tmp_path / "model", seed)
        run(tmp_path, LEARNED)
        network = load_sketcher(tmp_path / "model")
        expected = [extract_sketches_learned(clip, network, threshold=0.5, min_length=0.08) for clip in frames]
        drawn.append(read_shard(shard_path(tmp_path / "sketches", 0))["ink"])
        np.testing.assert_array_equal(drawn[-1], np.stack(expected))
    assert not np.array_equal(*drawn), "another network, other lines"
    written = shard_path(tmp_path / "sketches", 0).stat().st_mtime_ns
    run(tmp_path, LEARNED)
    assert shard_path(tmp_path / "sketches", 0).stat().st_mtime_ns == written


def test_a_learned_extractor_needs_its_network(tmp_path):
    write_clips(tmp_path / "clips", {0: 4})
    with pytest.raises(UserError, match="holds no trained sketcher"):
        run(tmp_path, LEARNED)


def test_a_sheet_shows_frames_beside_what_the_extractors_draw(tmp_path, write_model):
    write_clips(tmp_path / "clips", {0: 4, 1: 10})
    write_model(tmp_path / "model", 0)
    for params, panels in ((PARAMS, 2), (LEARNED, 3)):
        run(tmp_path, params)
        sheet = cv2.imread(str(tmp_path / "sheet.png"))
        assert sheet.shape == (4 * 128, 2 * panels * 128, 3), "four clips of 32 px, enlarged, two frames each"
        assert np.ptp(sheet[:, 128:256], axis=2).max() == 0, "a drawing in grey"
        assert sheet[:, 128:256].max() == 255
        assert (sheet[:, 128:256] < 128).any()


def test_a_missing_shard_is_a_clear_error(tmp_path):
    write_clips(tmp_path / "clips", {0: 4})
    shard_path(tmp_path / "clips", 0).unlink()
    with pytest.raises(UserError, match=r"0000\.safetensors is missing"):
        run(tmp_path)
    with pytest.raises(UserError, match=r"clips\.parquet"):
        run(tmp_path / "nowhere")
