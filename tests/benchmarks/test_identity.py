"""Identity of objects that stay what they are, and of such that turn into others by known amounts."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, rotate
from scipy.stats import wasserstein_distance
from skimage.color import deltaE_cie76, rgb2lab

from benchmarks import identity as module
from benchmarks.identity import (
    colour_distance,
    foreground_colours,
    foreground_shape,
    identity,
    shape_distance,
)
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES, Combination, render_at, sample_scene

SIZE, FRAMES = 64, 8
RAMP = np.linspace(0, 1, FRAMES)
COLOUR, SHAPE = 4.0, 0.02
"""What a steady object scores at most; one that turns in the light has its shade elsewhere."""


def scene(shape, colour="red", motion="left to right", seed=0):
    return sample_scene(np.random.default_rng([3, seed]), [Combination(shape, colour, motion)])


def rendered(one, **changed):
    """Frames and masks of a scene whose object has, frame by frame, other attributes."""
    parts = []
    for t in range(FRAMES):
        values = {name: float(values[t]) for name, values in changed.items()}
        parts.append(render_at(replace(one, objects=(replace(one.objects[0], **values),)), SIZE, RAMP[t : t + 1]))
    return np.concatenate([p.frames for p in parts]), np.concatenate([p.masks for p in parts]) > 0


def summary(frames, masks):
    return identity(frames, masks).summary()


def signed_distance(mask):
    return distance_transform_edt(mask) - distance_transform_edt(~mask)


def morphed(masks, others, amount):
    """Masks that on the way to the end become ``amount`` of the others."""
    return np.stack(
        [
            (1 - amount * r) * signed_distance(mask) + amount * r * signed_distance(other) > 0
            for mask, other, r in zip(masks, others, RAMP, strict=True)
        ]
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_an_object_that_moves_grows_or_turns_stays_the_same(shape, motion):
    one = scene(shape, COLOURS[SHAPES.index(shape)], motion)
    for frames, masks in (rendered(one), rendered(one, angle=one.objects[0].angle + 2 * RAMP)):
        found = summary(frames, masks)
        assert max(found["colour_drift"], found["colour_jump"]) < COLOUR
        assert max(found["shape_drift"], found["shape_jump"]) < SHAPE


@pytest.mark.parametrize("colour", COLOURS)
def test_the_more_the_hue_drifts_the_farther_is_the_colour(colour):
    one = scene(SHAPES[COLOURS.index(colour)], colour)
    found = [summary(*rendered(one, hue=one.objects[0].hue + by * RAMP)) for by in (0, 10, 20, 40, 80)]
    assert (np.diff([level["colour_drift"] for level in found]) > 0).all()
    assert found[2]["colour_drift"] > COLOUR
    assert len({level["shape_drift"] for level in found}) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_the_more_of_another_shape_the_farther_is_the_shape(shape):
    one = scene(shape)
    other = scene(SHAPES[(SHAPES.index(shape) + 1) % 6])
    frames, masks = rendered(one)
    others = rendered(other)[1]
    found = [summary(frames, morphed(masks, others, amount)) for amount in (0, 0.25, 0.5, 0.75, 1)]
    assert (np.diff([level["shape_drift"] for level in found][1:]) > 0).all()
    assert found[-1]["shape_drift"] > found[1]["shape_drift"] > found[0]["shape_drift"] - 0.01
    assert summary(frames, np.concatenate([masks[:4], others[4:]]))["shape_jump"] > SHAPE


def test_a_change_in_the_middle_is_a_jump_there():
    one = scene("heart", "blue")
    found = identity(*rendered(one, hue=one.objects[0].hue + 90 * (RAMP > 0.5)))
    assert found.colour_from_previous.argmax() == FRAMES // 2 - 1
    assert np.delete(found.colour_from_previous, FRAMES // 2 - 1).max() < COLOUR
    assert (found.colour_from_first > 10 * COLOUR).tolist() == [False] * 3 + [True] * 4
    slow = identity(*rendered(one, hue=one.objects[0].hue + 90 * RAMP))
    assert slow.summary()["colour_jump"] < 0.5 * found.summary()["colour_jump"]


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_and_noise_change_little(shape):
    one = scene(shape, COLOURS[SHAPES.index(shape)])
    frames, masks = rendered(one)
    drifted = summary(*rendered(one, hue=one.objects[0].hue + 40 * RAMP))["colour_drift"]
    noise = 5 * np.random.default_rng(0).standard_normal(frames.shape)
    noisy = np.clip(frames + RAMP[:, None, None, None] * noise, 0, 255).round().astype(np.uint8)
    blurred = np.stack([cv2.GaussianBlur(f, (0, 0), 0.01 + r) for f, r in zip(frames, RAMP, strict=True)])
    for spoiled in (noisy, blurred):
        assert summary(spoiled, masks)["colour_drift"] < 0.2 * drifted


def test_between_two_plain_colours_the_distance_is_delta_e():
    mask = np.ones((8, 8), bool)
    a, b = (np.full((8, 8, 3), colour, np.uint8) for colour in ((200, 40, 60), (40, 90, 220)))
    expected = deltaE_cie76(rgb2lab(a[0, 0] / 255), rgb2lab(b[0, 0] / 255))
    found = colour_distance(foreground_colours(a, mask), foreground_colours(b, mask))
    assert found == pytest.approx(expected, rel=1e-3)


def test_between_two_pictures_it_is_the_weighted_earth_movers_distance():
    rng = np.random.default_rng(0)
    mask = cv2.circle(np.zeros((48, 48), np.uint8), (24, 24), 18, 1, -1) > 0
    a, b = (rng.integers(low, 256, (48, 48, 3)).astype(np.uint8) for low in (0, 90))
    weights = distance_transform_edt(mask)[mask] ** 2
    labs = [rgb2lab(picture / 255)[mask].T for picture in (a, b)]
    expected = [wasserstein_distance(x, y, weights, weights) for x, y in zip(*labs, strict=True)]
    found = colour_distance(foreground_colours(a, mask), foreground_colours(b, mask))
    assert found == pytest.approx(np.linalg.norm(expected), rel=0.03)


def test_without_softness_the_overlap_is_the_largest_intersection_over_union(monkeypatch):
    monkeypatch.setattr(module, "SOFTNESS", 1e-3)
    y, x = np.mgrid[-120:121, -120:121]

    def box(half_width, half_height, turn=0.0):
        across, down = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        return (abs(across) < half_width) & (abs(down) < half_height)

    disc, bar = np.hypot(x, y) < 100 / np.sqrt(np.pi), box(100, 25, 0.3)
    for shape, turned in (
        (disc, [box(50, 50)]),
        (bar, [disc]),
        (bar, [box(50, 50, turn) for turn in np.arange(0, np.pi, np.pi / 60)]),
    ):
        expected = 1 - max((shape & other).sum() / (shape | other).sum() for other in turned)
        found = shape_distance(foreground_shape(shape), foreground_shape(turned[0]))
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("degrees", [10, 45, 90, 137, 180])
def test_a_shape_without_symmetry_is_itself_when_turned_and_another_when_mirrored(degrees):
    corner = np.zeros((96, 96), bool)
    corner[24:72, 36:48] = corner[60:72, 36:66] = True
    turned = rotate(corner.astype(float), degrees, reshape=False, order=1) > 0.5
    distance = shape_distance(foreground_shape(corner), foreground_shape(turned))
    assert distance < 0.02
    assert shape_distance(foreground_shape(corner), foreground_shape(turned[:, ::-1])) > 10 * distance


def test_frames_without_foreground_are_left_out_and_counted():
    frames, masks = rendered(scene("star"))
    gaps = masks.copy()
    gaps[[0, 3]] = False
    found = identity(frames, gaps)
    kept = identity(np.delete(frames, [0, 3], 0), np.delete(masks, [0, 3], 0))
    assert (found.left_out, kept.left_out) == (2, 0)
    assert found.summary() == kept.summary()
    assert len(found.shape_from_previous) == FRAMES - 3


@pytest.mark.parametrize("there", [0, 1])
def test_with_fewer_than_two_foregrounds_there_is_nothing_to_compare(there):
    frames, masks = rendered(scene("star"))
    masks[there:] = False
    found = identity(frames, masks)
    assert found.left_out == FRAMES - there
    assert np.isnan(list(found.summary().values())).all()


@pytest.mark.parametrize("mask", [np.ones((20, 20), bool), np.pad(np.ones((1, 1), bool), 10)])
def test_whole_frames_and_single_pixels_have_an_identity(mask):
    frames = np.full((3, *mask.shape, 3), 90, np.uint8)
    assert summary(frames, np.stack([mask] * 3)) == pytest.approx(dict.fromkeys(summary(frames, frames[..., 0] > 0), 0))


@pytest.mark.parametrize(
    ("frames", "masks", "reason"),
    [
        (np.zeros((2, 8, 8, 3)), np.ones((2, 8, 8), bool), "frames must be uint8"),
        (np.zeros((2, 8, 8), np.uint8), np.ones((2, 8, 8), bool), "frames must be uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.uint8), "masks must be bool"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.ones((3, 8, 8), bool), r"\(2, 8, 8\)"),
    ],
)
def test_what_are_no_frames_or_masks_is_refused(frames, masks, reason):
    with pytest.raises(ValueError, match=reason):
        identity(frames, masks)
