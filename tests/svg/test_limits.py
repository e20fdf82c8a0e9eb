"""Limits on what a document draws: they apply before the work is done."""

import tracemalloc

import numpy as np
import pytest

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.exports.svg_writer import to_animated_svg
from sketch2video.errors import UserError
from sketch2video.svg import limits, read_svg
from sketch2video.svg.limits import TooLarge
from sketch2video.svg.outlines import path, shape
from sketch2video.svg.values import Box
from tests.svg.drawn import document, ink_of


@pytest.mark.parametrize(
    ("data", "points"),
    [
        ("M0 0H1V2L3 4", 4),
        ("M0 0C1 2 3 4 5 6S7 8 9 9Q1 2 3 4T5 6", 97),
        ("M0 0A9 5 30 0 1 7 7", 49),
        ("M0 0H1V1zH5", 6),
    ],
)
def test_a_path_may_have_as_many_points_as_are_left(data, points):
    lines = path(data, points)
    assert sum(len(line.points) for line in lines) == points - sum(line.closed for line in lines)
    with pytest.raises(TooLarge, match="points"):
        path(data, points - 1)


@pytest.mark.parametrize("segment", ["c0 0 0 0 0 0", "h1", "a9 9 0 0 1 1 1", "z", "M0 0"])
def test_of_a_path_with_too_many_points_only_those_that_are_left_are_built(segment):
    data = "M0 0h1" + segment * 200_000
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="points"):
            path(data, 1000)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_of_too_many_vertices_one_more_than_are_left_is_read():
    box = Box(0.0, 0.0, 1.0, 1.0)
    (line,) = shape("polygon", lambda *_: None, "1 2 " * 100, box, 10)
    assert len(line.points) == 11


BODIES = {
    "paths": '<path d="M0 0C1 2 3 4 5 6"/>' * 20,
    "uses of a path": '<path id="a" d="M0 0C1 2 3 4 5 6"/>' + '<use href="#a"/>' * 20,
    "vertices": f'<polyline points="{"1 2 " * 401}"/>',
    "dashes": '<path stroke-dasharray="1" d="M0 50h50' + "M0 50h50" * 19 + '"/>',
    "circles": '<circle r="9"/>' * 5,
    "paths of clips": '<path d="M0 0h9" style="clip-path: path(\'M0 0C1 2 3 4 5 6\')"/>' * 20,
}


@pytest.mark.parametrize("name", BODIES)
def test_points_of_all_kinds_are_counted(tmp_path, monkeypatch, name):
    assert ink_of(tmp_path, document(BODIES[name])).any()
    monkeypatch.setattr(limits, "MOST_POINTS", 400)
    with pytest.raises(UserError, match="more than 400 points"):
        ink_of(tmp_path, document(BODIES[name]))


def test_an_animation_of_many_frames_is_read(tmp_path):
    frames = 400
    coefficients = np.zeros((frames, 1, 2, 2), np.float32)
    coefficients[:, 0, 0, 0] = np.linspace(0.1, 0.9, frames)  # a line that moves to the right
    coefficients[:, 0, 1] = 0.5, 0.2
    text = to_animated_svg(CurveSequence(coefficients, np.ones((frames, 1), np.float32)), 8, 64, 64)
    (tmp_path / "a.svg").write_text(text)
    ink = read_svg(tmp_path / "a.svg", 64).ink > 0
    assert ink.shape == (frames, 64, 64)
    at = [np.nonzero(frame)[1].mean() for frame in ink]
    np.testing.assert_allclose(at, 64 * coefficients[:, 0, 0, 0], atol=1.5)


def test_too_many_frames_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_FRAMES", 5)
    frames = [f'<g id="frame-{number}"><path d="M9 9h9"/></g>' for number in range(7)]
    assert len(ink_of(tmp_path, document("".join(frames[:5])))) == 5
    with pytest.raises(UserError, match="more than 5 frames"):
        ink_of(tmp_path, document("".join(frames)))


def test_what_is_hidden_otherwise_counts(tmp_path, monkeypatch):
    """Its style is computed, which takes time."""
    monkeypatch.setattr(limits, "MOST_ELEMENTS", 50)
    with pytest.raises(UserError, match="more than 50 elements"):
        ink_of(tmp_path, document('<g display="none"/>' * 50 + '<path d="M9 9h9"/>'))
