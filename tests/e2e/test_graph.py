"""The real graph on tiny parameters, in a copy of the project: every command as a user types it."""

import json
import signal
import sys
from pathlib import Path

import av
import pytest
import yaml

from sketch2video.code import PACKAGE, imported_files
from sketch2video.params import load_params
from sketch2video.profiles import edit_params
from sketch2video.systems.registry import DEFAULT, find_part, find_system, system_names
from sketch2video.systems.shared import SHARED_PARTS
from sketch2video.systems.spec import SHARED, named_file
from tests.e2e.conftest import OTHER_SYSTEMS, ROOT

STAGES = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
OTHERS = {
    f"{file.parent.name}:{name}": stage
    for file in sorted(Path("systems").glob("*/dvc.yaml"))
    for name, stage in yaml.safe_load(file.read_text(encoding="utf-8"))["stages"].items()
}
"""Stages of the other systems; their paths count from the project's folder, too."""

DEFAULTS = {"${adapted_video.base}": load_params().adapted_video.base}

DATA_STAGES = {
    "ingest": "data/ingest/stage.py",
    "sketch": "sketches/stage.py",
    "fit": "curves/fitting/stage.py",
    "validate": "data/validation/expectations.py",
}
"""Files of the stages that are commands, below src/sketch2video. The others are stages of systems."""

READ_FOR_PREVIEWS = {
    "hierarchical_vqgan:train_token_transformer": [
        f"token_transformer.{name}" for name in ("temperature", "top_k", "top_p")
    ]
}
"""Parameters that pictures of a training depend on, but none of the stage's outputs."""

KILLED = Path(__file__).with_name("killed.py")


def made_by():
    """The code, by output, that a part or a pipeline names in its folder: what reads it need not name that again."""
    found = {}
    owners = {name: find_system(name).parts for name in system_names()} | {SHARED: SHARED_PARTS}
    for owner, parts in owners.items():
        for part in parts:
            folder = named_file(part.make).parent
            found[part.folder(owner).as_posix()] = set().union(*map(imported_files, folder.glob("*.py")))
    for spec in map(find_system, system_names()):
        found[spec.folder.as_posix()] = imported_files(named_file(spec.pipeline))
    return found


def code_of_stage(stage):
    """Files whose code decides about a stage's outputs."""
    name = stage.rpartition(":")[2]
    if name in DATA_STAGES:
        return imported_files(PACKAGE / DATA_STAGES[name])
    system = (STAGES | OTHERS)[stage]["cmd"].split()[-1]
    if name == "evaluate":
        return imported_files(PACKAGE / "evaluation" / "evaluate.py")
    spec = PACKAGE / "systems" / (f"{system}.py" if system == SHARED else f"{system}/__init__.py")
    if name == "assemble":
        return imported_files(spec) | imported_files(named_file(find_system(system).pipeline))
    folder = named_file(find_part(system, name).make).parent  # as `part_code` names it
    return imported_files(spec).union(*map(imported_files, folder.glob("*.py")))


@pytest.mark.parametrize("stage", STAGES | OTHERS)
def test_a_stage_depends_on_all_the_code_that_decides_about_its_outputs(stage):
    # A folder that a parameter names is the one of the defaults.
    dependencies = [DEFAULTS.get(dep, dep) for dep in (STAGES | OTHERS)[stage]["deps"]]
    named = {ROOT / dep for dep in dependencies}
    known = set().union(*(code for output, code in made_by().items() if output in dependencies))
    used = code_of_stage(stage)
    missing = sorted(str(file) for file in used - known if not ({file, *file.parents} & named))
    assert not missing, f"dvc.yaml, stage {stage}: add to deps: {missing}"
    code = [dep for dep in dependencies if dep.startswith("src/")]
    spare = sorted(dep for dep in code if not covers(ROOT / dep, used))
    assert not spare, f"dvc.yaml, stage {stage}: nothing here uses {spare}"
    assert len(code) <= 8


def test_the_graph_is_short():
    files = [Path("dvc.yaml"), *Path("systems").glob("*/dvc.yaml")]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 620


def covers(dep, files):
    return any(dep == file or dep in file.parents for file in files)


def outputs_of(stages):
    return [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]


def test_the_graph_makes_what_it_promises(finished):
    assert [out for out in outputs_of(STAGES.values()) if not (finished.folder / out).exists()] == []
    metrics = json.loads((finished.folder / "reports/sketch_ldm/metrics.json").read_text())
    assert all(isinstance(value, float | int) for value in metrics.values())
    assert any(name.startswith("faithfulness") for name in metrics)


