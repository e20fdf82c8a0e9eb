"""The benchmark of drawings, end to end on an untrained network and clips of a line that moves one way or the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from benchmarks.stroke_sheets import MOVING_SIDE, STILL_SIDE, wrapped
from benchmarks.stroke_ways import GENERATED, GIVEN, INTERPOLATED, REAL, Sampling, first_and_last, straight_between
from benchmarks.strokes import about_model, compare, markdown, notes
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.strokes import stroke_sets
from sketch2video.errors import UserError
from sketch2video.networks.loading import load_frozen
from tests.benchmarks.line_world import SHORT, make_line_world
from tests.evaluation.moving_lines import FRAMES, moving_lines

CLIPS = 12


@dataclass
class World:
    """Folders of a run, what it found, and how it is run again."""

    folder: Path
    found: dict[str, Any]

    def run(self, training_seconds: float | None = None, **changes: Any) -> dict[str, Any]:
        vae = load_frozen(CurveVAE, self.folder / "model", "train_curve_vae")
        settings = {
            "labels": ["label.motion"],
            "number": CLIPS,
            "sampling": Sampling(2, None, 8),
            "size": 64,
            "settings": SHORT,
        }
        folders = [self.folder / name for name in ("curves", "clips", "text", "bench")]
        about = about_model(self.folder / "model", vae, training_seconds)
        return compare(vae, about, *folders, **settings | changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    make_line_world(folder)
    world = World(folder, {})
    world.found = world.run()
    return world


def test_all_ways_are_measured_and_written(world):
    read = json.loads((world.folder / "bench" / "strokes.json").read_text())
    assert read == json.loads(json.dumps(world.found))
    assert list(world.found["ways"]) == [REAL, GENERATED, GIVEN, INTERPOLATED]
    for way in world.found["ways"].values():
        share = way["as_asked"]["label.motion"]
        assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
        assert way["frechet"] >= 0
    assert world.found["protocol"]["num_inference_steps"] == 2
    assert world.found["protocol"]["guidance_scale"] == 1.5, "as the model's config says"
    assert world.found["protocol"]["frechet_clips_a_side"] == [6, 6]
    for name in ("strokes.png", "strokes_sheet.png"):
        assert (world.folder / "bench" / name).read_bytes().startswith(b"\x89PNG")


def test_real_drawings_are_what_they_are(world):
    real = world.found["ways"][REAL]
    assert real["between"] is None
    assert set(real["distributions"]["strokes"].values()) == {1.0}
    assert set(real["distributions"]["lives"].values()) == {1.0}
    assert real["distributions"]["speed"]["mean"] == pytest.approx(64 * 0.4 / (FRAMES - 1), rel=1e-4)


def test_given_drawings_are_kept_and_straight_lines_lie_on_lines_that_move_straight(world):
    given, straight = (world.found["ways"][name]["between"] for name in (GIVEN, INTERPOLATED))
    for between in (given, straight):
        assert between["ink_px_by_frame"][0] == pytest.approx(0, abs=0.1)
        assert between["ink_px_by_frame"][-1] == pytest.approx(0, abs=0.1)
    assert straight["strokes_px"] == pytest.approx(0, abs=0.1)
    assert straight["unmatched"] == 0
    assert world.found["ways"][GENERATED]["between"]["ink_px_by_frame"][0] > 1


def test_the_table_and_the_notes_say_what_was_found(world):
    text = markdown(world.found)
    for words in ("label.motion correct", "strokes a frame", "ink between, px", "(floor)"):
        assert words in text
    assert "all of these" not in text, "one label is all of them"
    said = notes(world.found | {"model": {"training_seconds": 12.0}})
    assert "right on held-out real drawings: label.motion" in said
    assert "6 and 6 drawings" in said
    assert "trained in 12 s" in said


def test_the_sheets_show_every_clip_large_enough(world):
    with Image.open(world.folder / "bench" / "strokes_sheet.gif") as moving:
        assert moving.n_frames == FRAMES
        assert moving.width >= 8 * MOVING_SIDE
        assert moving.height >= 2 * 2 * MOVING_SIDE
    with Image.open(world.folder / "bench" / "strokes_sheet.png") as still:
        assert still.width * still.height >= CLIPS * 2 * (FRAMES // 2) * STILL_SIDE**2
    assert STILL_SIDE >= 96


def test_a_second_run_takes_the_judge_that_it_finds(world, monkeypatch):
    monkeypatch.setattr("sketch2video.judges.label_judge_training.train_label_judge", None)
    again = world.run(training_seconds=60.0)
    assert again["model"]["training_seconds"] == 60.0
    assert again["judge"] == world.found["judge"]
    assert again["ways"] == world.found["ways"], "drawings depend on seed and clip alone"
    in_other_batches = world.run(sampling=Sampling(2, None, 5))["ways"][GENERATED]["distributions"]
    for name, found in world.found["ways"][GENERATED]["distributions"].items():
        assert in_other_batches[name] == pytest.approx(found, rel=1e-3)


def test_clips_without_labels_and_too_few_for_a_distance_are_measured_by_the_rest(world, monkeypatch):
    monkeypatch.setattr("benchmarks.strokes.labelled_clips", lambda *_: unlabelled)
    unlabelled = moving_lines(world.folder / "bare", 60).drop(columns=["label.motion", "label.colour", "label"])
    unlabelled["label"] = None
    found = world.run(labels=None, number=4)
    assert found["judge"]["name"].startswith("none")
    assert found["ways"][GENERATED]["as_asked"] == {}
    assert found["ways"][GENERATED]["frechet"] is None
    assert "none: the clips have no labels" in notes(found)
    assert "correct" not in markdown(found)


def test_a_model_that_is_not_there_is_named(world):
    world = World(world.folder / "nowhere", {})
    with pytest.raises(UserError, match=r"nowhere/model.*dvc repro train_curve_vae"):
        world.run()


def test_what_is_known_are_the_ends_alone():
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(2, 5, 3, 2, 4)).astype(np.float32)
    visibility = (rng.random((2, 5, 3)) < 0.6).astype(np.float32)
    strokes = stroke_sets(coefficients, visibility, 8)
    known = first_and_last(strokes)
    assert not known.shown[..., 1:-1].any()
    assert not known.hidden[..., 1:-1].any()
    for frame in (0, -1):
        assert torch.equal(known.shown[..., frame], strokes.visible[..., frame])
        assert torch.equal(known.hidden[..., frame], ~strokes.visible[..., frame])
        assert int(known.shown[..., frame].sum()) == int(visibility[:, frame].sum())


def test_straight_lines_join_strokes_of_both_drawings_and_hold_those_of_one():
    coefficients = np.zeros((1, 5, 3, 2, 4), np.float32)
    coefficients[0, :, 0, 0, 0] = [0, 5, 7, 1, 4]  # seen throughout, whatever it does between
    coefficients[0, :, 1, 0, 0] = 2
    coefficients[0, :, 2, 0, 0] = 3
    visibility = np.zeros((1, 5, 3), np.float32)
    visibility[0, :, 0] = visibility[0, :2, 1] = visibility[0, 3:, 2] = 1
    drawn = straight_between(first_and_last(stroke_sets(coefficients, visibility, 4)))
    places = {tuple(drawn.visible[0, s].tolist()): drawn.coefficients[0, s, :, 0, 0].tolist() for s in range(4)}
    assert places[(True,) * 5] == [0, 1, 2, 3, 4]
    assert places[(True, True, True, False, False)] == [2] * 5
    assert places[(False, False, False, True, True)] == [3] * 5
    assert not drawn.visible[0, 3].any()


def test_straight_lines_go_through_all_known_drawings_and_strokes_are_those_of_the_nearest():
    coefficients = torch.zeros(1, 2, 7, 2, 4)
    coefficients[0, :, :, 0, 0] = torch.tensor([0.0, 9, 9, 3, 9, 9, 9])
    shown = torch.zeros(1, 2, 7, dtype=torch.bool)
    hidden = shown.clone()
    shown[0, 0, [0, 3, 6]] = shown[0, 1, 3] = hidden[0, 1, 0] = hidden[0, 1, 6] = True
    drawn = straight_between(Known(coefficients, shown, hidden))
    assert drawn.coefficients[0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 5, 7, 9]
    assert drawn.coefficients[0, 1, :, 0, 0].tolist() == [3] * 7
    assert drawn.visible[0].long().tolist() == [[1] * 7, [0, 0, 1, 1, 1, 0, 0]]
    one = straight_between(Known(coefficients, shown & (torch.arange(7) == 3), torch.zeros_like(hidden)))
    assert one.visible.all()


def test_captions_are_wrapped_and_cut_off():
    font = ImageFont.load_default(10)
    lines = wrapped("a character with fair skin and parted white hair walks to the left", 100, 2, font)
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert all(font.getlength(line) <= 100 for line in lines)
    assert wrapped("short", 100, 3, font) == ["short"]
    assert wrapped("", 100, 3, font) == []
