import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from sketch2video.curves import fit_curves
from sketch2video.curves.fitting.stage import fit
from sketch2video.data.clips.shards import read_shard, shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.params import load_params

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
PARAMS = PARAMS.model_copy(update={"base": PARAMS.base.model_copy(update={"workers": 1})})


def write_drawings(folder: Path, shards: dict[int, int]) -> dict[str, Path]:
    """One circle a clip; ``shards`` maps a shard's number to the radius of its circles."""
    rows = []
    for shard, radius in shards.items():
        ink = np.zeros((2, 3, 48, 48), np.uint8)
        for place in np.ndindex(2, 3):
            cv2.circle(ink[place], (20 + place[1], 24), radius, 255)
        ids = [f"clip-{shard}-{row}" for row in range(2)]
        arrays = {"ink": ink, "cuts": np.zeros((2, 3), bool)}
        write_shard(shard_path(folder / "sketches", shard), arrays, ids, key=f"{shard} {radius}")
        rows += [
            {
                "clip_id": name,
                "caption": "a circle",
                "label": None,
                "split": "train",
                "fps": 8.0,
                "shard": shard,
                "row": row,
            }
            for row, name in enumerate(ids)
        ]
    write_table(pd.DataFrame(rows), folder / "clips" / "clips.parquet")
    paths = {name: folder / name for name in ("clips", "sketches", "curves")}
    return {**paths, "report": folder / "reports" / "fit.json"}


def test_further_labels_of_clips_are_carried_on(tmp_path):
    paths = write_drawings(tmp_path, {0: 10})
    fit(PARAMS, **paths)
    columns = list(pd.read_parquet(paths["curves"] / "curves.parquet").columns)
    table = pd.read_parquet(paths["clips"] / "clips.parquet")
    write_table(table.assign(**{"label.a": ["x", None], "label.b": ["y", "z"]}), paths["clips"] / "clips.parquet")
    fit(PARAMS, **paths)
    table = pd.read_parquet(paths["curves"] / "curves.parquet")
    assert list(table.columns) == [*columns, "label.a", "label.b"]
    assert table["label.a"].fillna("none").tolist() == ["x", "none"]
    assert table["label.b"].tolist() == ["y", "z"]


def test_every_drawing_is_fitted_measured_and_reported(tmp_path):
    paths = write_drawings(tmp_path, {0: 10, 2: 14})
    fit(PARAMS, **paths)
    table = pd.read_parquet(paths["curves"] / "curves.parquet")
    assert list(table["clip_id"]) == ["clip-0-0", "clip-0-1", "clip-2-0", "clip-2-1"]
    assert {"caption", "label", "split", "fps", "shard", "row", "num_parameters", "strokes"} <= set(table)
    assert (table["num_parameters"] < 300).all()
    assert (table["strokes"] == 1).all()
    assert (table["ink_to_curve_px"] < 1).all()
    arrays = read_shard(shard_path(paths["curves"], 2))
    expected = fit_curves(read_shard(shard_path(paths["sketches"], 2))["ink"][1])
    np.testing.assert_array_equal(arrays["coefficients"][1], expected.coefficients)
    np.testing.assert_array_equal(arrays["visibility"][1], expected.visibility)
    report = json.loads(paths["report"].read_text())
    assert report["clips"] == 4
    assert report["ink_to_curve_px"]["mean"] == pytest.approx(table["ink_to_curve_px"].mean())
    assert report["rendered_discrepancy"]["p90"] == pytest.approx(table["rendered_discrepancy"].quantile(0.9))


def test_only_what_changed_is_fitted_again(tmp_path):
    paths = write_drawings(tmp_path, {0: 10, 2: 14})
    fit(PARAMS, **paths)
    first = pd.read_parquet(paths["curves"] / "curves.parquet")
    files = {shard: shard_path(paths["curves"], shard) for shard in (0, 2)}
    written = {shard: path.stat().st_mtime_ns for shard, path in files.items()}
    fit(PARAMS, **write_drawings(tmp_path, {0: 10, 2: 12}))
    assert files[0].stat().st_mtime_ns == written[0]
    assert files[2].stat().st_mtime_ns != written[2]
    again = pd.read_parquet(paths["curves"] / "curves.parquet")
    pd.testing.assert_frame_equal(again[:2], first[:2])
    fit(PARAMS, **write_drawings(tmp_path, {2: 12}))
    assert not files[0].exists()


def test_a_missing_shard_is_a_clear_error(tmp_path):
    paths = write_drawings(tmp_path, {0: 10})
    shard_path(paths["sketches"], 0).unlink()
    with pytest.raises(UserError, match=r"0000\.safetensors is missing"):
        fit(PARAMS, **paths)


def test_refinement_is_off_until_it_is_asked_for(tmp_path):
    assert PARAMS.fit.refinement_steps == 0
    discrepancies = []
    for steps in (0, 20):  # with few harmonics, which leave something to refine
        section = PARAMS.fit.model_copy(update={"harmonics": 6, "refinement_steps": steps})
        params = PARAMS.model_copy(update={"fit": section})
        paths = write_drawings(tmp_path, {0: 10})
        fit(params, **paths)
        discrepancies.append(json.loads(paths["report"].read_text())["rendered_discrepancy"]["mean"])
    assert discrepancies[1] < discrepancies[0]


def test_strokes_are_smooth_in_time_if_it_is_asked_for(tmp_path):
    assert PARAMS.fit.time_tolerance == 0
    tolerance = 0.02
    params = PARAMS.model_copy(update={"fit": PARAMS.fit.model_copy(update={"time_tolerance": tolerance})})
    paths = write_drawings(tmp_path, {0: 10})
    ink = np.zeros((2, 6, 48, 48), np.uint8)
    for t in range(6):
        cv2.circle(ink[0, t], (18 + 2 * t, 24 + t % 2), 10, 255)
        cv2.circle(ink[1, t], (18 + 2 * t, 24), 10, 255)
    cuts = np.zeros((2, 6), bool)
    write_shard(shard_path(paths["sketches"], 0), {"ink": ink, "cuts": cuts}, ["clip-0-0", "clip-0-1"], key="moving")
    fit(params, **paths)
    arrays = read_shard(shard_path(paths["curves"], 0))
    height = arrays["coefficients"][0, :, 0, 1, 0]
    assert np.abs(np.diff(height, 2)).max() < 0.5 / 48  # the circle trembles by a pixel
    tracked = fit_curves(ink[0])
    assert np.abs(np.diff(tracked.coefficients[:, 0, 1, 0], 2)).max() > 1.5 / 48
    np.testing.assert_array_equal(arrays["visibility"][0], tracked.visibility)