def test_registration_and_generation_end_in_videos_that_players_open(finished):
    videos = sorted((finished.folder / "outputs").rglob("*.mp4"))
    prompts = [
        line for line in Path("prompts/demo.txt").read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    assert len(videos) >= len(prompts)
    for path in videos:
        with av.open(str(path)) as video:
            assert video.streams.video[0].codec_context.pix_fmt == "yuv420p"
            assert sum(1 for _ in video.decode(video=0)) >= 2


def test_a_second_run_does_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in (finished.folder / "models").rglob("*")}
    said = finished.run("dvc", "repro")
    assert "Running stage" not in said
    assert "up to date" in said
    assert {path: path.stat().st_mtime_ns for path in (finished.folder / "models").rglob("*")} == before


def test_stages_list_the_parameters_that_they_read(with_all_systems):
    project, _ = with_all_systems
    read = {}
    for file in project.records.glob("*.json"):
        record = json.loads(file.read_text())
        read.setdefault(tuple(record["command"][1:]), set()).update(record["read"])
    forgotten = {}
    for stage, about in (STAGES | OTHERS).items():
        command = about["cmd"].removeprefix("python -m flows.stage ").removeprefix("sketch2video ")
        found = read[tuple(command.split())]
        listed = (*about.get("params", ()), "base.workers", "base.cluster", *READ_FOR_PREVIEWS.get(stage, ()))
        keys = {key for key in found if not any(f"{key}.".startswith(f"{name}.") for name in listed)}
        if keys:
            forgotten[stage] = sorted(keys)
    assert forgotten == {}


def test_other_systems_are_made_when_they_are_asked_for(with_all_systems):
    project, made_by_the_graph = with_all_systems
    assert made_by_the_graph == []
    assert [out for out in outputs_of(OTHERS.values()) if not (project.folder / out).exists()] == []
    said = project.run("dvc", "repro", *(f"systems/{name}/dvc.yaml" for name in OTHER_SYSTEMS))
    assert "Running stage" not in said
    assert "up to date" in said


@pytest.mark.parametrize(
    ("file", "systems"),
    [
        ("systems/text_ldm/pipeline.py", {"text_ldm"}),
        ("tokens/transformer.py", {"hierarchical_vqgan"}),
        ("steadiness/average_fusion.py", {"long_video"}),
        ("systems/sketch_ldm/pipeline.py", {DEFAULT, "long_video"}),  # whose parts paint there, too
    ],
)
def test_touching_a_systems_code_concerns_no_other_system(with_all_systems, file, systems):
    project, _ = with_all_systems
    touched = project.folder / "src" / "sketch2video" / file
    before = touched.read_bytes()
    try:
        touched.write_bytes(before + b"# touched\n")
        changed = json.loads(project.run("dvc", "status", "--json"))
    finally:
        touched.write_bytes(before)
    owners = {stage.split("/")[1] if ":" in stage else DEFAULT for stage in changed}
    assert owners == systems


def test_all_systems_stand_side_by_side(with_all_systems):
    project, _ = with_all_systems
    made_by_the_evaluation = (project.folder / "reports/systems.html").read_text()
    said = project.run("sketch2video", "compare")
    rows = ("real clips", "sketch_ldm", *sorted(OTHER_SYSTEMS))
    found = [line.split("  ")[0] for line in said.splitlines() if line.startswith(rows)]
    assert sorted(found) == sorted(rows)
    assert (project.folder / "reports/systems.html").read_text() == made_by_the_evaluation
    files = ["reports/sketch_ldm/metrics.json", *(f"reports/{name}/metrics.json" for name in OTHER_SYSTEMS)]
    shown = json.loads(project.run("dvc", "metrics", "show", "--json", *files))
    sketch, *others = (shown[""]["data"][file]["data"] for file in files)
    left_out = json.loads((project.folder / "reports/sketch_ldm/evaluation.json").read_text())["left_out"]
    for other in others:
        assert {name.removesuffix("_floor") for name in set(other) - set(sketch)} <= set(left_out)
        assert other["fvd_embedded_floor"] == sketch["fvd_embedded_floor"]


