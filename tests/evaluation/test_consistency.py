"""Measures of steadiness on motion, flicker and drift of known size."""

import cv2
import numpy as np
import pytest

from sketch2video.evaluation.consistency import (
    Steadiness,
    background_drift,
    flicker,
    motion,
    sharpness,
    steadiness,
    unexplained_change,
)
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene

SIZE, FRAMES = 64, 16
RAMP = np.linspace(0, 1, FRAMES)[:, None, None, None]


def texture(size):
    noise = np.random.default_rng(0).standard_normal((size, size, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return 128 + 30 * smooth / smooth.std()


def pan(pixels_a_frame):
    """A texture that moves to the left, seen through a window."""
    large = texture(2 * SIZE)
    places = 16.0 + pixels_a_frame * np.arange(FRAMES)
    moves = [np.array([[1, 0, -x], [0, 1, -16]]) for x in places]
    return in_bytes([cv2.warpAffine(large, move, (SIZE, SIZE), flags=cv2.INTER_CUBIC) for move in moves])


def in_bytes(frames):
    return np.clip(frames, 0, 255).round().astype(np.uint8)


def brighter(frames, by):
    return in_bytes(frames + 255 * np.asarray(by))


def blurred(frames, pixels):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), pixels) for frame in frames])


@pytest.fixture(scope="module")
def scenes():
    """Shaded objects that move over still ground."""
    scenes = [sample_scene(np.random.default_rng([3, i]), [combinations()[(43 * i) % 216]]) for i in range(8)]
    return np.stack([render_scene(scene, SIZE, FRAMES).frames for scene in scenes])


def frame_difference(frames):
    """What flicker would be without flow."""
    return np.abs(np.diff(frames.astype(float), axis=0)).mean() / 255


def means(clips):
    return steadiness(clips).means()


@pytest.mark.parametrize("speed", [0, 0.5, 1, 2, 3])
def test_a_pan_is_motion_and_no_flicker(speed):
    clip = pan(speed)
    assert motion(clip) == pytest.approx(speed / SIZE, rel=0.05, abs=1e-6)
    assert flicker(clip) < 0.004
    assert frame_difference(clip) >= 0.01 * speed, "there must be something for the flow to explain"


