import cv2
import numpy as np
import pytest

from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.steadiness.camera import camera_path, seen_from


@pytest.fixture(scope="module")
def landscape():
    noise = np.random.default_rng(0).uniform(0, 255, (160, 200, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 4 * (blurred - 128), 0, 255).astype(np.uint8)


def corners(path, width, height):
    points = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float64)
    return np.stack([cv2.perspectiveTransform(points, step)[0] for step in path]) - points[0]


def test_a_pan_is_followed(landscape):
    shift = np.array([2.0, -1.0])
    frames = np.stack([landscape[40 + t : 104 + t, 60 - 2 * t : 140 - 2 * t] for t in range(8)])
    moved = corners(camera_path(frames), 80, 64)
    np.testing.assert_allclose(moved, np.broadcast_to((np.arange(8)[:, None] * shift)[:, None], moved.shape), atol=0.3)


def test_a_turn_is_followed(landscape):
    true = [np.vstack([cv2.getRotationMatrix2D((40, 32), 1.5 * t, 1 + 0.01 * t), [0, 0, 1]]) for t in range(6)]
    window = np.array([[1, 0, -50], [0, 1, -40], [0, 0, 1.0]])
    frames = np.stack([cv2.warpPerspective(landscape, step @ window, (80, 64)) for step in true])
    np.testing.assert_allclose(corners(camera_path(frames), 80, 64), corners(true, 80, 64), atol=1)


@pytest.mark.parametrize("motion", ["left to right", "growing"])
def test_a_still_camera_stays_exactly_still_whatever_moves(motion):
    scene = sample_scene(np.random.default_rng(0), [Combination("square", "red", motion)], frames=8)
    path = camera_path(render_scene(scene, 48, 8).frames)
    np.testing.assert_array_equal(path, np.tile(np.eye(3), (8, 1, 1)))


def test_the_ground_is_followed_and_not_the_object():
    scene = sample_scene(np.random.default_rng(3), [Combination("star", "blue", "left to right")], True, frames=8)
    moved = corners(camera_path(render_scene(scene, 64, 8).frames), 64, 64)[-1]
    np.testing.assert_allclose(moved, np.broadcast_to(np.multiply(scene.background_velocity, 64), (4, 2)), atol=0.7)


def test_a_picture_is_seen_from_where_its_points_lie():
    picture = np.zeros((8, 10), np.float32)
    picture[3, 6] = 1
    seen = seen_from(picture, np.array([[1, 0, 2], [0, 1, -1], [0, 0, 1.0]]))
    assert np.argwhere(seen).tolist() == [[4, 4]]


def test_a_ground_whose_colours_drift_is_a_still_cameras():
    noise = np.random.default_rng(0).uniform(0, 255, (48, 48, 3)).astype(np.float32)
    ground = 128 + (cv2.GaussianBlur(noise, (0, 0), 3) - 128)
    light = np.linspace(-20, 20, 32)[:, None, None] * np.linspace(-0.5, 1, 48)[None, :, None]
    frames = np.clip(ground + light[..., None], 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(camera_path(frames), np.tile(np.eye(3), (32, 1, 1)))


def test_a_ground_that_becomes_another_is_followed_and_not_what_stands_before_it(landscape):
    frames = []
    for t in range(40):
        view = np.array([[1, 0, -80 + 0.5 * t], [0, 1, -40]])
        before, after = (cv2.warpAffine(ground, view, (80, 64)) for ground in (landscape, landscape[::-1, ::-1]))
        share = min(t / 20, 1)
        frames.append(cv2.addWeighted(before, 1 - share, after, share, 0))
        frames[-1][20:52, 30:48] = landscape[:32, :18] // 3
    moved = corners(camera_path(np.stack(frames)), 80, 64)[-1]
    np.testing.assert_allclose(moved, np.broadcast_to((19.5, 0.0), (4, 2)), atol=1.5)