@pytest.mark.parametrize(("system", "frames"), [("hierarchical_vqgan", 11), ("long_video", 100)])
def test_any_system_is_registered_and_generates_by_the_batch(with_all_systems, tmp_path, system, frames):
    """Longer videos than were trained on, from the registry, by systems that have nothing else in common."""
    project, _ = with_all_systems
    prompts = tmp_path / "prompts.csv"
    prompts.write_text(f"caption,num_frames\na red circle moves left to right,{frames}\n")
    commands = (
        f"sketch2video register --model models/{system}"
        f" && sketch2video generate {prompts} --model models:/sketch2video@challenger --output {tmp_path / 'videos'}"
    )
    project.run("python", "-m", "flows.server", "run", "--", "bash", "-c", commands)
    (row,) = (json.loads(line) for line in (tmp_path / "videos" / "manifest.jsonl").read_text().splitlines())
    with av.open(str(tmp_path / "videos" / row["video"])) as video:
        assert sum(1 for _ in video.decode(video=0)) == frames


def test_a_change_of_fit_concerns_fit_and_what_follows_alone(finished):
    parameters = finished.folder / "params.yaml"
    before = parameters.read_bytes()
    try:
        edit_params({"fit": {"stiffness": 0.002}}, parameters)
        changed = json.loads(finished.run("dvc", "status", "--json"))
        planned = finished.run("dvc", "repro", "--dry")
    finally:
        parameters.write_bytes(before)
    # Clips of the buckets of a base are cut, sketched and fitted by its own stage.
    assert set(changed) == {"fit", "systems/adapted_video/dvc.yaml:encode_latents"}
    assert "Stage 'ingest' didn't change" in planned
    assert "Stage 'sketch' didn't change" in planned
    assert "Running stage 'fit'" in planned


def test_metrics_of_two_commits_are_compared(fresh):
    for stiffness in (0.001, 0.1):
        edit_params({"fit": {"stiffness": stiffness}}, fresh.folder / "params.yaml")
        fresh.run("dvc", "repro", "fit")
        fresh.run("git", "add", "--all")
        fresh.run("git", "commit", "--quiet", "--message", f"Stiffness {stiffness}")
    said = fresh.run("dvc", "metrics", "diff", "--json", "HEAD~1", "HEAD").splitlines()
    (compared,) = (json.loads(line) for line in said if line.startswith("{"))  # others were not made
    found = compared["reports/fit.json"]
    assert any(value["old"] != value["new"] for value in found.values())


def test_a_killed_data_stage_goes_on_to_the_same_bytes(finished, fresh):
    edit_params({"base": {"workers": 1}}, fresh.folder / "params.yaml")  # so that the killed process writes the shards
    third_shard = ("sketch2video.data.clips.shards:ShardWriter._assemble", 3)
    command = Path(sys.executable).with_name("sketch2video")
    for stage, output in (("ingest", "clips"), ("sketch", "sketches"), ("fit", "curves")):
        fresh.run("python", KILLED, *third_shard, command, stage, expected=-signal.SIGKILL)
        assert len(list((fresh.folder / "data" / output / "shards").glob("0*"))) == 2
        fresh.run("sketch2video", stage)
        assert fresh.bytes_of(f"data/{output}") == finished.bytes_of(f"data/{output}")


def test_a_killed_training_goes_on_to_the_same_model(finished, fresh):
    """The text encoder stands for all: they share the loop, whose own tests cover the networks."""
    link_data(finished, fresh)
    stage = ("flows/stage.py", "train_text_encoder", "shared")
    # Killed after the checkpoints of steps 0 and 2 of 6.
    command = ("python", KILLED, "sketch2video.training.loop:save_checkpoint", 3, *stage)
    fresh.run(*command, expected=-signal.SIGKILL)
    assert not (fresh.folder / "models").exists()
    fresh.run("python", "-m", "flows.stage", *stage[1:])
    assert fresh.bytes_of("models/shared/text_encoder") == finished.bytes_of("models/shared/text_encoder")
    report = "reports/shared/train_text_encoder.json"
    assert (fresh.folder / report).read_bytes() == (finished.folder / report).read_bytes()


def test_bad_data_end_the_stage_with_one_line_a_check(finished, fresh):
    link_data(finished, fresh)
    edit_params({"validate": {"min_ink": 0.39}}, fresh.folder / "params.yaml")
    said = fresh.run("sketch2video", "validate", expected=2)
    assert "curves.ink_coverage: expect_column_values_to_be_between(min_value=0.39" in said
    assert "Traceback" not in said
    assert not (fresh.folder / "data/validated.json").exists()


def link_data(finished, fresh):
    """Let one project read the clips and curves of another."""
    (fresh.folder / "data").mkdir(exist_ok=True)
    for name in ("clips", "curves", "images"):
        (fresh.folder / "data" / name).symlink_to(finished.folder / "data" / name)
