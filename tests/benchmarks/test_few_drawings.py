"""The benchmark of a few drawings, end to end on an untrained network and clips of a line that moves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.few_drawings import (
    DRAWN,
    STRAIGHT,
    TEXT,
    by_motion,
    can_be_used,
    compare,
    given_frames,
    markdown,
    user_drawings,
)
from benchmarks.stroke_ways import Sampling
from benchmarks.strokes import about_model
from sketch2video.controls.sketch import fitted_curves
from sketch2video.curve_vae import CurveVAE
from sketch2video.curves import CurveSequence
from sketch2video.data.clips.shards import shard_path, write_shard
from sketch2video.networks.loading import load_frozen
from tests.benchmarks.cells import cells_of
from tests.benchmarks.line_world import SHORT, make_line_world

CLIPS = 12
SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    table = make_line_world(folder)
    ink = np.stack([curves.render(SIZE, SIZE) for curves in fitted_curves(folder / "curves", table)])
    write_shard(shard_path(folder / "sketches", 0), {"ink": ink}, table["clip_id"].tolist(), "sketches")
    return folder


@pytest.fixture(scope="module")
def vae(folder: Path) -> CurveVAE:
    return load_frozen(CurveVAE, folder / "model", "train_curve_vae")


@pytest.fixture(scope="module")
def found(folder: Path, vae: CurveVAE) -> dict[str, Any]:
    folders = [folder / name for name in ("curves", "sketches", "clips", "text", "bench")]
    about = about_model(folder / "model", vae)
    settings = {"number": CLIPS, "sampling": Sampling(2, None, 8), "size": SIZE}
    return compare(vae, about, *folders, **settings, labels=["label.motion"], settings=SHORT)


def way(found: dict[str, Any], given: str, name: str) -> dict[str, Any]:
    (one,) = [way for way in found["ways"] if (way["given"], way["way"]) == (given, name)]
    return one


def test_frames_that_are_given() -> None:
    assert list(given_frames(16).values()) == [[0], [0, 15], [0, 8, 15]]


def test_every_way_is_measured_and_written(folder: Path, found: dict[str, Any]) -> None:
    assert json.loads((folder / "bench/few_drawings.json").read_text()) == json.loads(json.dumps(found))
    assert [(way["given"], way["way"]) for way in found["ways"]] == [
        ("nothing", TEXT),
        *((given, name) for given in given_frames(4) for name in (STRAIGHT, DRAWN)),
    ]
    assert found["protocol"]["clips"] == CLIPS
    for each in found["ways"]:
        assert 0 <= each["as_asked"]["label.motion"]["value"] <= 1
        assert each["painted"] is None


def test_lines_that_move_straight_are_found_from_two_drawings_and_not_from_one(found: dict[str, Any]) -> None:
    two, one = (way(found, given, STRAIGHT)["between"] for given in ("first and last", "first"))
    assert two["ink_px"] < 0.5
    assert two["unmatched"] == one["unmatched"] == 0
    assert one["ink_px"] > 5


def test_given_frames_are_those_that_were_drawn(found: dict[str, Any]) -> None:
    for given, frames in given_frames(4).items():
        by_frame = way(found, given, DRAWN)["between"]["ink_px_by_frame"]
        assert max(by_frame[frame] for frame in frames) < 1
    assert way(found, "nothing", TEXT)["between"]["ink_px_by_frame"][0] > 1


def test_the_table_has_a_row_for_every_way(found: dict[str, Any]) -> None:
    lines = markdown(found).splitlines()
    assert cells_of(lines[0])[:3] == ["given", "way", "strokes, px"]
    assert [cells_of(line)[0] for line in lines[2:9]] == [way["given"] for way in found["ways"]]
    painted = {"value": 0.5, "low": 0.25, "high": 0.75, "right": 6, "of": 12}
    with_videos = markdown(found | {"ways": [way | {"painted": painted} for way in found["ways"]]})
    assert "50.0% [25, 75]" in with_videos
    assert "3 more clips" in markdown(found | {"protocol": found["protocol"] | {"left_out": 3}})


def test_drawings_with_more_strokes_than_the_network_draws_cannot_be_used(vae: CurveVAE) -> None:
    inks = np.zeros((2, 3, SIZE, SIZE), np.uint8)
    inks[0, :, 30, 10:50] = 255
    inks[1, 0, 8:60:12, 10:50] = 255  # five lines
    inks[1, 1:, 30, 10:50] = 255
    few, many = user_drawings(vae, inks, [0, 2])
    assert [list(few), can_be_used(vae, few), can_be_used(vae, many)] == [[0, 2], True, False]


def test_distances_by_motion_are_means_over_the_clips_of_a_motion() -> None:
    def line(x: float) -> CurveSequence:
        return CurveSequence(np.tile([[[[x, 0.1], [0.5, 0.0]]]], (4, 1, 1, 1)), np.ones((4, 1)))

    rows = pd.DataFrame({"motion": ["left", "up", "left"]})
    bench = SimpleNamespace(rows=rows, real=[line(0.5)] * 3, size=100)
    drawn = [line(0.51), line(0.55), line(0.53)]
    assert by_motion(bench, drawn, [1, 2]) == pytest.approx({"left": 2.0, "up": 5.0}, abs=1e-4)
    bench.rows = pd.DataFrame({"motion": ["left", None, "left"]})
    assert by_motion(bench, drawn, [1, 2]) == {}
