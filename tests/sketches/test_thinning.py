import cv2
import numpy as np
import pytest

from sketch2video.sketches.thinning import thinned, with_gaps_closed, without_spurs


def probability(*points: tuple[int, int, float], size: int = 40) -> np.ndarray:
    """A sheet (1, size, size) with given probabilities (row, column, value)."""
    sheet = np.zeros((1, size, size), np.float32)
    for row, column, value in points:
        sheet[0, row, column] = value
    return sheet


def test_a_wide_crest_becomes_a_thin_line_along_its_top():
    rows = np.arange(40)
    sheet = np.exp(-0.5 * ((rows[:, None] - 17.2) / 1.5) ** 2).repeat(40, 1).astype(np.float32)[None]
    ink = thinned(sheet, 0.8, 0.1)[0]
    assert set(np.nonzero(ink > 127)[0]) == {17}
    assert (ink > 127).sum() >= 38
    middle = ink[:, 5:35].astype(float)
    np.testing.assert_allclose((rows[:, None] * middle).sum(0) / middle.sum(0), 17.2, atol=0.03)


def test_neighbouring_lines_stay_apart():
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0))
    offset = (x - 0.5 * y) / np.hypot(1, 0.5)
    sheet = np.maximum(*(np.exp(-0.5 * ((offset - at) / 1.0) ** 2) for at in (3, 7))).astype(np.float32)[None]
    columns = np.nonzero(thinned(sheet, 0.8, 0.1)[0][20] > 127)[0]
    assert len(columns) == 2
    assert 3 <= np.diff(columns)[0] <= 6


def test_a_line_goes_on_where_it_is_faint_and_none_starts_there():
    bold = [(20, column, 0.9) for column in range(5, 15)]
    faint = [(20, column, 0.5) for column in range(15, 30)]
    apart = [(5, column, 0.5) for column in range(5, 30)]
    rows, columns = np.nonzero(thinned(probability(*bold, *faint, *apart), 0.8, 0.1)[0] > 127)
    assert set(rows) == {20}
    assert columns.max() >= 28


def test_short_pieces_are_dropped():
    short, long = [(5, c, 1.0) for c in range(4)], [(20, c, 1.0) for c in range(12)]
    assert set(np.nonzero(thinned(probability(*short, *long), 0.8, 0.25)[0] > 127)[0]) == {20}


def ring(gap: int) -> np.ndarray:
    """A circle one pixel wide with ``gap`` pixels missing, uint8 (40, 40) in {0, 1}."""
    sheet = cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), 12, 1)
    sheet[:20, 20 - gap // 2 : 20 - gap // 2 + gap] = 0
    return sheet


@pytest.mark.parametrize(("gap", "closes"), [(1, True), (3, True), (5, False)])
def test_narrow_gaps_are_closed(gap, closes):
    joined = with_gaps_closed(ring(gap))
    _, inside = cv2.connectedComponents(1 - joined, connectivity=4)
    assert (inside[20, 20] != inside[0, 0]) == closes
    assert closes or np.array_equal(joined, ring(gap))


def test_of_several_ends_the_nearest_are_joined_and_each_once():
    sheet = np.zeros((12, 30), np.uint8)
    sheet[4, 2:8] = sheet[4, 10:16] = sheet[8, 9:12] = 1
    joined = with_gaps_closed(sheet)
    assert joined[4, 2:16].all()
    assert (joined != sheet).sum() == 2


def test_spurs_go_and_lines_keep_their_length():
    line, spur = np.zeros((2, 20, 20), np.uint8)
    line[10, 3:17] = 1
    spur[8:10, 9] = 1
    left = without_spurs(line | spur)
    np.testing.assert_array_equal(left & line, line)
    assert not left[:9].any()
    branch = np.zeros_like(line)
    branch[4:10, 9] = 1
    np.testing.assert_array_equal(without_spurs(line | branch), line | branch)
    np.testing.assert_array_equal(without_spurs(ring(0)), ring(0))
    np.testing.assert_array_equal(without_spurs(np.zeros((5, 5), np.uint8)), 0)


def test_a_corner_is_not_broken():
    side = np.abs(np.arange(40) - 20.0)
    square = np.maximum(side[:, None], side[None])
    sheet = np.exp(-0.5 * ((square - 10.3) / 1.2) ** 2).astype(np.float32)[None]
    ink = thinned(sheet, 0.8, 0.1)[0]
    inside = cv2.connectedComponents((ink == 0).astype(np.uint8), connectivity=4)[1]
    assert inside[20, 20] != inside[0, 0], "the outline is closed"
    assert cv2.connectedComponents(ink, connectivity=8)[0] == 2
