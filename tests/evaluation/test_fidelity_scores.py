"""Scores of how drawings are followed: their floor, interval and protocol, and controls that are line drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.controls import NONE, VIDEO, Control
from sketch2video.data.clips.shards import write_shard
from sketch2video.evaluation.fidelity_scores import (
    NO_DRAWING,
    NO_LINES,
    AskedDrawings,
    control_scores,
    fidelity_scores,
    measured,
)
from sketch2video.params import load_params
from sketch2video.scoring.fidelity import Fidelity
from sketch2video.sketches import extract_sketches

SIZE, FRAMES, CLIPS = 64, 3, 5
PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def fidelity_of(clips: int, seed: int, **changes: object) -> Fidelity:
    rng = np.random.default_rng(seed)
    values = {name: rng.uniform(0.2, 0.9, clips) for name in Fidelity._fields}
    return Fidelity(**{**values, **changes})


def test_scores_have_the_real_clips_beside_them() -> None:
    generated, real = fidelity_of(30, 1), fidelity_of(30, 2)
    scores = control_scores(generated, real, 200, {"split": "test"})
    assert list(scores) == ["control_px", "control_found", "control_f1"]
    px = (generated.asked_near_px + generated.found_near_px) / 2
    assert scores["control_px"].value == pytest.approx(px.mean())
    assert scores["control_found"].value == pytest.approx(generated.asked_near.mean())
    assert scores["control_found"].floor == pytest.approx(real.asked_near.mean())
    p, r = generated.precision, generated.recall
    assert scores["control_f1"].value == pytest.approx((2 * p * r / (p + r)).mean())
    for score in scores.values():
        assert score.interval[0] < score.value < score.interval[1]
        assert (score.protocol["split"], score.protocol["clips"]) == ("test", 30)
    half = 1.96 * px.std(ddof=1) / np.sqrt(30)
    assert scores["control_px"].interval[1] - scores["control_px"].value == pytest.approx(half, rel=0.2)
    about = scores["control_px"].protocol
    assert about["asked_to_found_px"] == {
        "mean": pytest.approx(generated.asked_px.mean()),
        "p95": pytest.approx(generated.asked_high.mean()),
    }
    assert scores["control_f1"].protocol["recall"] == pytest.approx(r.mean())


def test_clips_without_common_lines_have_no_distance() -> None:
    some = np.array([0.0, 0.5, 0.5])
    scores = control_scores(fidelity_of(3, 3, asked_near=some), fidelity_of(3, 4), 0, {})
    assert scores["control_px"].protocol["clips"] == 2
    assert scores["control_found"].value == pytest.approx(1 / 3)
    none = fidelity_of(3, 3, found_near=np.zeros(3))
    assert set(control_scores(none, none, 50, {})) == {"control_found", "control_f1"}


def test_clips_whose_drawings_have_no_line_do_not_count() -> None:
    drawn = np.array([0.0, 30.0, 40.0])
    generated = fidelity_of(3, 5, asked_length=drawn)
    scores = control_scores(generated, fidelity_of(3, 6), 0, {})
    assert [score.protocol["clips"] for score in scores.values()] == [2, 2, 2]
    assert scores["control_found"].value == pytest.approx(generated.asked_near[1:].mean())
    assert scores["control_f1"].protocol["precision"] == pytest.approx(generated.precision[1:].mean())
    assert control_scores(fidelity_of(3, 5, asked_length=np.zeros(3)), generated, 0, {}) == {}


class Squares(Control):
    """Line drawings of a user's own: the outlines of squares, an array of the clips."""

    name = "squares"
    channels = 1
    lines = True

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        return {"outlines": clips}

    def pictures(self, batch, height, width, corruption=0.0, generator=None) -> torch.Tensor:
        return batch["outlines"].unsqueeze(2).float() / 255


class Kept:
    """Generated clips in two batches."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def with_curves(self):
        for part in np.split(self.frames, [3]):
            yield part, []


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of a bright square, each elsewhere, with its outline."""
    folder = tmp_path_factory.mktemp("squares")
    frames = np.full((CLIPS, FRAMES, SIZE, SIZE, 3), 40, np.uint8)
    outlines = np.zeros((CLIPS, FRAMES, SIZE, SIZE), np.uint8)
    for clip in range(CLIPS):
        for t in range(FRAMES):
            low, high = 12 + 2 * clip + t, 40 + 2 * clip + t
            frames[clip, t, low:high, low:high] = (230, 220, 40)
            outlines[clip, t, low - 1 : high + 1, low - 1 : high + 1] = 255
            outlines[clip, t, low:high, low:high] = 0
    ids = [f"clip{i}" for i in range(CLIPS)]
    content = {"frames": frames, "outlines": outlines}
    write_shard(folder / "clips" / "shards" / "0000.safetensors", content, ids, "key")
    return folder


def rows() -> pd.DataFrame:
    return pd.DataFrame({"clip_id": [f"clip{i}" for i in range(CLIPS)], "shard": 0, "row": range(CLIPS)})


def asked(control: Control, folder: Path) -> AskedDrawings:
    return AskedDrawings(control, rows(), folder / "clips", folder / "curves", 3)


def test_line_drawings_as_control_are_compared_with_their_own_clips(squares: Path) -> None:
    drawings = asked(Squares(), squares)
    frames = np.concatenate([frames for frames, _ in drawings.real()])
    real = measured(drawings.real(), extract_sketches)
    assert len(real.px) == CLIPS
    assert (real.px < 1.2).all()  # outlines lie half a pixel outside of the edges
    assert (real.asked_near > 0.98).all()
    moved = np.roll(frames, 3, axis=3)
    scores, left_out = fidelity_scores(drawings, {"_control": Kept(moved)}, PARAMS.sketch, 20, {"split": "test"})
    assert left_out == {}
    assert set(scores) == {"control_px_control", "control_found_control", "control_f1_control"}
    score = scores["control_px_control"]
    assert score.floor == pytest.approx(real.px.mean())
    assert score.value > score.floor + 0.8
    assert score.protocol["lines"]["extractor"] == "classical"
    same, _ = fidelity_scores(drawings, {"": Kept(frames)}, PARAMS.sketch, 0, {})
    assert same["control_f1"].value == pytest.approx(same["control_f1"].floor)


def test_videos_without_any_line_have_no_distance_and_the_reason_is_kept(squares: Path) -> None:
    grey = np.full((CLIPS, FRAMES, SIZE, SIZE, 3), 90, np.uint8)
    scores, left_out = fidelity_scores(asked(Squares(), squares), {"_control": Kept(grey)}, PARAMS.sketch, 20, {})
    assert (scores["control_found_control"].value, scores["control_f1_control"].value) == (0, 0)
    assert left_out == {"control_px_control": NO_LINES}


def test_other_controls_have_no_such_scores(tmp_path: Path) -> None:
    names = ("control_px", "control_found", "control_f1")
    found = fidelity_scores(asked(VIDEO, tmp_path), {"_control": Kept(np.zeros(0))}, PARAMS.sketch, 20, {})
    assert found == ({}, {f"{name}_control": NO_DRAWING for name in names})
    assert fidelity_scores(asked(NONE, tmp_path), {}, PARAMS.sketch, 20, {}) == ({}, {})
