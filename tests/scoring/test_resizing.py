"""Ways to resize against their definitions, written out place by place."""

import numpy as np
import pytest
from transformers import CLIPImageProcessorPil

from sketch2video.scoring.resizing import RESIZES


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


def lerp(picture, rows, columns):
    """Bilinear samples at fractional places, clamped to the picture."""
    height, width = picture.shape[:2]
    x = picture.astype(np.float64)
    found = np.zeros((len(rows), len(columns), 3))
    for i, r in enumerate(np.clip(rows, 0, height - 1)):
        for j, c in enumerate(np.clip(columns, 0, width - 1)):
            r0, c0 = int(r), int(c)
            r1, c1 = min(r0 + 1, height - 1), min(c0 + 1, width - 1)
            top = x[r0, c0] * (1 - (c - c0)) + x[r0, c1] * (c - c0)
            low = x[r1, c0] * (1 - (c - c0)) + x[r1, c1] * (c - c0)
            found[i, j] = top * (1 - (r - r0)) + low * (r - r0)
    return found


PLACES = {
    "tensorflow": lambda size, length: np.arange(size) * length / size,
    "straight": lambda size, length: (np.arange(size) + 0.5) * length / size - 0.5,
    "corners": lambda size, length: np.arange(size) * (length - 1) / (size - 1),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("size", [20, 64])
def test_bilinear_resizes_sample_where_their_definition_says(picture, name, size):
    expected = lerp(picture, PLACES[name](size, 37), PLACES[name](size, 53))
    found = RESIZES[name](picture, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)


@pytest.mark.parametrize("turned", [False, True])
def test_the_short_side_is_resized_and_the_middle_cut_out(picture, turned):
    shown = picture.swapaxes(0, 1) if turned else picture
    found = RESIZES["short_side_crop"](np.ascontiguousarray(shown), 24)
    width = 35  # 53 · 24 / 37 = 34.4, rounded up
    rows, columns = (np.arange(24) + 0.5) * 37 / 24 - 0.5, (np.arange(width) + 0.5) * 53 / width - 0.5
    expected = lerp(picture, rows, columns)[:, (width - 24) // 2 :][:, :24]
    # PyTorch's step is length / size, as VideoGPT has it.
    np.testing.assert_allclose(found, expected.swapaxes(0, 1) if turned else expected, atol=2e-2)


def test_clip_resizes_as_its_own_processor_does(picture):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, do_rescale=False, do_normalize=False
    )
    expected = np.asarray(processor(picture, return_tensors="np")["pixel_values"])[0].transpose(1, 2, 0)
    np.testing.assert_array_equal(RESIZES["clip"](picture, 16), expected)


@pytest.mark.parametrize("name", RESIZES)
def test_every_resize_keeps_a_flat_picture_and_gives_a_square(name):
    found = RESIZES[name](np.full((30, 48, 3), 77, np.uint8), 40)
    assert found.shape == (40, 40, 3)
    np.testing.assert_allclose(found, 77, atol=1e-3)
