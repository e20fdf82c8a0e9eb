from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.descent import descend
from benchmarks.methods import CONTOURS, MODES, elliptic_fourier, elliptic_settings, frame_by_frame, shared_harmonics
from benchmarks.race import miss
from sketch2video.curves.equation.measure import distances
from sketch2video.params import load_params

FIT = load_params(Path(__file__).parents[2] / "params.yaml").fit


@pytest.fixture(scope="module")
def ink() -> np.ndarray:
    """A circle and a line in two frames."""
    pictures = np.zeros((2, 64, 64), np.uint8)
    for t, picture in enumerate(pictures):
        cv2.circle(picture, (24 + t, 30), 14, 255)
        cv2.line(picture, (50, 10), (56, 50), 255)
    return pictures


@pytest.mark.parametrize("contours", CONTOURS)
@pytest.mark.parametrize("mode", MODES)
def test_elliptic_fourier_descriptors_keep_to_the_budget(contours, mode):
    noise = (np.random.default_rng(0).random((2, 48, 48)) < 0.2).astype(np.uint8) * 255
    drawn = elliptic_fourier(noise, 288, contours, mode)
    assert drawn.numbers <= 288
    assert (drawn.visible.sum(1) == contours).all()


def test_elliptic_fourier_descriptors_draw_contours(ink):
    contours, mode = elliptic_settings(ink, 288)
    drawn = elliptic_fourier(ink, 288, contours, mode)
    assert max(distances(drawn.points, drawn.visible, ink)) < 0.5
    alone = elliptic_fourier(ink, 288, 1, "outer")
    assert distances(alone.points, alone.visible, ink)[0] > 3  # the line is left out


def test_an_empty_frame_has_no_contours(ink):
    drawn = elliptic_fourier(np.zeros_like(ink), 288, 4, "all")
    assert not drawn.visible.any()
    assert drawn.numbers == 0


def test_longer_contours_have_more_harmonics():
    assert shared_harmonics(np.array([300.0, 100.0]), 288).tolist() == [52, 18]


def test_frame_by_frame_draws_every_frame_as_if_it_were_alone(ink):
    both = frame_by_frame(ink, FIT)
    swapped = frame_by_frame(ink[::-1], FIT)
    np.testing.assert_array_equal(both.points, swapped.points[::-1])
    assert both.visible.sum(1).tolist() == [2, 2]


@pytest.mark.parametrize("start", ["lines", "ellipses"])
def test_gradient_descent_comes_nearer_to_the_ink_within_its_budget(ink, start):
    seen = []
    coefficients = descend(
        ink[0], 288, steps=60, start=start, watch=lambda seconds, now: seen.append((seconds, miss(now, ink[0])))
    )
    seconds, errors = zip(*seen, strict=True)
    assert list(seconds) == sorted(seconds)
    assert errors[-1] < 0.5 * errors[0]
    assert errors[-1] == miss(coefficients, ink[0])
    assert coefficients.size + len(coefficients) <= 288


def test_gradient_descent_survives_a_blank_frame():
    assert np.isfinite(descend(np.zeros((32, 32), np.uint8), 100, strokes=4, steps=3)).all()
