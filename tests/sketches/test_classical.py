import inspect
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from sketch2video.params import load_params
from sketch2video.scenes.synthetic import SHAPES, Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def ink_points(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(ink)
    return np.stack([columns, rows], 1) + 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_becomes_its_outline_and_nothing_else(shape):
    what = Combination(shape, "blue", "left to right")
    scene = render_scene(sample_scene(np.random.default_rng(3), [what]), 64, 4)
    for ink, outline in zip(extract_sketches(scene.frames), scene.outlines[:, 0] * 64, strict=True):
        pixels = ink_points(ink)
        assert (cKDTree(outline).query(pixels)[0] < 1.8).mean() > 0.98, "ink that is no outline: texture or shadow"
        assert (cKDTree(pixels).query(outline)[0] < 1.8).mean() > 0.95, "outline without ink"


def test_colours_of_one_lightness_have_an_edge():
    lab = np.full((64, 64, 3), [60, 40, 0], np.float32)
    lab[:, 32:, 1] = -40
    frame = (cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255).astype(np.uint8)
    rows, columns = np.nonzero(extract_sketches(frame[None])[0])
    assert len(set(rows)) == 64
    assert np.abs(columns - 31.5).max() <= 1


def test_speckle_is_dropped_and_long_lines_are_kept():
    frame = np.full((64, 64, 3), 90, np.uint8)
    frame[5:7, 5:7] = 230
    frame[30:40, 10:50] = 230
    rows, columns = np.nonzero(extract_sketches(frame[None], min_length=0.3)[0])
    assert rows.min() > 20
    assert columns.max() - columns.min() > 35


def test_a_frame_is_drawn_alike_whatever_surrounds_it():
    rng = np.random.default_rng(0)
    clip = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 9), np.uint8), (0, 0), 3).reshape(64, 64, 3, 3)
    clip = np.ascontiguousarray(np.moveaxis(clip, 2, 0))
    alone = np.concatenate([extract_sketches(frame[None]) for frame in clip])
    np.testing.assert_array_equal(extract_sketches(clip), alone)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 3, 5, 3), (0, 16, 16, 3)])
def test_tiny_and_empty_clips_work(shape):
    assert extract_sketches(np.zeros(shape, np.uint8)).shape == shape[:3]


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="uint8"):
        extract_sketches(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"\(frames, height, width, 3\)"):
        extract_sketches(np.zeros((8, 8, 3), np.uint8))


def test_defaults_are_those_of_the_parameter_file():
    defaults = {
        name: p.default for name, p in inspect.signature(extract_sketches).parameters.items() if name != "frames"
    }
    assert defaults == PARAMS.sketch.model_dump(exclude={"extractor", "threshold"})