def test_motion_of_a_part_is_that_of_its_pixels():
    clip = np.concatenate([pan(0), pan(2)], axis=2)
    right = np.zeros(clip.shape[:3], bool)
    right[:, :, SIZE + SIZE // 4 : -SIZE // 4] = True
    assert motion(clip, right) == pytest.approx(2 / (2 * SIZE), rel=0.1)
    assert motion(clip, right[:, :, ::-1]) == pytest.approx(0, abs=1e-6)
    assert motion(clip, np.zeros_like(right)) == 0


@pytest.mark.parametrize("amplitude", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("speed", [0, 2])
def test_brightness_that_flickers_scores_its_amplitude(amplitude, speed):
    odd = (np.arange(FRAMES) % 2)[:, None, None, None]
    assert flicker(brighter(pan(speed), amplitude * odd)) == pytest.approx(amplitude, rel=0.1)
    assert background_drift(brighter(pan(0), amplitude * odd)) < 0.003


def test_independent_noise_scores_the_mean_difference_of_two_draws():
    s = 0.03
    noise = np.random.default_rng(1).normal(0, s, (FRAMES, SIZE, SIZE, 3))
    assert 0.85 * 2 * s / np.sqrt(np.pi) < flicker(brighter(pan(0), noise)) < 2 * s / np.sqrt(np.pi)


def test_flicker_is_the_mean_of_what_each_pair_of_frames_has_alone(scenes):
    for clip in (*scenes[:3], pan(3)):
        change, seen = unexplained_change(clip)
        assert change == pytest.approx([flicker(clip[t : t + 2]) for t in range(FRAMES - 1)], rel=1e-12)
        assert np.average(change, weights=seen) == pytest.approx(flicker(clip), rel=1e-12)
        assert (seen <= 1).all()
        assert seen.mean() > 0.8


def test_flow_explains_most_of_what_changes_when_objects_move(scenes):
    assert np.mean([flicker(clip) / frame_difference(clip) for clip in scenes]) < 0.5


def test_what_is_not_seen_again_is_left_out():
    """A cut: all of its frame is new."""
    still = in_bytes(texture(SIZE)[None])
    clip = np.concatenate([still] * 8 + [in_bytes(texture(2 * SIZE)[None, :SIZE, :SIZE])] * 8)
    assert flicker(clip) < 0.5 * frame_difference(clip)


@pytest.mark.parametrize("amount", [0.05, 0.1, 0.2])
def test_a_background_that_slowly_changes_scores_what_lies_between_the_thirds(scenes, amount):
    for clip in scenes:
        assert background_drift(clip) < 0.002, "an object that moves is no drift"
        assert background_drift(brighter(clip, -amount * RAMP)) == pytest.approx(11 / 15 * amount, rel=0.1)
        assert background_drift(brighter(clip, [-amount, 0, 0] * RAMP)) == pytest.approx(11 / 45 * amount, rel=0.15)
    assert flicker(brighter(pan(0), amount * RAMP)) < 1.1 * amount / (FRAMES - 1) + 0.001


def test_under_a_moving_camera_there_is_no_background():
    assert np.isnan(background_drift(pan(2)))
    measured = steadiness(np.stack([pan(2), pan(0)]))
    assert np.isnan(measured.background_drift).tolist() == [True, False]
    assert measured.means()["background_drift"] == measured.background_drift[1]
    assert np.isnan(means(pan(2)[None])["background_drift"])


def test_the_gradient_of_a_slope_is_its_slope():
    slope = np.broadcast_to((3 * np.arange(32) + 50).astype(np.uint8)[:, None], (2, 32, 32, 3))
    inside = np.ascontiguousarray(np.moveaxis(slope, 1, 2))
    assert sharpness(inside) == pytest.approx(sharpness(np.ascontiguousarray(slope)))
    # Sobel mirrors the frame at its two sides, where the slope of one column each is then 0.
    assert sharpness(inside) == pytest.approx(3 / 255 * np.sqrt(30 / 32), rel=1e-6)


def test_blur_is_bought_with_sharpness(scenes):
    levels = [means(scenes)] + [means(np.stack([blurred(clip, s) for clip in scenes])) for s in (0.5, 1, 2, 3)]
    assert (np.diff([level["sharpness"] for level in levels]) < 0).all()
    assert levels[3]["flicker"] < levels[0]["flicker"], "flicker alone would let the blurred clips win"
    ratios = steadiness(np.stack([blurred(clip, 2) for clip in scenes])).ratios(steadiness(scenes))
    assert ratios["sharpness_ratio"] == pytest.approx(levels[3]["sharpness"] / levels[0]["sharpness"])


def test_a_freeze_is_bought_with_motion(scenes):
    levels = [means(scenes[:, np.minimum(np.arange(FRAMES), last)]) for last in (15, 11, 7, 3, 0)]
    for name in ("flicker", "motion"):
        assert (np.diff([level[name] for level in levels]) < 0).all(), name
    assert (levels[-1]["flicker"], levels[-1]["motion"]) == (0, 0)
    frozen = steadiness(scenes[:, [0] * FRAMES])
    assert frozen.ratios(steadiness(scenes))["motion_ratio"] == 0
    assert np.isnan(steadiness(scenes).ratios(frozen)["motion_ratio"])


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_and_shuffled_frames_flicker_the_more_there_is_of_them(scenes, seed):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(scenes.shape)
    noisy = [means(brighter(scenes, s * noise)) for s in (0, 0.01, 0.02, 0.04, 0.08, 0.16)]
    assert (np.diff([level["flicker"] for level in noisy]) > 0).all()
    assert (np.diff([level["sharpness"] for level in noisy]) > 0).all()
    assert means(scenes[:, rng.permutation(FRAMES)])["flicker"] > 1.3 * means(scenes)["flicker"]


def test_a_set_is_measured_as_its_clips_one_by_one(scenes):
    together = steadiness(scenes[:3])
    for i, clip in enumerate(scenes[:3]):
        alone = [measure(clip) for measure in (flicker, background_drift, sharpness, motion)]
        assert [values[i] for values in together] == alone
    parts = Steadiness.concatenate([steadiness(scenes[:1]), steadiness(scenes[1:3])])
    np.testing.assert_array_equal(parts, together)


@pytest.mark.parametrize("frames", [2, 3, 5])
@pytest.mark.parametrize("size", [16, 33])
def test_short_and_small_clips_have_all_four(size, frames):
    clip = in_bytes(np.broadcast_to(texture(size), (frames, size, size, 3)))
    assert steadiness(clip[None]).means() == {
        "flicker": 0,
        "background_drift": 0,
        "sharpness": pytest.approx(sharpness(clip)),
        "motion": 0,
    }


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((1, 16, 16, 3), np.uint8, "at least 2"),
        ((4, 16, 16), np.uint8, "must be uint8"),
        ((4, 16, 16, 3), np.float32, "float32"),
        ((4, 8, 16, 3), np.uint8, "12 px"),
    ],
)
def test_what_is_no_clip_is_refused(shape, dtype, reason):
    with pytest.raises(ValueError, match=reason):
        flicker(np.zeros(shape, dtype))
