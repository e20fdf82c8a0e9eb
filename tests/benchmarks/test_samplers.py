"""The benchmark of the samplers, on a pipeline of untrained networks and a few scenes."""

import json
from pathlib import Path

import pytest

from benchmarks.samplers import COLUMNS, SamplerBench, compare, markdown, save_guidance, save_steps
from sketch2video.generation.seeded import ClipSampling
from sketch2video.params import SAMPLERS
from tests.benchmarks.cells import cells_of
from tests.benchmarks.scene_data import scene_data

SIZE, FRAMES, CLIPS = 32, 4, 8


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> SamplerBench:
    return SamplerBench(scene_data(tmp_path_factory.mktemp("world"), CLIPS, SIZE, FRAMES), CLIPS)


def test_every_sampler_and_guidance_is_measured(bench, tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    sampling = ClipSampling(
        num_frames=FRAMES,
        sampler="euler",
        num_inference_steps=1,
        guidance_scale=1.0,
        control_guidance_scale=1.0,
        batch_size=8,
        seed=0,
    )
    results = compare([tiny_pipeline_folder], bench, sampling, steps=(1, 2), text=(1.0, 2.0), control=(0.5, 1.0))
    found = results["models"][str(tiny_pipeline_folder)]
    assert (found["objective"], found["way"]) == ("flow", "fitted")
    assert [(row["sampler"], row["steps"]) for row in found["steps"]] == [
        (name, count) for name in SAMPLERS["flow"] for count in (1, 2)
    ]
    assert len(found["guidance"]) == 4
    for row in [*found["steps"], *found["guidance"]]:
        assert 0 <= row["faithfulness_joint"] <= 1
        assert row["seconds"] > 0
        assert row["fvd_embedded"] > results["real"]["fvd_embedded"], "untrained networks are worse than real clips"
    euler, again = (row for row in [*found["steps"], *found["guidance"]] if made_as(row) == ("euler", 1, 1.0, 1.0))
    assert same(euler, again), "the same call makes the same clips"

    save_steps(tmp_path / "samplers.png", results)
    save_guidance(tmp_path / "guidance.png", results)
    for name in ("samplers.png", "guidance.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    lines = markdown(json.loads(json.dumps(results))).splitlines()
    rows = [cells_of(line) for line in lines if line.startswith("|")]
    assert sum(row[:2] == ["unipc", "2"] for row in rows) == 1
    assert sum(row[0] == "real clips" for row in rows) == 2


def made_as(row):
    return (
        row.get("sampler", "euler"),
        row.get("steps", 1),
        row.get("guidance_scale", 1.0),
        row.get("control_guidance_scale", 1.0),
    )


def same(row, other):
    return all(row[name] == other[name] for name in COLUMNS if name != "seconds")
