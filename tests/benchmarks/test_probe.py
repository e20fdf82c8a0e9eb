from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.probe import ceiling, small, true_stroke, write_true_curves
from sketch2video.curves import CurveSequence
from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import MOTIONS, SHAPES, Combination, render_scene, sample_scene

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def outline_of(shape: str, motion: str) -> np.ndarray:
    """True outlines of one scene: (16, 1, 128, 2) frame widths."""
    scene = sample_scene(np.random.default_rng(SHAPES.index(shape)), [Combination(shape, "red", motion)])
    return render_scene(scene, 64, 16).outlines


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wound", ["clockwise", "anticlockwise, from elsewhere"])
def test_a_true_stroke_is_the_outline_closed_and_canonical(shape, wound):
    outline = outline_of(shape, "growing")[8, 0]
    given = outline if wound == "clockwise" else np.roll(outline[::-1], 37, axis=0)
    points = CurveSequence(true_stroke(given, 32)[None, None], np.ones((1, 1))).points(129)[0, 0]
    np.testing.assert_allclose(points[0], points[-1], atol=1e-5)
    # The scene's own outline starts canonically: the same pen position is the same vertex.
    assert np.linalg.norm(points[:128] - outline, axis=1).mean() < 0.01


def test_true_curves_are_shards_of_which_the_judge_tells_all(tmp_path):
    rows = pd.DataFrame({"clip_id": [f"clip-{i}" for i in range(6)], "shape": SHAPES, "motion": MOTIONS})
    rows = rows.assign(shard=[0, 0, 0, 2, 2, 2], row=[0, 1, 2] * 2)
    for shard, part in rows.groupby("shard"):
        outlines = np.stack([outline_of(*what) for what in zip(part["shape"], part["motion"], strict=True)])
        write_shard(shard_path(tmp_path / "clips", int(shard)), {"outlines": outlines}, part["clip_id"].tolist(), "key")
    write_table(rows, tmp_path / "curves" / "curves.parquet")
    write_true_curves(tmp_path / "clips", tmp_path / "curves", tmp_path / "true", 8, 32)
    assert pd.read_parquet(tmp_path / "true" / "curves.parquet")["clip_id"].tolist() == rows["clip_id"].tolist()
    assert ceiling(tmp_path / "true", rows, 64) == 1
    mixed = rows.assign(shape=[*SHAPES[1:], SHAPES[0]])
    assert ceiling(tmp_path / "true", mixed, 64) == 0


def test_the_probe_does_not_follow_sizes_and_trainings_of_the_parameters():
    values = PARAMS.model_dump(by_alias=True)
    values["curve_vae"] |= {"width": 512, "layers": 8}
    values["curve_vae"]["training"] |= {"steps": 50000, "learning_rate": 1e-4}
    values["fit"] |= {"rounds": 2}
    other = small(type(PARAMS).model_validate(values))
    assert other.curve_vae.width == small(PARAMS).curve_vae.width
    assert other.curve_vae.training == small(PARAMS).curve_vae.training
    assert other.fit.rounds == 2
