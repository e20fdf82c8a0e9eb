"""Drawings for plotters, read by svgpathtools and by gcodeparser."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from gcodeparser import parse_gcode_lines
from scipy.spatial import cKDTree
from svgpathtools import parse_path

from sketch2video.curves import CurveSequence, Equation
from sketch2video.curves.exports.plotter import Plot, pen_order, simplified, to_gcode, to_plotter_svg, travel

PLOT = Plot(size=200.0)
WIDTH, HEIGHT = 400, 300
PX = WIDTH / PLOT.size
"""Pixels in a millimetre."""


def drawing(strokes: int = 9, colours: np.ndarray | None = None) -> Equation:
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.1, (1, strokes, 2, 12)) / (1 + np.arange(12))
    coefficients[..., 0] = rng.uniform((0.2, 0.2), (0.8, 0.6), (1, strokes, 2))
    visibility = np.ones((1, strokes))
    visibility[0, 1] = 0
    return Equation(CurveSequence(coefficients, visibility), HEIGHT, WIDTH, colours=colours)


def drawn(equation: Equation) -> np.ndarray:
    """Points (n, 2) of all visible strokes, px."""
    return equation.curves.points(4000)[0][equation.curves.visible[0]].reshape(-1, 2) * WIDTH


def check(lines: list[np.ndarray], equation: Equation) -> None:
    """One line a stroke, within half a pixel of the drawing and over all of it."""
    assert len(lines) == equation.curves.visible[0].sum()
    on_lines = np.concatenate(
        [np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(line)]) for line in lines]
    )
    assert cKDTree(drawn(equation)).query(on_lines)[0].max() < 0.5
    assert cKDTree(on_lines).query(drawn(equation))[0].max() < 0.5


def svg_lines(text: str) -> list[np.ndarray]:
    paths = ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}path")
    parsed = [parse_path(path.get("d")) for path in paths]
    points = [np.array([piece.point(t) for piece in path for t in np.linspace(0, 1, 9)]) for path in parsed]
    return [np.stack([line.real, line.imag], 1) for line in points]


def gcode_lines(text: str, plot: Plot = PLOT) -> list[np.ndarray]:
    """What a plotter with this G-code draws: mm, y up. The pen is down from one command to the other."""
    where, is_down = np.zeros(2), False
    lines: list[list[np.ndarray]] = []
    up, down = (next(iter(parse_gcode_lines(code))) for code in (plot.pen_up, plot.pen_down))
    for line in parse_gcode_lines(text):
        same = [(line.command, line.params) == (other.command, other.params) for other in (up, down)]
        if any(same):
            is_down = same[1]
            if is_down:
                lines.append([where])
        elif line.command in (("G", 0), ("G", 1)):
            assert is_down == (line.command == ("G", 1)), "rapid moves are with the pen up"
            where = np.array([line.get_param("X", default=where[0]), line.get_param("Y", default=where[1])], float)
            if is_down:
                lines[-1].append(where)
        else:
            assert line.command in (("G", 21), ("G", 90), ("M", 2))
    assert not is_down
    return [np.array(line) for line in lines]


def test_the_svg_is_the_drawing_in_millimetres() -> None:
    equation = drawing()
    text = to_plotter_svg(equation, PLOT)
    root = ElementTree.fromstring(text)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("200mm", "150mm", "0 0 200 150")
    check([line * PX for line in svg_lines(text)], equation)


def test_colours_choose_the_pen() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (9, 3), np.uint8)
    equation = drawing(colours=colours)
    paths = list(ElementTree.fromstring(to_plotter_svg(equation, PLOT)).iter("{http://www.w3.org/2000/svg}path"))
    for path, line in zip(paths, svg_lines(to_plotter_svg(equation, PLOT)), strict=True):
        middles = equation.curves.points(3)[0, :, 1] * WIDTH
        away = [cKDTree(line * PX).query(middle)[0] for middle in middles]
        assert path.get("stroke") == "#{:02x}{:02x}{:02x}".format(*colours[int(np.argmin(away))].tolist())


@pytest.mark.parametrize("plot", [PLOT, replace(PLOT, pen_up="M5", pen_down="M3 S90")])
def test_the_gcode_draws_it_with_the_pen_down_once_a_stroke(plot: Plot) -> None:
    equation = drawing()
    lines = gcode_lines(to_gcode(equation, plot), plot)
    check([np.stack([line[:, 0] * PX, HEIGHT - line[:, 1] * PX], 1) for line in lines], equation)


def test_svg_and_gcode_go_the_same_way_and_it_is_short() -> None:
    equation = drawing(16)
    svg = svg_lines(to_plotter_svg(equation, PLOT))
    gcode = gcode_lines(to_gcode(equation, PLOT))
    for one, other in zip(svg, gcode, strict=True):
        ends = np.stack([other[[0, -1], 0], 150 - other[[0, -1], 1]], 1)
        assert np.allclose(one[[0, -1]], ends, atol=0.01)
    ends = np.array([line[[0, -1]] for line in gcode])
    as_ordered = travel([(i, False) for i in range(len(ends))], ends, (0, 0))
    points = equation.curves.points(2)[0][equation.curves.visible[0]] * PLOT.size
    unordered = travel([(i, False) for i in range(len(points))], points, (0, 150))
    assert as_ordered < 0.6 * unordered


def test_the_order_is_almost_the_shortest_of_all() -> None:
    ratios = []
    for seed in range(8):
        ends = np.random.default_rng(seed).uniform(0, 1, (5, 2, 2))
        tours = (
            list(zip(order, ways, strict=True))
            for order in itertools.permutations(range(5))
            for ways in itertools.product((False, True), repeat=5)
        )
        best = min(travel(tour, ends, (0, 0)) for tour in tours)
        order = pen_order(ends)
        assert sorted(stroke for stroke, _ in order) == list(range(5))
        ratios.append(travel(order, ends, (0, 0)) / best)
    assert np.mean(ratios) < 1.03
    assert max(ratios) < 1.15


def test_points_that_a_line_does_not_need_are_left_out() -> None:
    u = np.linspace(0, 1, 1000)
    line = np.stack([u, np.zeros_like(u)], 1)
    assert len(simplified(line, 0.01)) == 2
    circle = np.stack([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)], 1)
    few = simplified(circle, 0.01)
    assert 15 < len(few) < 60
    dense = np.concatenate([np.linspace(a, b, 50) for a, b in itertools.pairwise(few)])
    assert np.abs(np.hypot(*dense.T) - 1).max() < 0.011


def test_nothing_to_plot_is_a_file_that_lifts_the_pen() -> None:
    blank = Equation(CurveSequence(np.zeros((1, 1, 2, 4)), np.zeros((1, 1))), 10, 20)
    assert gcode_lines(to_gcode(blank, PLOT)) == []
    assert svg_lines(to_plotter_svg(blank, PLOT)) == []
