from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient

from sketch2video.data.clips.shards import read_table, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.judges.trained.description import JudgeDescription
from sketch2video.judges.trained.video_judge import VideoJudge
from sketch2video.params import Params, load_params
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.systems.loading import content_hash, load_pipeline
from sketch2video.tracking import registry
from sketch2video.tracking.gate import chosen_metric, compare, pass_gate, protocol_of
from sketch2video.tracking.location import locate_model
from sketch2video.tracking.registry import aliased_version, client, register_version
from sketch2video.tracking.runs import tracked_run
from tests.judges.untrained import untrained_judge

NAME = "sketch2video"


@pytest.fixture
def params() -> Params:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    return params.model_copy(
        update={
            "base": params.base.model_copy(update={"size": 32, "frames": 8}),
            "evaluate": params.evaluate.model_copy(update={"num_inference_steps": 1, "batch_size": 8}),
            "register_": params.register_.model_copy(update={"clips": 8, "tolerance": 0.0}),
        }
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project's folder with a registry of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def another_pipeline(tiny_pipeline_folder: Path, tmp_path: Path) -> Path:
    """The tiny pipeline with another decoder."""
    pipeline = load_pipeline(tiny_pipeline_folder)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in pipeline.autoencoder.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    pipeline.save_pretrained(tmp_path / "another")
    return tmp_path / "another"


@pytest.fixture
def clips(project: Path) -> Path:
    """Eight test clips in the layout of ``data/clips``, without attributes."""
    rng = np.random.default_rng(0)
    combinations = [Combination("star", "red", m) for m in ("growing", "left to right", "in a circle", "top to bottom")]
    scenes = [sample_scene(rng, [combination]) for combination in combinations * 2]
    folder = project / "data" / "clips"
    ids = [f"clip-{number}" for number in range(8)]
    frames = np.stack([render_scene(scene, 32, 8).frames for scene in scenes])
    write_shard(folder / "shards" / "0000.safetensors", {"frames": frames}, ids, "key")
    table = pd.DataFrame({"clip_id": ids, "caption": [f"a star {n}" for n in range(8)], "label": None, "split": "test"})
    write_table(table.assign(fps=8.0, shard=0, row=range(8)), folder / "clips.parquet")
    return folder


def register(folder: Path, params: Params) -> str:
    with tracked_run("register", {}) as run:
        return register_version(folder, NAME, params.generate, run)


def test_a_version_holds_all_that_a_server_needs(project: Path, tiny_pipeline_folder: Path, params: Params) -> None:
    version = register(tiny_pipeline_folder, params)
    located = locate_model(f"models:/{NAME}@challenger")
    assert located.version == version == "1"
    assert content_hash(located.folder) == content_hash(tiny_pipeline_folder)
    assert located.folder.is_relative_to(project), "no copy of what lies on this machine"
    model = located.folder.parents[1]
    described = yaml.safe_load((model / "MLmodel").read_text())
    assert [column["name"] for column in yaml.safe_load(described["signature"]["inputs"])] == [
        "caption",
        "seed",
        "num_frames",
    ]
    assert (model / "code" / "sketch2video" / "tracking" / "pyfunc_model.py").is_file()
    assert (model / "serving_input_example.json").is_file()
    pinned = (model / "requirements.txt").read_text().split()
    assert f"torch=={torch.__version__.partition('+')[0]}" in pinned
    assert all("==" in line for line in pinned)
    assert not [path for path in model.rglob("*") if path.suffix in {".pkl", ".pt", ".pickle", ".bin"}]
    runs = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("sketch2video").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"]


def test_without_a_guidance_requests_have_that_of_the_pipeline(
    project: Path, tiny_pipeline_folder: Path, params: Params
) -> None:
    assert params.generate.guidance_scale is None
    register(tiny_pipeline_folder, params)
    model = locate_model(f"models:/{NAME}@challenger").folder.parents[1]
    described = yaml.safe_load((model / "MLmodel").read_text())
    defaults = {each["name"]: each["default"] for each in yaml.safe_load(described["signature"]["params"])}
    saved = json.loads((tiny_pipeline_folder / "model_index.json").read_text())["sampling"]
    assert defaults["guidance_scale"] == saved["guidance_scale"]


def test_the_same_pipeline_is_one_version(
    project: Path, tiny_pipeline_folder: Path, another_pipeline: Path, params: Params
) -> None:
    shutil.copytree(tiny_pipeline_folder, project / "elsewhere")
    assert register(tiny_pipeline_folder, params) == "1"
    assert register(another_pipeline, params) == "2"
    assert register(project / "elsewhere", params) == "1"
    assert locate_model(f"models:/{NAME}@challenger").version == "1"
    assert len(client().search_model_versions(f"name = '{NAME}'")) == 2


def test_a_copy_of_a_remote_version_goes_with_the_process(
    project: Path, tiny_pipeline_folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(tiny_pipeline_folder, params)
    at_exit: list[Callable[[], object]] = []
    monkeypatch.setattr(registry, "is_local_uri", lambda uri: False)
    monkeypatch.setattr(registry.atexit, "register", lambda *task, **more: at_exit.append(partial(*task, **more)))
    located = locate_model(f"models:/{NAME}/{version}")
    assert content_hash(located.folder) == content_hash(tiny_pipeline_folder)
    assert not located.folder.is_relative_to(project)
    at_exit[0]()
    assert not located.folder.exists()


def test_the_better_of_two_is_champion_whoever_comes_first(
    project: Path, clips: Path, tiny_pipeline_folder: Path, another_pipeline: Path, params: Params
) -> None:
    first, second = register(tiny_pipeline_folder, params), register(another_pipeline, params)
    alone = pass_gate(params, first)
    assert alone["gate.promoted"] == "True"
    assert "gate.champion" not in alone
    met = pass_gate(params, second)
    assert (met["gate.metric"], met["gate.champion_version"]) == ("fvd_embedded", first)
    assert float(met["gate.champion"]) == pytest.approx(float(alone["gate.challenger"]))
    better = float(met["gate.challenger"]) < float(met["gate.champion"])
    assert met["gate.promoted"] == str(better)
    champion = aliased_version(NAME, "champion")
    assert str(champion.version) == (second if better else first)
    assert client().get_model_version(NAME, second).tags.items() >= met.items()

    # The other way round the same two meet, and the same one is champion.
    worse = first if better else second
    again = pass_gate(params, worse)
    assert again["gate.promoted"] == "False"
    assert str(aliased_version(NAME, "champion").version) == str(champion.version)

    # What was decided by another protocol is decided anew.
    assert pass_gate(params, worse) == again
    fewer = params.model_copy(update={"register_": params.register_.model_copy(update={"tolerance": 1e9})})
    assert pass_gate(fewer, worse)["gate.promoted"] == "True"
    assert str(aliased_version(NAME, "champion").version) == worse


def test_labels_of_the_data_decide_by_their_own_judge(
    project: Path, clips: Path, tiny_pipeline_folder: Path, another_pipeline: Path, params: Params
) -> None:
    table = read_table(clips / "clips.parquet")
    words = ["in a circle", "straight"]
    write_table(table.assign(**{"label.way": [words[n % 2] for n in range(8)]}), clips / "clips.parquet")
    first, second = register(tiny_pipeline_folder, params), register(another_pipeline, params)
    folder = project / "models" / "shared" / "judge"
    without = pass_gate(params, first)
    assert (without["gate.metric"], without["gate.judge"][:6]) == ("fvd_embedded", "video-")
    assert "out of the domain of fvd_embedded" in without["gate.reason"]
    name = untrained_judge(folder, {"label.way": words}, ["label.way"])
    met = pass_gate(params, second)
    assert (met["gate.metric"], met["gate.judge"]) == ("faithfulness_joint", name)
    assert {float(met[f"gate.{role}"]) * 8 % 1 for role in ("challenger", "champion")} == {0}, "shares of 8 clips"
    by_shape = params.model_copy(
        update={"register_": params.register_.model_copy(update={"metric": "faithfulness_shape"})}
    )
    other = first if met["gate.promoted"] == "True" else second
    decided = pass_gate(by_shape, other)
    assert (decided["gate.metric"], decided["gate.judge"]) == ("fvd_labels", name), "a label that the data lack"
    assert "out of the domain" not in decided["gate.reason"]


def test_systems_of_different_kinds_meet_at_the_gate(
    project: Path, clips: Path, tiny_pipeline_folder: Path, tiny_text_pipeline_folder: Path, params: Params
) -> None:
    sketch, text = register(tiny_pipeline_folder, params), register(tiny_text_pipeline_folder, params)
    alone = pass_gate(params, text)
    assert (alone["gate.promoted"], str(aliased_version(NAME, "champion").version)) == ("True", text)
    met = pass_gate(params, sketch)
    assert met["gate.champion_version"] == text
    assert float(met["gate.champion"]) == pytest.approx(float(alone["gate.challenger"]))


def test_what_was_decided_is_not_judged_again(
    project: Path, clips: Path, tiny_pipeline_folder: Path, params: Params
) -> None:
    version = register(tiny_pipeline_folder, params)
    decision = pass_gate(params, version)
    shutil.rmtree(clips)  # nothing left to judge by
    assert pass_gate(params, version) == decision
    assert decision["gate.judge"].startswith("video-")


@pytest.mark.parametrize(
    ("metric", "challenger", "champion", "promoted"),
    [
        ("faithfulness_joint", 0.70, 0.72, True),
        ("faithfulness_joint", 0.69, 0.72, False),
        ("faithfulness_joint", 0.90, 0.72, True),
        ("fvd_embedded", 101.9, 100.0, True),
        ("fvd_embedded", 102.1, 100.0, False),
        ("fvd_embedded", 50.0, 100.0, True),
        ("kvd_embedded", -0.5, -0.5, True),
        ("fvd_labels", 102.1, 100.0, False),
        (None, None, None, False),
    ],
)
def test_a_challenger_may_be_worse_by_the_tolerance(
    metric: str | None, challenger: float | None, champion: float | None, promoted: bool
) -> None:
    assert compare(metric, challenger, champion, 0.02 + 1e-9, contested=True)[0] is promoted
    assert compare(metric, challenger, None, 0.02, contested=False)[0] is True


def test_the_metric_follows_from_the_data(params: Params) -> None:
    gate = params.register_
    package = VideoJudge(None, "video-0", {"shape": "shape"})
    own = VideoJudge(None, "judge-0", {"hair": "label.hair"}, JudgeDescription(True))
    assert chosen_metric(gate, package, 2) == chosen_metric(gate, own, 2) == "faithfulness_joint"
    assert chosen_metric(gate, "no labels", 8) == "fvd_embedded"
    assert chosen_metric(gate, "no labels", 7) is None
    by_shape = gate.model_copy(update={"metric": "faithfulness_shape", "metric_without_labels": "kvd_embedded"})
    assert chosen_metric(by_shape, package, 8) == "faithfulness_shape"
    assert chosen_metric(by_shape, own, 8) == "kvd_labels"
    for name in ("fvd_embedded", "fvd_labels"):
        by_distance = gate.model_copy(update={"metric": name})
        found = [chosen_metric(by_distance, judge, 8) for judge in (package, own, "no labels")]
        assert found == ["fvd_embedded", "fvd_labels", "fvd_embedded"]


def test_a_protocol_is_all_that_decides_but_the_name_of_the_model(params: Params) -> None:
    def changed(section: str, **values: object) -> Params:
        return params.model_copy(update={section: getattr(params, section).model_copy(update=values)})

    rows = pd.DataFrame({"clip_id": ["a", "b"], "caption": ["a star", "a circle"]})
    judge = VideoJudge(None, "judge-0", {"hair": "label.hair"}, JudgeDescription(True))
    usual = protocol_of(params, rows, judge)
    assert protocol_of(changed("register_", name="another", system="text_ldm"), rows.copy(), judge) == usual
    others = [
        protocol_of(changed("evaluate", num_inference_steps=2), rows, judge),
        protocol_of(changed("evaluate", guidance_scale=9.0), rows, judge),
        protocol_of(changed("base", seed=params.base.seed + 1), rows, judge),
        protocol_of(changed("register_", tolerance=0.5), rows, judge),
        protocol_of(changed("register_", metric="faithfulness_shape"), rows, judge),
        protocol_of(params, rows.assign(caption=["a star", "a square"]), judge),
        protocol_of(params, rows.iloc[:1], judge),
        protocol_of(params, rows, VideoJudge(None, "judge-1", {"hair": "label.hair"}, JudgeDescription(True))),
        protocol_of(params, rows, "no labels"),
    ]
    assert len({usual, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    "reference", ["models:/sketch2video@champion", "models:/sketch2video/9", "models:/x", "models:/a/b/c", "nowhere"]
)
def test_a_model_that_is_not_there_is_a_users_mistake(project: Path, reference: str) -> None:
    with pytest.raises(UserError, match=reference) as error:
        locate_model(reference)
    assert "\n" not in str(error.value)


def test_a_folder_is_found_without_mlflow(tiny_pipeline_folder: Path) -> None:
    code = (
        "import sys; from sketch2video.tracking.location import locate_model; located = locate_model(sys.argv[1]);"
        "print('mlflow' in sys.modules, located.version, located.folder)"
    )
    command = [sys.executable, "-c", code, str(tiny_pipeline_folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == f"False None {tiny_pipeline_folder}"


def test_only_pipelines_are_registered(project: Path, params: Params) -> None:
    with pytest.raises(UserError, match="holds no pipeline"):
        register(project, params)
