import numpy as np
import pytest

from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.sketches import extract_sketches
from sketch2video.sketches.fine_lines import crest_offsets, draw_along_crests

ROWS, COLUMNS = np.mgrid[:48, :48] + 0.5
INSIDE = (np.minimum(ROWS, COLUMNS) > 3) & (np.maximum(ROWS, COLUMNS) < 45)


def ridge(angle: float, shift: float) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """A Gaussian ridge along a straight line: its strength, vectors across it, and distances to it, (48, 48) px."""
    normal = np.cos(angle), np.sin(angle)
    distance = (COLUMNS - 24) * normal[0] + (ROWS - 24) * normal[1] - shift
    strength = np.exp(-(distance**2) / 2).astype(np.float32)
    return strength, tuple(np.full_like(strength, part) for part in normal), distance


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 1.3, np.pi / 2])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.25])
def test_the_crest_of_a_ridge_is_found_between_pixels(angle, shift):
    strength, (right, down), distance = ridge(angle, shift)
    rows, columns = np.nonzero((np.abs(distance) <= 0.5) & INSIDE)
    offsets = crest_offsets(strength, rows, columns, right[rows, columns], down[rows, columns])
    assert np.abs(distance[rows, columns] + offsets).max() < 0.13


def test_where_the_strength_has_no_crest_pixels_stay_where_they_are():
    rising = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    one = np.ones(1)
    for strength in (rising, np.zeros((8, 8), np.float32)):
        assert crest_offsets(strength, np.array([4]), np.array([4]), one, 0 * one) == 0
    assert not draw_along_crests(rising < 0, rising, (rising, rising)).any()


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 1.3])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.25])
def test_a_drawn_line_is_found_where_it_was_drawn(angle, shift):
    strength, across, distance = ridge(angle, shift)
    ink = draw_along_crests(np.abs(distance) <= 0.5, strength, across)
    skeleton, offsets = centre_lines(ink)
    rows, columns = np.nonzero(skeleton & INSIDE)
    found = np.stack([columns, rows], 1) + 0.5 + offsets[rows, columns]
    apart = (found - 24) @ [np.cos(angle), np.sin(angle)] - shift
    assert len(found) > 30
    assert np.abs(apart).max() < 0.25
    assert np.abs(apart).mean() < 0.13


@pytest.mark.parametrize(("radius", "middle"), [(9.0, 24.0), (10.3, 23.7), (15.6, 24.4)])
def test_the_outline_of_a_disc_is_a_circle_to_a_fraction_of_a_pixel(radius, middle):
    fine = (np.mgrid[: 48 * 16, : 48 * 16] + 0.5) / 16
    inside = np.hypot(fine[1] - middle, fine[0] - 24) < radius
    share = inside.reshape(48, 16, 48, 16).mean((1, 3))[..., None]
    frame = (share * [200, 60, 50] + (1 - share) * [120, 125, 130]).round().astype(np.uint8)
    skeleton, offsets = centre_lines(extract_sketches(frame[None])[0])
    rows, columns = np.nonzero(skeleton)
    found = np.stack([columns, rows], 1) + 0.5 + offsets[skeleton] - [middle, 24]
    error = np.hypot(*found.T) - radius
    pixels = np.hypot(columns + 0.5 - middle, rows + 0.5 - 24) - radius
    assert abs(error.mean()) < 0.15
    assert np.quantile(np.abs(error), 0.9) < 0.25 < 0.4 < np.quantile(np.abs(pixels), 0.9)
