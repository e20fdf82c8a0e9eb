import cv2
import numpy as np
import pytest

from sketch2video.curves import fit_curves
from sketch2video.curves.fitting.centre_lines import WITHIN, centre_lines
from sketch2video.scenes.synthetic import SHAPES, Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches


def test_the_staircase_of_a_line_without_grey_levels_is_averaged():
    ink = np.zeros((64, 64), np.uint8)
    cv2.line(ink, (5, 10), (58, 27), 255)
    skeleton, offsets = centre_lines(ink)
    rows, columns = np.nonzero(skeleton)
    inside = (columns > 8) & (columns < 55)
    pixels = np.stack([columns, rows], 1)[inside] + 0.5
    normal = np.array([17, -53]) / np.hypot(17, 53)
    before, after = ((points - [5.5, 10.5]) @ normal for points in (pixels, pixels + offsets[skeleton][inside]))
    assert np.std(after) < 0.5 * np.std(before)


def test_centres_stay_within_their_pixels_and_areas_have_none():
    rng = np.random.default_rng(0)
    skeleton, offsets = centre_lines(rng.integers(0, 256, (40, 40), np.uint8))
    assert skeleton.any()
    assert np.abs(offsets).max() <= WITHIN
    assert not offsets[~skeleton].any()
    area = np.zeros((40, 40), np.uint8)
    area[10:30, 8:30] = 255
    skeleton, offsets = centre_lines(area)
    assert skeleton.any()
    assert not offsets.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_curves_follow_the_true_outline_more_closely_than_its_pixels(shape):
    what = Combination(shape, "blue", "left to right")
    scene = render_scene(sample_scene(np.random.default_rng(3), [what]), 64, 16)
    ink = extract_sketches(scene.frames)
    errors = []
    for drawing in (ink, np.where(ink > 127, np.uint8(255), np.uint8(0))):
        curves = fit_curves(drawing)
        apart = []
        for t, outline in enumerate(scene.outlines[:, 0] * 64):
            ends = np.concatenate([outline, outline[:1]])
            share = np.linspace(0, 1, 16, endpoint=False)[:, None, None]
            dense = (ends[:-1] + share * np.diff(ends, axis=0)).reshape(-1, 2)
            points = curves.points(256)[t, curves.visible[t]].reshape(-1, 2) * 64
            apart.append(np.sqrt(((points[:, None] - dense) ** 2).sum(-1)).min(1))
        errors.append(np.sqrt(np.mean(np.square(np.concatenate(apart)))))
    assert errors[0] < errors[1] < 0.5
    assert errors[0] < 0.4
