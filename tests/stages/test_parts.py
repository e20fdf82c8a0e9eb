"""Making a part: what runs record, loss curves, parts that need no training."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sketch2video.errors import UserError
from sketch2video.judges.trained.description import read_description
from sketch2video.params import load_params
from sketch2video.sketches import draw_lines
from sketch2video.stages.parts import recorded, write_curve

ROOT = Path(__file__).parents[2]


def test_a_run_records_the_sections_it_reads():
    params = load_params()
    values = recorded(params, "curve_vae")
    assert values == {"base": params.base.model_dump(), "curve_vae": params.curve_vae.model_dump()}


@pytest.mark.parametrize("history", [[], [{"step": 1, "learning_rate": 0.1, "loss": 2.0, "kl": 1.0}]])
def test_a_loss_curve_is_a_table_that_dvc_can_plot(tmp_path, history):
    write_curve(tmp_path / "plots" / "x.csv", history)
    table = pd.read_csv(tmp_path / "plots" / "x.csv")
    assert {"step", "loss"} <= set(table.columns)
    assert len(table) == len(history)


def test_with_the_classical_extractor_nothing_is_trained_and_no_large_library_loaded(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    code = "import sys; from flows.stage import main; main(); print({'torch', 'prefect', 'mlflow'} & {*sys.modules})"
    paths = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", code, "train_sketcher", "shared"]
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    description = json.loads((tmp_path / "models/shared/sketcher/sketcher.json").read_text())
    assert description == {"trained": False, "reason": "sketch.extractor is classical"}
    assert json.loads((tmp_path / "reports/shared/train_sketcher.json").read_text()) == {"trained": 0}
    assert pd.read_csv(tmp_path / "reports/shared/plots/train_sketcher.csv").columns[0] == "step"
    learned = load_params().sketch.model_copy(update={"extractor": "learned"})
    with pytest.raises(UserError, match="holds no trained sketcher"):
        draw_lines(np.zeros((1, 8, 8, 3), np.uint8), learned, tmp_path / "models/shared/sketcher")


def test_scenes_with_one_object_need_no_judge_and_load_no_large_library(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    code = "import sys; from flows.stage import main; main(); print({'torch', 'prefect', 'mlflow'} & {*sys.modules})"
    command = [sys.executable, "-c", code, "train_judge", "shared"]
    paths = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    about = read_description(tmp_path / "models/shared/judge")
    assert not about.trained
    assert "one object" in about.reason
    assert json.loads((tmp_path / "reports/shared/train_judge.json").read_text()) == {"trained": 0}
