from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sketch2video.params import Params
from sketch2video.sketches import training as sketcher
from sketch2video.sketches.agreement import mean_agreement
from sketch2video.sketches.learned import extract_sketches_learned
from sketch2video.sketches.network import load_sketcher
from sketch2video.sketches.scene_pairs import HELD_OUT, scene_pairs
from sketch2video.sketches.training import train_sketcher, turned
from sketch2video.training.loop import SilentLogger, TrainResult
from tests.small_data import small_params


@pytest.fixture(autouse=True)
def _few_held_out_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketcher, "HELD_OUT_SCENES", 24)


def params(steps: int, **changes) -> Params:
    small = small_params("sketcher", steps, scenes=96, size=32, width=8, **changes)
    base = small.base.model_copy(update={"workers": 1})
    return small.model_copy(update={"base": base})


def run(folder: Path, given: Params) -> TrainResult:
    return train_sketcher(given, SilentLogger(), folder / "sketcher", checkpoints=folder / "checkpoints")


def test_training_finds_more_of_the_held_out_drawings(tmp_path: Path) -> None:
    short, long = run(tmp_path / "short", params(1)).metrics, run(tmp_path / "long", params(80)).metrics
    assert long["learned_f_score"] > short["learned_f_score"] + 0.2
    assert long["learned_corrupted_f_score"] > short["learned_corrupted_f_score"] + 0.1
    assert long["classical_f_score"] == short["classical_f_score"]
    assert long["classical_corrupted_f_score"] < long["classical_f_score"]
    assert (long["trained"], long["held_out"]) == (1, 24)


def test_the_folder_holds_what_was_measured(tmp_path: Path) -> None:
    given = params(10)
    metrics = run(tmp_path, given).metrics
    pictures, ink = scene_pairs(24, 32, given.base.seed, HELD_OUT)
    settings = {"threshold": given.sketch.threshold, "min_length": given.sketch.min_length}
    drawn = extract_sketches_learned(pictures, load_sketcher(tmp_path / "sketcher"), **settings)
    assert mean_agreement(drawn, ink).f_score == pytest.approx(metrics["learned_f_score"], abs=0.01)
    assert list((tmp_path / "checkpoints").rglob("previews/*.png"))


def test_the_users_pairs_are_learned(tmp_path: Path) -> None:
    pictures, ink = scene_pairs(12, 32, 5, HELD_OUT)
    rows = ["photo,drawing"]
    for number, (picture, drawing) in enumerate(zip(pictures, ink, strict=True)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture[..., ::-1])
        cv2.imwrite(str(tmp_path / f"{number}-drawn.png"), 255 - drawing)
        rows.append(f"{number}.png,{number}-drawn.png")
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    metrics = run(tmp_path, params(2, folder=str(tmp_path), pairs="mine.csv", test_fraction=0.4)).metrics
    assert 1 <= metrics["held_out"] < 12
    assert metrics["classical_f_score"] > 0.7, "drawings lie on their photos"


def test_drawings_turn_with_their_pictures() -> None:
    pictures, ink = scene_pairs(16, 32, 0, HELD_OUT)
    marked = torch.from_numpy(np.repeat(ink[:, None], 3, 1)) / 255
    pictures, drawn = turned(marked, marked[:, :1], torch.Generator().manual_seed(0))
    assert torch.equal(pictures, drawn.expand(-1, 3, -1, -1))
    same = [torch.equal(a, b) for a, b in zip(drawn, marked[:, :1], strict=True)]
    assert 0 < sum(same) < 8
    assert torch.equal(drawn.sum((1, 2, 3)), marked[:, :1].sum((1, 2, 3)))
