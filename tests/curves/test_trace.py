import tracemalloc

import cv2
import numpy as np
import pytest

from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.curves.fitting.trace import Line, link, trace


def drawn(*lines: list[tuple[int, int]], closed: bool = False) -> np.ndarray:
    ink = np.zeros((64, 64), np.uint8)
    for line in lines:
        cv2.polylines(ink, [np.array(line, np.int32)], closed, 1)
    return centre_lines(ink > 0)[0]


def test_a_ring_is_one_closed_line_of_its_circumference():
    ink = np.zeros((64, 64), np.uint8)
    cv2.circle(ink, (32, 32), 20, 1)
    (ring,) = trace(centre_lines(ink > 0)[0], gap=3)
    assert ring.closed
    assert ring.length == pytest.approx(2 * np.pi * 20, rel=0.05)
    assert np.abs(np.hypot(*(ring.points - 32.5).T) - 20).max() < 1


def test_an_open_line_runs_from_end_to_end():
    (line,) = trace(drawn([(10, 40), (30, 10), (50, 40)]), gap=3)
    assert not line.closed
    ends = sorted(map(tuple, line.points[[0, -1]].round().astype(int)))
    assert np.abs(np.array(ends) - [[10, 40], [50, 40]]).max() <= 1


def test_crossing_lines_go_straight_on():
    lines = trace(drawn([(5, 5), (55, 55)], [(5, 55), (55, 5)]), gap=4)
    assert len(lines) == 2
    for line in lines:
        assert line.length == pytest.approx(50 * np.sqrt(2), rel=0.1)


def test_a_spur_does_not_open_an_outline():
    ink = drawn([(10, 10), (50, 10), (50, 50), (10, 50)], closed=True)
    ink[30, 51:53] = True
    lines = trace(ink, gap=4)
    assert lines[0].closed
    assert lines[0].length == pytest.approx(160, rel=0.05)


def test_a_small_gap_is_closed_and_a_wide_one_is_not():
    outline = drawn([(10, 10), (50, 10), (50, 50), (10, 50)], closed=True)
    outline[50, 30:32] = False
    assert trace(outline, gap=4)[0].closed
    outline[50, 12:48] = False
    assert not trace(outline, gap=4)[0].closed


def test_a_solid_area_is_outlined():
    ink = np.zeros((64, 64), bool)
    ink[20:40, 10:50] = True
    (line,) = trace(centre_lines(ink)[0], gap=3)
    assert line.closed
    assert line.length == pytest.approx(2 * (39 + 19), rel=0.1)


def test_short_lines_are_left_out():
    assert len(trace(drawn([(5, 5), (50, 5)], [(5, 20), (12, 20)]), gap=2, min_length=20)) == 1


def test_tracing_does_not_depend_on_where_the_drawing_lies():
    ink = drawn([(5, 5), (30, 12), (9, 33)], [(20, 30), (45, 40)])
    moved = np.roll(ink, (7, 9), axis=(0, 1))
    for a, b in zip(trace(ink, 3), trace(moved, 3), strict=True):
        np.testing.assert_allclose(a.points + np.array([9, 7]), b.points)


def test_linking_joins_the_nearest_ends_first():
    pieces = [Line(np.array([[x, 0.0], [x + 8.0, 0.0]]), False) for x in (0.0, 10.0, 30.0)]
    (first, second) = link(pieces, 2, gap=50)
    assert first.length == pytest.approx(18)
    assert second.length == pytest.approx(8)
    assert link(pieces, 1, gap=50)[0].length == pytest.approx(38)
    assert len(link(pieces, 3, gap=50)) == 3
    assert link(pieces, 1, gap=1)[0].length == pytest.approx(8)


def test_memory_does_not_grow_with_the_square_of_the_specks():
    specks = np.zeros((300, 300), bool)
    specks[::4, ::4] = specks[::4, 1::4] = True
    tracemalloc.start()
    lines = trace(specks, gap=2.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(lines) == 75 * 75
    assert peak < 100e6  # all pairs of ends: 2 GB
