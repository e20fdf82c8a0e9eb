from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from sketch2video.params import load_params
from sketch2video.tracking import requirements
from sketch2video.tracking.location import locate_model
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.requirements import requirements_of
from sketch2video.tracking.runs import tracked_run

SOURCE = Path(__file__).parents[2] / "src" / "sketch2video"

ASK = """
import json, sys
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
asked = pandas.DataFrame({"caption": ["a red circle"], "seed": [1], "num_frames": [4]})
answer = model.predict(asked, params={"num_inference_steps": 1})
print(json.dumps({"bytes": len(answer["video"][0]), "svg": answer["sketch"][0][:4]}))
"""


def names(entry: Path) -> set[str]:
    return {line.partition("==")[0].lower() for line in requirements_of(entry)}


def test_requirements_are_what_a_module_imports_directly_or_not() -> None:
    assert names(SOURCE / "svg" / "values.py") == {"numpy", "tinycss2"}
    served = names(SOURCE / "tracking" / "pyfunc_model.py")
    assert {"torch", "diffusers", "mlflow", "pyyaml", "opencv-python-headless"} <= served
    assert "scenedetect-headless" in served, "imported within a function"
    assert not {"prefect", "dvc", "great-expectations", "pytest"} & served


def test_modules_of_extras_count_only_if_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, installed = SOURCE / "media" / "pictures.py", requirements.packages_distributions()
    without = {module: found for module, found in installed.items() if module != "pi_heif"}  # an extra
    for known in (without | {"pi_heif": ["pytest"]}, without):
        monkeypatch.setattr(requirements, "packages_distributions", lambda known=known: known)
        assert ("pytest" in names(pictures)) == ("pi_heif" in known)
        assert "pillow" in names(pictures)


@pytest.mark.slow
def test_a_served_model_needs_nothing_but_its_requirements(
    tiny_pipeline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    settings = load_params(SOURCE.parents[1] / "params.yaml").generate
    with tracked_run("register", {}) as run:
        version = register_version(tiny_pipeline_folder, "sketch2video", settings, run)
    model = locate_model(f"models:/sketch2video/{version}").folder.parents[1]
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", model / "requirements.txt"], check=True)
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run([python, "-c", ASK, model], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["svg"] == "<svg"
    assert answer["bytes"] > 1000
