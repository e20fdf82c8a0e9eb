from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.systems import SYSTEMS, find_system
from sketch2video.errors import UserError
from sketch2video.params import load_params, parse_params

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_systems_share_no_folder() -> None:
    systems = [find_system(name, load_params(PARAMS)) for name in SYSTEMS]
    for place in ("pipeline", "parts", "latents", "reports"):
        assert len({getattr(system, place) for system in systems}) == len(systems)


def test_every_system_is_assembled_and_evaluated_by_its_own_graph() -> None:
    root = PARAMS.parent
    for name in SYSTEMS:
        system = find_system(name, load_params(PARAMS))
        own = root / "systems" / name / "dvc.yaml"
        stages = yaml.safe_load((own if own.exists() else root / "dvc.yaml").read_text())["stages"]
        outs = {next(iter(out)) if isinstance(out, dict) else out for stage in stages.values() for out in stage["outs"]}
        assert outs >= {str(system.pipeline), str(system.reports / "evaluation.json"), str(system.reports / "examples")}


def test_which_system_is_registered_is_a_parameter() -> None:
    values = yaml.safe_load(PARAMS.read_text())
    assert load_params(PARAMS).register_.system == "sketch_ldm"
    assert (
        parse_params(values | {"register": values["register"] | {"system": "text_ldm"}}).register_.system == "text_ldm"
    )
    with pytest.raises(UserError, match=r"register\.system: input should be"):
        parse_params(values | {"register": values["register"] | {"system": "text_lmd"}})
