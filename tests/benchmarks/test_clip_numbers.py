import numpy as np
import pytest

from benchmarks.clip_numbers import COLUMNS, apart, markdown, measure, neighbours_have, numbers_of, settings, summary
from benchmarks.clips import Clip
from sketch2video.curves import CurveSequence
from tests.benchmarks.cells import cells_of

SIZE = 64


def lines(frames=8, strokes=2):
    """Level lines that move downwards, in frame widths."""
    coefficients = np.zeros((frames, strokes, 2, 3))
    coefficients[..., 0, 0] = 0.5
    coefficients[..., 0, 1] = -0.3
    coefficients[..., 1, 0] = 0.2 + 0.3 * np.arange(strokes) + 0.02 * np.arange(frames)[:, None]
    return CurveSequence(coefficients, np.ones((frames, strokes)))


@pytest.fixture(scope="module")
def measured():
    curves = lines()
    ink = curves.render(SIZE, SIZE)
    return measure(Clip("lines", np.zeros((*ink.shape, 3), np.uint8), ink), curves)


def test_lines_that_are_displaced_are_apart_by_that():
    one = lines()
    moved = one.coefficients.copy()
    moved[:, :, 1, 0] += 3 / SIZE
    assert apart(one, CurveSequence(moved, one.visibility), SIZE) == pytest.approx(3, rel=1e-4)
    assert apart(one, one, SIZE) == 0
    moved[:, 0, 1, 0] = one.coefficients[:, 0, 1, 0]
    moved[:, 1, :, 0] = 7
    shown = one.visibility * [1, 0]
    assert apart(CurveSequence(one.coefficients, shown), CurveSequence(moved, shown), SIZE) == 0
    with pytest.raises(ValueError, match="not the same"):
        apart(one, CurveSequence(moved, shown), SIZE)


def test_numbers_of_visible_strokes_are_counted():
    curves = lines()
    assert numbers_of(curves) == 8 * 2 * 3
    assert numbers_of(CurveSequence(curves.coefficients, curves.visibility * [1, 0])) == 8 * 3


def test_strokes_stay_where_two_frames_have_them():
    visibility = np.array([[1, 1], [1, 0], [1, 1]])
    assert neighbours_have(CurveSequence(np.zeros((3, 2, 2, 1)), visibility)).tolist() == [[True, False]] * 2


def test_a_smooth_clip_needs_few_numbers_and_has_the_frames_between(measured):
    assert set(measured) == {"frame by frame", *settings(SIZE), "0.3 px more", "0.5 px more"}
    frames, near = measured["frame by frame"], measured["0.3 px apart"]
    assert near["numbers"] < frames["numbers"]
    assert 0 < near["apart_px"] <= 0.31
    assert near["ink_to_curve_px"] < frames["ink_to_curve_px"] + 0.3
    for row in (frames, near):
        assert row["between_there_px"] < 1
        assert row["between_back_px"] < 1
    assert measured["1 px apart"]["numbers"] <= measured["0.15 px apart"]["numbers"]
    more = measured["0.3 px more"]
    assert more["numbers"] <= near["numbers"]
    for key in ("ink_to_curve_px", "curve_to_ink_px"):
        assert more[key] <= frames[key] + 0.3


def test_the_table_has_a_row_a_setting_and_a_cell_a_measure(measured):
    few = {name: row for name, row in measured.items() if name != "300 numbers"}
    rows = summary([measured, few])
    assert rows["0.3 px apart"]["numbers_most"] == measured["0.3 px apart"]["numbers"]
    text = markdown(rows, "2 clips.").split("\n\n", 1)
    assert text[0] == "2 clips."
    table = [cells_of(line) for line in text[1].strip().splitlines()]
    assert table[0] == ["", *COLUMNS.values()]
    names = [row[0] for row in table[2:]]
    assert "300 numbers (1 clips)" in names
    assert "1000 numbers" in names
    assert table[2][4] == "–"
