import cv2
import numpy as np
import pytest

from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.steadiness.foreground import moving_foreground


def scene(motion, shape="square", *, moving_background=False, frames=12, size=64):
    what = [Combination(shape, "red", motion)]
    return render_scene(sample_scene(np.random.default_rng(1), what, moving_background, frames=frames), size, frames)


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("motion", ["left to right", "growing", "in a circle"])
def test_objects_are_found_over_still_ground(motion):
    rendered = scene(motion)
    assert iou(moving_foreground(rendered.frames), rendered.masks > 0) > 0.85


def test_objects_are_found_under_a_moving_camera():
    rendered = scene("right to left", "heart", moving_background=True)
    assert iou(moving_foreground(rendered.frames), rendered.masks > 0) > 0.8


def test_objects_are_found_in_a_long_clip_where_the_camera_moves_slowly():
    rendered = scene("left to right", moving_background=True, frames=64)
    assert iou(moving_foreground(rendered.frames), rendered.masks > 0) > 0.8


def test_an_object_that_stands_still_for_most_of_the_clip_is_found_where_it_stands():
    rendered = scene("top to bottom", frames=6)
    order = [0, 1, 2, 3, 4, *[5] * 9]
    found = moving_foreground(rendered.frames[order])
    truth = rendered.masks[order] > 0
    assert iou(found, truth) > 0.8
    assert iou(found[:3], truth[:3]) > 0.7, "and nothing where it will stand"


def test_noise_does_not_hide_objects():
    rendered = scene("left to right")
    noise = np.random.default_rng(0).normal(0, 8, rendered.frames.shape)
    frames = np.clip(rendered.frames + noise, 0, 255).astype(np.uint8)
    assert iou(moving_foreground(frames), rendered.masks > 0) > 0.75


def test_a_still_clip_has_no_foreground():
    assert not moving_foreground(scene("growing").frames[[5] * 6]).any()
    assert not moving_foreground(np.full((4, 24, 40, 3), 90, np.uint8)).any()


@pytest.mark.parametrize("sigma", [3, 20])
def test_noise_is_no_foreground(sigma):
    ground = scene("growing").frames[0].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, sigma, (8, *ground.shape))
    assert not moving_foreground(np.clip(ground + noise, 0, 255).astype(np.uint8)).any()


def test_a_pan_over_a_landscape_is_no_foreground():
    noise = np.random.default_rng(0).uniform(0, 255, (100, 140, 3)).astype(np.float32)
    landscape = np.clip(128 + 3 * (cv2.GaussianBlur(noise, (0, 0), 3) - 128), 0, 255).astype(np.uint8)
    frames = np.stack([landscape[10 + t : 74 + t, 3 * t : 80 + 3 * t] for t in range(8)])
    assert moving_foreground(frames).mean() < 0.01


def test_the_same_frames_have_the_same_masks():
    frames = scene("in a circle", "star", moving_background=True, frames=6, size=48).frames
    first = moving_foreground(frames)
    cv2.setRNGSeed(99)
    assert first.any()
    np.testing.assert_array_equal(moving_foreground(frames), first)


def test_one_frame_is_refused():
    with pytest.raises(ValueError, match="one frame shows no motion"):
        moving_foreground(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("frames", [np.zeros((4, 16, 16), np.uint8), np.zeros((4, 16, 16, 3), np.float32)])
def test_frames_of_another_shape_or_type_are_refused(frames):
    with pytest.raises(ValueError, match="frames must be uint8"):
        moving_foreground(frames)


def test_a_ground_that_drifts_does_not_hide_objects():
    rendered = scene("left to right", frames=24)
    tint = np.array([20, 10, -15]) * np.linspace(-1, 1, 24)[:, None]
    across = 12 * np.sin(np.linspace(0, 6, 24))[:, None, None] * np.linspace(-1, 1, 64)[:, None]
    frames = np.clip(rendered.frames + tint[:, None, None] + across[:, None], 0, 255).astype(np.uint8)
    found, truth = moving_foreground(frames), rendered.masks > 0
    assert min(iou(*both) for both in zip(found, truth, strict=True)) > 0.7, "in every frame"
