"""The benchmark of the drawing's guidance, on a pipeline of untrained networks and a few scenes."""

import json
from pathlib import Path

import pytest

from benchmarks.control import COLUMNS, ControlBench, compare, markdown, save_curves
from sketch2video.errors import UserError
from sketch2video.generation.seeded import ClipSampling
from sketch2video.params import load_params
from tests.benchmarks.cells import cells_of
from tests.benchmarks.scene_data import scene_data

SIZE, FRAMES, CLIPS = 32, 4, 8
SAMPLING = ClipSampling(
    num_frames=FRAMES,
    sampler="euler",
    num_inference_steps=1,
    guidance_scale=1.0,
    control_guidance_scale=1.0,
    batch_size=4,
    seed=0,
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> ControlBench:
    params = load_params()
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"bootstrap": 5})})
    return ControlBench(params, scene_data(tmp_path_factory.mktemp("world"), CLIPS, SIZE, FRAMES), CLIPS)


def test_fidelity_is_measured_over_the_scales(bench, tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    results = compare([tiny_pipeline_folder], bench, SAMPLING, scales=(0.0, 1.0))
    (found,) = results["models"].values()
    assert [row["scale"] for row in found["scales"]] == [0, 1]
    assert set(found["real"]) == set(COLUMNS)
    assert found["real"]["control_px"]["value"] < 0.7
    for row in found["scales"]:
        for name in ("control_found", "control_f1"):
            assert row["scores"][name]["value"] < found["real"][name]["value"], "untrained networks draw nothing"
            assert row["scores"][name]["floor"] == found["real"][name]["value"]
        assert 0 <= row["scores"]["faithfulness_joint"]["value"] <= 1
    lines = markdown(json.loads(json.dumps(results))).splitlines()
    rows = [cells_of(line) for line in lines if line.startswith("|")]
    assert rows[0][0] == "control_guidance_scale"
    assert [row[0] for row in rows[2:]] == ["real clips", "0", "1"]
    assert rows[2][4].startswith(f"{100 * found['real']['faithfulness_joint']['value']:.1f}% [")
    save_curves(tmp_path / "control.png", results)
    assert (tmp_path / "control.png").read_bytes().startswith(b"\x89PNG")


def test_pipelines_without_drawings_are_refused(bench, tiny_text_pipeline_folder: Path) -> None:
    with pytest.raises(UserError, match="no line drawing"):
        compare([tiny_text_pipeline_folder], bench, SAMPLING, scales=(1.0,))
