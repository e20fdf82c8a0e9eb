import cv2
import numpy as np
import pytest

from sketch2video.curves.fitting.ink_map import InkFrame, Regions, near, without_specks


def brute_force(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """All distances: (N, 2) and (M, 2) -> (N, M)."""
    return np.linalg.norm(points[:, None] - others[None], axis=-1)


def noisy_frame(density: float = 0.05) -> InkFrame:
    generator = np.random.default_rng(0)
    offsets = generator.uniform(-0.49, 0.49, (40, 50, 2))
    return InkFrame.of(generator.random((40, 50)) < density, offsets)


def test_near_points_are_those_within_reach():
    frame, strokes = noisy_frame(), np.random.default_rng(1).uniform(-5, 55, (3, 16, 2))
    expected = (brute_force(frame.ink, strokes.reshape(-1, 2)) <= 4).any(1)
    np.testing.assert_array_equal(near(strokes, frame.ink, 4.0), expected)


@pytest.mark.parametrize("beyond", [(0.0, 0.0), (3.0, 0.0), (2.0, 4.0)])
def test_distances_keep_growing_outside_the_frame(beyond):
    frame, corner = noisy_frame(), np.array([50.0, 40.0])
    assert frame.distance_from(corner + beyond) == pytest.approx(frame.distance[39, 49] + sum(beyond))
    assert frame.distance_from(-np.array(beyond)) == pytest.approx(frame.distance[0, 0] + sum(beyond))


def test_regions_are_those_that_lines_surround_up_to_gaps():
    ink = np.zeros((40, 60), np.uint8)
    cv2.rectangle(ink, (5, 5), (25, 25), 1)
    cv2.rectangle(ink, (35, 5), (50, 12), 1)
    ink[5, 12:14] = 0  # a gap of two pixels
    cv2.line(ink, (30, 30), (50, 35), 1)
    regions = Regions.of(ink > 0, 3.0)
    assert regions.surrounded[15, 15]
    assert regions.surrounded[8, 42]
    assert not regions.surrounded[35, 20]
    assert [regions.labels[15, 15]] == regions.enclosed(150).tolist()
    assert len(regions.enclosed(1)) == 2
    ink[5, 8:20] = 0
    assert not Regions.of(ink > 0, 3.0).surrounded[15, 15]


def test_specks_are_parts_of_few_pixels():
    mask = np.zeros((10, 10), bool)
    mask[1, 1:6] = mask[8, 8] = True
    kept = without_specks(*np.nonzero(mask), mask.shape, 2.5)
    assert kept.sum() == 5
    assert not kept[8, 8]
