"""The benchmark of adapting the text-only model, on tiny models and clips."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import adapted
from benchmarks.adapted import adapt, changed, judged, markdown, table_rows
from sketch2video.controls.sketch import fitted_curves
from sketch2video.data.clips.shards import read_table, shard_path, write_shard, write_table
from sketch2video.evaluation.evaluate import Data
from sketch2video.params import load_params
from tests.bases.conftest import adapted_params
from tests.bases.conftest import bases as bases  # fixtures
from tests.bases.conftest import clips as clips
from tests.bases.test_training import save_drawing_parts


def test_options_change_the_parameters() -> None:
    params = load_params()
    other = changed(params, 7, 16)
    assert (other.adapted_video.training.steps, other.evaluate.clips) == (7, 16)
    assert changed(params, None, None) == params


def with_labels_and_sketches(clips: Path, folder: Path) -> Path:
    """The clips with what an evaluation reads, all of them held out but two."""
    shutil.copytree(clips, folder)
    for name in ("clips", "curves"):
        table = read_table(folder / name / f"{name}.parquet")
        shapes = np.where(table["caption"].str.contains("circle"), "circle", "square")
        colours = np.where(table["caption"].str.contains("red"), "red", "blue")
        table = table.assign(label="x", shape=shapes, colour=colours, motion="left to right")
        write_table(table.assign(split=["train", "train", *["test"] * 6]), folder / name / f"{name}.parquet")
    for shard, part in table.groupby("shard"):
        curves = fitted_curves(folder / "curves", part)
        ink = np.stack([sequence.render(32, 32) for sequence in curves])
        write_shard(shard_path(folder / "sketches", int(shard)), {"ink": ink}, part["clip_id"].tolist(), "ink")
    return folder


def test_a_base_is_adapted_and_judged_before_and_after(
    clips: Path, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = with_labels_and_sketches(clips, tmp_path / "data")
    text, vae = save_drawing_parts(tmp_path)
    monkeypatch.setattr(adapted, "TEXT_ENCODER", text)
    monkeypatch.setattr(adapted, "CURVE_VAE", vae)
    params = changed(adapted_params(bases["own"], steps=2), None, 8)
    values = params.model_dump(by_alias=True)
    values["evaluate"] |= {"bootstrap": 2, "num_inference_steps": 1}
    params = type(params).model_validate(values)
    data = Data(source / "clips", source / "sketches", source / "curves")
    about = adapt(params, tmp_path / "bench", data, tmp_path / "checkpoints")
    assert about["trained_weights"] > 100
    reports = judged(params, data, tmp_path / "bench", tmp_path / "checkpoints")
    rows = table_rows(reports["before"], reports["after"], "over generated curves")
    names = [row[0] for row in rows]
    assert names == ["the base, from the caption", "adapted, over generated curves", "adapted, fitted"]
    text_of_table = markdown(rows, about, 2)
    assert "2 steps" in text_of_table
    assert all(name in text_of_table for name in names)
