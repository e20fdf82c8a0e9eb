from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks import equation
from benchmarks.clips import Clip
from benchmarks.equation import COLUMNS, Run, columns_of, compare, compared, markdown, measured, run, verdict
from benchmarks.methods import Drawn
from benchmarks.race import SCHEDULES, Point
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from tests.benchmarks.cells import cells_of

FIT = load_params(Path(__file__).parents[2] / "params.yaml").fit


@pytest.fixture(scope="module")
def circle() -> Clip:
    """A circle that moves, and its outline as ink."""
    scene = sample_scene(np.random.default_rng(0), [Combination("circle", "red", "left to right")])
    rendered = render_scene(scene, 64, 6)
    outlines = rendered.outlines * 64
    ink = np.zeros(rendered.frames.shape[:3], np.uint8)
    for picture, outline in zip(ink, outlines[:, 0].astype(int), strict=True):
        picture[outline[:, 1], outline[:, 0]] = 255
    return Clip("circle", rendered.frames, ink, outlines, "circle")


def test_the_truth_measures_as_the_truth(circle):
    drawn = Drawn(circle.outlines, np.ones((6, 1), bool), 200)
    row = measured([circle, circle], [Run(drawn, 1.0), Run(drawn, 3.0)])
    moved = np.linalg.norm(circle.outlines[1, 0, 0] - circle.outlines[0, 0, 0])
    assert row["displacement_px"] == pytest.approx(moved, rel=1e-3)
    assert row["residual_px"] == pytest.approx(0, abs=1e-4)
    assert row["across_flow_px"] < row["beyond_flow_px"] < 0.5 * moved
    assert row["ink_to_curve_px"] < 0.6
    assert (row["kept"], row["strokes_an_outline"], row["canonical"]) == (1, 1, 1)
    assert (row["numbers"], row["cpu_ms"], row["frames"]) == (200, 2, 12)


def test_without_the_truth_there_is_no_measure_of_it(circle):
    clip = Clip("real", circle.frames, circle.ink)
    row = measured([clip], [Run(Drawn(circle.outlines, np.zeros((6, 1), bool), 8), 1.0)])
    assert "residual_px" not in row
    assert row["displacement_px"] is None
    assert row["kept"] == 1


def test_every_method_draws_within_the_budget(circle):
    for method, frames in compared(1).values():
        (one,) = run(method, [circle.first(frames or 2)], FIT)
        assert one.drawn.numbers <= FIT.budget
        assert one.drawn.visible.any()
        assert one.cpu_ms > 0


def test_the_table_has_a_row_a_method_and_a_cell_a_measure():
    rows = {"one": {"frames": 32, "ink_to_curve_px": 0.123, "cpu_ms": 1234.5}, "two": {"frames": 2, "cpu_ms": 12.34}}
    race = {"times_longer": [10.0], "limit_s": 4.0}
    lines = markdown({"methods": rows, "race": race}).splitlines()
    assert columns_of(rows) == ["frames", "ink_to_curve_px", "cpu_ms"]
    assert cells_of(lines[0]) == ["", "frames", COLUMNS["ink_to_curve_px"], COLUMNS["cpu_ms"]]
    assert [cells_of(line) for line in lines[2:4]] == [["one", "32", "0.12", "1234"], ["two", "2", "–", "12.3"]]
    assert lines[4:] == ["", verdict(race)]


def test_the_verdict_says_how_often_and_how_much_longer():
    results = {"times_longer": [10.0, None, 30.0], "limit_s": 4.0, "fit": [Point(1, 1)], "descent": {}}
    assert "2 of 3 clips" in verdict(results)
    assert "20 times the CPU time" in verdict(results)
    assert "not within 4.0 s" in verdict(results)
    assert "0 of 1" in verdict({**results, "times_longer": [None]})


def test_the_files_of_a_run_on_clips_of_ones_own_have_its_name(circle, tmp_path, monkeypatch):
    raced = {
        "fit": [Point(1, 2), Point(2, 1)],
        "descent": {str(steps): [Point(1, 3), Point(2, 2)] for steps in SCHEDULES},
        "times_longer": [10.0],
        "limit_s": 4.0,
    }
    monkeypatch.setattr(equation, "race", lambda clips, fit: raced)
    monkeypatch.setattr(equation, "compared", lambda few: {"this fit": (equation._tracked, few)})
    monkeypatch.setattr(equation, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    compare([circle], FIT, 3, tmp_path, "equation_mine")
    pictures = {
        f"equation_mine_{what}.png" for what in ("comparison", "error_against_time", "drawings", "trajectories")
    }
    names = {"equation_mine.json", "equation_mine.md", *pictures}
    assert {path.name for path in tmp_path.iterdir()} == names, "those of the scenes stay as they are"
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
