"""The benchmark of the classification accuracy score, on an untrained pipeline and a few small clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cas
from benchmarks.cas import GENERATED, REAL, Experiment, experiment, generated, markdown, measured
from sketch2video.data.clips.shards import ShardReader, read_table, shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.generation.seeded import ClipSampling
from sketch2video.judges.faithfulness import JOINT, Share
from sketch2video.params import Params
from tests.benchmarks.cells import cells_of
from tests.small_data import small_params


@pytest.fixture
def params() -> Params:
    short = small_params("judge", 2, frames=4, scenes=0, width=8, feature_dim=32)
    evaluate = short.evaluate.model_copy(update={"num_inference_steps": 1, "batch_size": 5})
    return short.model_copy(update={"evaluate": evaluate})


@pytest.fixture
def data(scenes: Path, tmp_path: Path) -> Path:
    """The clips of ``scenes`` with their colours as labels."""
    table, reader = read_table(scenes / "clips" / "clips.parquet"), ShardReader(scenes / "clips")
    for shard, rows in table.groupby("shard"):
        path = shard_path(tmp_path / "clips", int(str(shard)))
        write_shard(path, {"frames": reader.batch("frames", rows)}, rows["clip_id"].tolist(), "key")
    labels = ["red" if "red" in caption else "blue" for caption in table["caption"]]
    write_table(table.assign(label=None, **{"label.colour": labels}), tmp_path / "clips" / "clips.parquet")
    return tmp_path


def test_both_classifiers_learn_the_same_captions_and_are_tested_on_held_out_clips(
    data: Path, tmp_path: Path, tiny_pipeline_folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = experiment(data / "clips", 12, params.judge, 0)
    assert chosen.labels == ["label.colour"]
    assert (len(chosen.training), set(chosen.training["split"])) == (12, {"train"})
    assert set(chosen.held_out["split"]) == {"test"}
    found = measured(tiny_pipeline_folder, chosen, params, tmp_path / "checkpoints")
    assert list(found) == [REAL, GENERATED]
    for shares in found.values():
        assert {label: share.total for label, share in shares.items()} == {"label.colour": 4, JOINT: 4}
    clips, made = generated(tiny_pipeline_folder, chosen.training, ClipSampling.of(params), tmp_path / "checkpoints")
    every = np.concatenate([frames for frames, _ in clips.batches()])
    assert made.startswith("cas-clips-")
    for index in (0, 4, 5, 11):
        np.testing.assert_array_equal(clips.frames(index), every[index])

    # A second run neither generates nor trains.
    monkeypatch.setattr(cas, "generate_clips", lambda *arguments: clips)
    monkeypatch.setattr("sketch2video.judges.trained.training.VideoLabelTask.loss", None)
    assert measured(tiny_pipeline_folder, chosen, params, tmp_path / "checkpoints") == found


def test_the_table_has_a_row_for_each_training_set(data: Path, params: Params) -> None:
    chosen: Experiment = experiment(data / "clips", 8, params.judge, 0)
    shares = {REAL: {"label.colour": Share(4, 4), JOINT: Share(3, 4)}, GENERATED: {"label.colour": Share(2, 4)}}
    shares[GENERATED][JOINT] = Share(0, 4)
    text = markdown(shares, chosen)
    assert text.startswith("Accuracy on 4 held-out real clips of a classifier trained on 8 clips, 2 steps of 8:")
    lines = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["trained on", "colour", "all at once"]
    assert [row[0] for row in lines[2:]] == [REAL, GENERATED]
    assert lines[3][1].startswith("50.0% [")
    assert lines[3][2].startswith("0.0% [0.0, ")


def test_clips_without_labels_are_a_users_mistake(scenes: Path, tmp_path: Path, params: Params) -> None:
    table = read_table(scenes / "clips" / "clips.parquet")
    write_table(table.assign(label=None), tmp_path / "clips.parquet")
    with pytest.raises(UserError, match=r"add labels to captions\.csv") as error:
        experiment(tmp_path, 8, params.judge, 0)
    assert "\n" not in str(error.value)


def test_the_command_writes_its_results(
    data: Path, tmp_path: Path, tiny_pipeline_folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cas, "load_params", lambda: params)
    cas.main(tiny_pipeline_folder, data, 8, 1, tmp_path / "bench", tmp_path / "checkpoints")
    stored = json.loads((tmp_path / "bench" / "cas.json").read_text())
    assert stored["protocol"]["judge"]["training"]["steps"] == 1
    assert (stored["protocol"]["training_clips"], stored["protocol"]["held_out_clips"]) == (8, 4)
    assert stored["accuracy"][REAL]["label.colour"]["clips"] == 4
    assert "generated from text" in (tmp_path / "bench" / "cas.md").read_text()
