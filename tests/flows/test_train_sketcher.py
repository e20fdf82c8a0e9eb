import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.sketches import draw_lines

ROOT = Path(__file__).parents[2]


def test_with_the_classical_extractor_it_says_in_a_moment_that_nothing_was_trained(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    code = "import sys, flows.train_sketcher as stage; stage.main(); print({'torch', 'prefect'} & {*sys.modules})"
    paths = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    description = json.loads((tmp_path / "models/sketcher/sketcher.json").read_text())
    assert description == {"trained": False, "reason": "sketch.extractor is classical"}
    assert json.loads((tmp_path / "reports/train_sketcher.json").read_text()) == {"trained": 0}
    assert pd.read_csv(tmp_path / "reports/plots/train_sketcher.csv").columns[0] == "step"
    learned = load_params().sketch.model_copy(update={"extractor": "learned"})
    with pytest.raises(UserError, match="holds no trained sketcher"):
        draw_lines(np.zeros((1, 8, 8, 3), np.uint8), learned, tmp_path / "models/sketcher")
