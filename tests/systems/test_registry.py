"""Systems: found by folder, each with folders and a graph of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sketch2video.errors import UserError
from sketch2video.params import load_params, parse_params
from sketch2video.params.sampling import DEFAULTS
from sketch2video.systems.registry import DEFAULT, find_part, find_system, system_names, system_of_class
from sketch2video.systems.shared import SHARED_PARTS
from sketch2video.systems.spec import SHARED, named_file, report_folder

ROOT = Path(__file__).parents[2]
OUTPUTS = ("outs", "metrics")


def graph_of(system: str) -> dict[str, dict]:
    own = ROOT / "systems" / system / "dvc.yaml"
    return yaml.safe_load((own if own.exists() else ROOT / "dvc.yaml").read_text())["stages"]


def outputs_of(stage: dict) -> set[str]:
    outs = [out for kind in OUTPUTS for out in stage.get(kind, [])]
    return {next(iter(out)) if isinstance(out, dict) else out for out in outs}


def test_the_default_system_comes_first_and_every_folder_is_a_system() -> None:
    assert system_names()[0] == DEFAULT
    folders = {path.parent.name for path in (ROOT / "src/sketch2video/systems").glob("*/__init__.py")}
    assert set(system_names()) == folders


@pytest.mark.parametrize("system", system_names())
def test_every_part_is_a_stage_of_the_systems_own_graph(system: str) -> None:
    spec, stages = find_system(system), graph_of(system)
    for part in spec.parts:
        stage = stages[part.stage]
        assert stage["cmd"] == f"python -m flows.stage {part.stage} {system}"
        assert part.folder(system).as_posix() in outputs_of(stage)
    assert spec.folder.as_posix() in outputs_of(stages["assemble"])
    expected = {report_folder(system) / name for name in ("evaluation.json", "examples", "metrics.json")}
    assert {path.as_posix() for path in expected} <= outputs_of(stages["evaluate"])


def test_shared_parts_are_stages_of_the_projects_graph() -> None:
    for part in SHARED_PARTS:
        assert part.folder(SHARED).as_posix() in outputs_of(graph_of(DEFAULT)[part.stage])


def test_a_guidance_of_the_parameters_is_that_of_all_systems_and_else_drawings_need_none() -> None:
    params = load_params(ROOT / "params.yaml")
    guided = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"guidance_scale": 3.0})})
    own = {"sketch_ldm": 1.0, "long_video": 1.0}
    for system in system_names():
        spec = find_system(system)
        kind = spec.pipeline_class.sampling_type
        found, asked = (kind.checked({}, spec.arguments(each)["sampling"]) for each in (params, guided))
        assert found.guidance_scale == own.get(system, DEFAULTS["guidance_scale"])
        assert asked.guidance_scale == 3.0


@pytest.mark.parametrize("system", system_names())
def test_what_a_spec_names_exists_and_its_arguments_follow_from_the_parameters(system: str) -> None:
    spec, params = find_system(system), load_params(ROOT / "params.yaml")
    for part in spec.parts:
        assert named_file(part.make).is_file()
        part.arguments(params)
    spec.arguments(params)
    assert system_of_class(spec.pipeline_class.__name__) is spec


def test_no_other_system_has_anothers_folder() -> None:
    folders = [part.folder(name) for name in system_names() for part in find_system(name).parts]
    folders += [find_system(name).folder for name in system_names()]
    assert len(set(folders)) == len(folders)


def test_specs_load_no_library_that_takes_long() -> None:
    code = (
        "import sys; from sketch2video.systems.registry import system_names; system_names();"
        " print({'torch', 'diffusers', 'mlflow', 'pandas'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_unknown_names_are_answered_with_the_choices() -> None:
    with pytest.raises(UserError, match=r"no system text_lmd; choose one of sketch_ldm, adapted_video, "):
        find_system("text_lmd")
    with pytest.raises(UserError, match=r"sketch_ldm has no part vqgan; choose one of autoencoder, latents, video_ldm"):
        find_part("sketch_ldm", "vqgan")


def test_sections_of_nobody_are_refused() -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    with pytest.raises(UserError, match="unknown key text_lmd"):
        parse_params(values | {"text_lmd": {}})
