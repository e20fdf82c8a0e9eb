import math

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from sketch2video.curves import CurveSequence, to_desmos, to_latex
from tests.curves.graphing import graph_desmos, graph_latex

BRACE = r"\left\{"
T = np.linspace(0, 1, 500)


def scribble(harmonics=32, visibility=((1, 0, 1), (0, 0, 1))):
    """Two frames of three strokes with as many harmonics as they may have."""
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.2, (2, 3, 2, harmonics)) / (1 + np.arange(harmonics))
    coefficients[..., 0] = rng.uniform(0.2, 0.6, (2, 3, 2))
    return CurveSequence(coefficients, np.array(visibility))


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (64, 64), (8, 8)])
@pytest.mark.parametrize(("write", "read"), [(to_latex, graph_latex), (to_desmos, graph_desmos)])
def test_graphed_elsewhere_it_lands_on_the_drawing(write, read, width, height):
    sequence = scribble()
    for frame, shown in enumerate(sequence.visible):
        graphed = read(write(sequence, frame, height, width), T) * width
        drawn = sequence.points(len(T))[frame][shown] * width
        assert graphed.shape == drawn.shape
        upright = np.stack([graphed[..., 0], height - graphed[..., 1]], axis=-1)
        assert np.hypot(*np.moveaxis(upright - drawn, -1, 0)).max() < 0.1


def test_many_strokes_are_numbered():
    coefficients = np.random.default_rng(0).normal(0, 0.1, (1, 12, 2, 3))
    sequence = CurveSequence(coefficients, np.ones((1, 12)))
    assert np.allclose(
        graph_latex(to_latex(sequence, 0, 10, 10), T)[..., 0], sequence.points(500)[0, ..., 0], atol=0.01
    )


@pytest.mark.parametrize("write", [to_latex, to_desmos])
def test_what_is_not_used_is_not_written(write):
    coefficients = np.zeros((1, 1, 2, 32))
    coefficients[0, 0, 0, [1, 3]] = [-0.25, 1e-9]
    coefficients[0, 0, 1, 0] = 0.5
    text = write(CurveSequence(coefficients, np.ones((1, 1))), 0, height=100, width=200)
    assert text.count("cos") == 1
    read = graph_latex if write is to_latex else graph_desmos
    assert np.allclose(read(text, T)[0], np.stack([-0.25 * np.cos(np.pi * T), 0 * T], axis=1))


def test_a_small_picture_takes_fewer_digits_than_a_large_one():
    small, large = (to_latex(scribble(), 0, size, size) for size in (8, 1920))
    assert len(small) < len(large)


def test_latex_is_what_a_typesetter_reads():
    parser = MathTextParser("path")
    body = to_latex(scribble(), 0, 1080, 1920).split(":\n", 1)[1]
    rows = [row for row in body.splitlines() if not row.startswith((r"\begin", r"\end"))]
    assert len(rows) == 2 * 2 * math.ceil(32 / 3)
    for row in rows:
        assert row.isascii()
        parser.parse(f"${row.removesuffix(chr(92) * 2).replace('&', '')}$")


def test_desmos_lines_have_brackets_that_it_sizes():
    for line in to_desmos(scribble(), 0, 1080, 1920).splitlines():
        MathTextParser("path").parse(f"${line.split(BRACE)[0]}$")
        assert line.count("(") == line.count(r"\left(") == line.count(r"\right)")


def test_a_frame_without_strokes_has_no_formulas():
    blank = CurveSequence(np.zeros((1, 2, 2, 4)), np.zeros((1, 2)))
    assert to_desmos(blank, 0, 10, 10) == ""
    assert "align" not in to_latex(blank, 0, 10, 10)
