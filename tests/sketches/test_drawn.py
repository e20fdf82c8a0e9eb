from functools import partial

import cv2
import numpy as np
import pytest

from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches, ink_of_drawing, lines_of


def paper(width, height, thickness, chalk=False):
    """A level line across the middle of a sheet."""
    picture = np.full((height, width, 3), 255, np.uint8)
    cv2.line(picture, (width // 8, height // 2), (width - width // 8, height // 2), (20, 20, 20), thickness)
    return 255 - picture if chalk else picture


@pytest.mark.parametrize("chalk", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "thickness"), [(8, 8, 1), (64, 64, 1), (64, 64, 2), (512, 288, 9), (90, 400, 2)]
)
def test_a_line_on_a_sheet_of_any_size_is_as_wide_as_a_pixel(width, height, thickness, chalk):
    ink = ink_of_drawing(paper(width, height, thickness, chalk))
    assert ink.shape == (height, width)
    rows, columns = np.nonzero(ink)
    assert np.abs(rows - height // 2).max() <= 1
    assert len(set(columns)) == len(columns)
    assert 0.75 * width - thickness - 2 <= len(columns) <= 0.75 * width + thickness + 2


def test_areas_are_not_lines():
    filled = np.full((288, 512, 3), 255, np.uint8)
    cv2.circle(filled, (200, 150), 60, (20, 20, 20), cv2.FILLED)
    assert ink_of_drawing(filled) is None


@pytest.mark.parametrize("chalk", [False, True])
def test_a_hairline_outlives_shrinking(chalk):
    ink = lines_of(paper(1920, 1080, 1, chalk)[None], 256, 128)
    assert ink.shape == (1, 144, 256)
    rows, columns = np.nonzero(ink[0])
    assert len(set(columns)) > 0.7 * 256
    assert np.abs(rows - 72).max() <= 1


def test_photographs_are_extracted_at_their_own_size():
    scene = sample_scene(np.random.default_rng(3), [Combination("square", "red", "left to right")])
    frames = render_scene(scene, 128, 2).frames[:, 16:112]
    ink = lines_of(frames, 128, 64, partial(extract_sketches, min_length=0.05))
    assert ink.shape == (2, 48, 64)
    assert ink.any((1, 2)).all()
    assert not lines_of(frames, 128, 64, partial(extract_sketches, min_length=9.0)).any()


COLOURS = {
    "yellow": (255, 230, 0),
    "cyan": (0, 255, 255),
    "orange": (255, 165, 0),
    "pink": (255, 150, 180),
    "light blue": (120, 180, 255),
}


@pytest.mark.parametrize("jpeg", [False, True])
@pytest.mark.parametrize("chalk", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_lines_of_bright_colours_are_lines(colour, chalk, jpeg):
    """Not the two edges of an area: a yellow line is almost as bright as its paper."""
    picture = np.full((180, 320, 3), 255, np.uint8)
    cv2.circle(picture, (160, 90), 60, COLOURS[colour], 4, cv2.LINE_AA)
    picture = 255 - picture if chalk else picture
    if jpeg:
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR)
    ink = ink_of_drawing(picture)
    assert ink is not None
    rows, columns = np.nonzero(ink)
    assert np.abs(np.hypot(columns - 160, rows - 90) - 60).max() <= 2
    assert len(rows) > 300


def test_an_area_of_the_grounds_brightness_is_not_a_line():
    grey = np.full((180, 320, 3), 140, np.uint8)
    cv2.circle(grey, (160, 90), 60, (215, 100, 120), cv2.FILLED)  # as bright as the ground
    ink = ink_of_drawing(grey)
    assert ink is None or not ink.any()


def ring(ground, line, shape=(180, 320)):
    picture = np.full((*shape, 3), ground, np.uint8)
    cv2.circle(picture, (160, 90), 60, (line,) * 3 if isinstance(line, int) else line, 3, cv2.LINE_AA)
    return picture


def check_ring(picture):
    ink = ink_of_drawing(picture)
    assert ink is not None
    rows, columns = np.nonzero(ink)
    assert np.abs(np.hypot(columns - 160, rows - 90) - 60).max() <= 2
    assert len(rows) > 300


@pytest.mark.parametrize("grey", [160, 180, 200, 220])
def test_faint_pencil_lines_are_lines(grey):
    check_ring(ring(255, grey))
    rng = np.random.default_rng(0)
    uneven = ring(255, grey) * np.linspace(0.95, 0.75, 320)[:, None]
    check_ring((uneven + rng.normal(0, 1.5, uneven.shape)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("ground", "line"),
    [
        (128, 20),
        (128, 250),
        (110, 250),
        (160, 250),
        ((30, 60, 140), (255, 255, 255)),
        ((190, 150, 100), (40, 30, 20)),
        ((30, 30, 200), (255, 60, 60)),
    ],
)
def test_lines_on_paper_of_any_brightness_and_colour(ground, line):
    check_ring(ring(ground, line))


@pytest.mark.parametrize("step", [15, 30, 50])
def test_areas_that_differ_little_from_the_ground_are_not_lines(step):
    picture = np.full((180, 320, 3), 180, np.uint8)
    cv2.circle(picture, (160, 90), 60, (180 - step,) * 3, cv2.FILLED)
    ink = ink_of_drawing(picture)
    assert ink is None or not ink.any()


def test_an_empty_sheet_has_no_lines():
    noise = np.random.default_rng(0).normal(245, 3, (180, 320, 3)).clip(0, 255).astype(np.uint8)
    ink = ink_of_drawing(noise)
    assert ink is None or not ink.any()
