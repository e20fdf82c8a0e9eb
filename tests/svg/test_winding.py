"""Fill rules, held against winding numbers by angles and against a renderer that follows browsers."""

import numpy as np
import pytest

from sketch2video.svg.ink import ink_of as ink_of_items
from sketch2video.svg.outlines import Subpath
from sketch2video.svg.painted import Painted
from sketch2video.svg.values import Colour
from sketch2video.svg.winding import winding_numbers
from tests.svg.drawn import document, edges_of_reference, far_apart, ink_of

HEIGHT, WIDTH = 40, 50


def star(centre, radius):
    angles = -np.pi / 2 + 4 * np.pi / 5 * np.arange(5)
    return np.array(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def square(centre, side):
    return np.array(centre) + side / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1.0)])


PENTAGRAM = star((25.1, 20.2), 18)
OUTER, INNER = square((25.1, 20.2), 30), square((25.1, 20.2), 12)
RANDOM = np.random.default_rng(0).uniform((-20, -15), (WIDTH + 20, HEIGHT + 15), (60, 2))

OUTLINES = {
    "pentagram": [PENTAGRAM],
    "squares in one direction": [OUTER, INNER],
    "squares in opposite directions": [OUTER, INNER[::-1]],
    "one line around twice": [np.concatenate([OUTER, INNER])],
    "an eight": [np.array([(5, 5), (45, 35), (45, 5), (5, 35.3)])],
    "random": [RANDOM],
    "random pieces": [RANDOM[:3], RANDOM[3:20], RANDOM[20:22], RANDOM[22:]],
    "around the picture": [square((20, 20), 1e6)],
    "beside the picture": [square((-50, 20), 30), square((120, 20), 30), square((20, 90), 30)],
    "no area": [np.array([(5.0, 5.0), (30.0, 30.0)])],
}


def by_angles(polygons, height, width):
    """The angle by which each polygon turns around the centres of pixels, in full turns."""
    y, x = np.mgrid[:height, :width] + 0.5
    turns = np.zeros((height, width))
    for polygon in polygons:
        seen = (polygon[:, 0, None, None] - x) + 1j * (polygon[:, 1, None, None] - y)
        turns += np.angle(np.roll(seen, -1, axis=0) / seen).sum(0) / (2 * np.pi)
    return turns


def from_edges(polygons, height, width):
    """Distances of the centres of pixels from the nearest edge."""
    y, x = np.mgrid[:height, :width] + 0.5
    nearest = np.full((height, width), np.inf)
    for polygon in polygons:
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            step, (across, down) = end - start, (x - start[0], y - start[1])
            share = np.clip((across * step[0] + down * step[1]) / (step @ step), 0, 1)
            nearest = np.minimum(nearest, np.hypot(across - share * step[0], down - share * step[1]))
    return nearest


@pytest.mark.parametrize("name", OUTLINES)
def test_winding_numbers_are_the_turns_around_the_centres(name):
    found = winding_numbers(OUTLINES[name], HEIGHT, WIDTH)
    expected = by_angles(OUTLINES[name], HEIGHT, WIDTH)
    defined = np.abs(expected - expected.round()) < 1e-6  # not where a centre is on an edge
    assert defined.mean() > 0.95
    np.testing.assert_array_equal(found[defined], expected.round()[defined])


def test_many_edges_are_taken_in_parts(monkeypatch):
    whole = winding_numbers([RANDOM], HEIGHT, WIDTH)
    monkeypatch.setattr("sketch2video.svg.winding._CROSSINGS", 7 * HEIGHT)
    np.testing.assert_array_equal(winding_numbers([RANDOM], HEIGHT, WIDTH), whole)
    assert np.abs(whole).max() > 1


def test_pixels_whose_centres_are_on_an_edge_belong_to_one_side():
    left, right = square((10.5, 10), 10), square((20.5, 10), 10)
    both = winding_numbers([left], HEIGHT, WIDTH) + winding_numbers([right], HEIGHT, WIDTH)
    np.testing.assert_array_equal(both, winding_numbers([left, right], HEIGHT, WIDTH))
    assert both.max() == 1
    assert both.sum() == 200


@pytest.mark.parametrize("name", OUTLINES)
@pytest.mark.parametrize("even_odd", [False, True])
def test_areas_are_filled_by_their_rule(name, even_odd):
    size, page = 50, (slice(0, 40), slice(0, 50))
    outline = [Subpath(polygon, True) for polygon in OUTLINES[name]]
    _, colours = ink_of_items([Painted(outline, [], Colour(0, 0, 0), None, even_odd, 0.0)], size, page)
    filled = colours[:HEIGHT, :WIDTH, 0] == 0
    turns = by_angles(OUTLINES[name], HEIGHT, WIDTH).round()
    inside = turns % 2 != 0 if even_odd else turns != 0
    assert not (inside & ~filled).any()
    assert not (filled & ~inside & (from_edges(OUTLINES[name], HEIGHT, WIDTH) > 1.1)).any()


STAR = " ".join(f"{x:.3f} {y:.3f}" for x, y in star((50, 52), 45))


@pytest.mark.parametrize("rule", ["nonzero", "evenodd"])
@pytest.mark.parametrize(
    "shape",
    [
        f'<polygon points="{STAR}"/>',
        '<path d="M10 10h80v80h-80zM30 30h40v40h-40z"/>',
        '<path d="M10 10h80v80h-80zM30 30v40h40v-40z"/>',
        '<path d="M10 10h80v80h-80V10L30 30h40v40h-40V30z"/>',
        '<path d="M10 10C120 40 120 60 10 90L20 90C-20 60 40 20 90 10"/>',
    ],
)
def test_edges_are_where_a_browser_draws_them(tmp_path, rule, shape):
    text = document(shape, f'viewBox="0 0 100 100" width="100" height="100" fill-rule="{rule}"')
    (ink,) = ink_of(tmp_path, text)
    assert far_apart(ink, edges_of_reference(text)) <= 2.5
