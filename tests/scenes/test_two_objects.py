"""What scenes with two objects are labelled with."""

from __future__ import annotations

import numpy as np
import pytest

from sketch2video.scenes.synthetic import Combination, combinations, render_scene, sample_scene
from sketch2video.scenes.two_objects import (
    hidden_share,
    labels_of_two,
    most_in_sight,
    ordered_caption,
    overlap_visibly,
)

STAR, CIRCLE = Combination("star", "red", "left to right"), Combination("circle", "blue", "growing")


def scene_of(*what: Combination, seed: int = 0):
    return render_scene(sample_scene(np.random.default_rng(seed), list(what)), 64, 16)


def test_words_have_no_order():
    for what in ([STAR, CIRCLE], [CIRCLE, STAR]):
        scene = scene_of(*what)
        expected = {
            "shapes": "circle and star",
            "colours": "blue and red",
            "motions": "growing and left to right",
        }
        assert labels_of_two(what, scene.masks, scene.outlines) == expected


def test_one_object_has_no_such_labels():
    scene = scene_of(STAR)
    assert labels_of_two([STAR], scene.masks, scene.outlines) == {}


@pytest.mark.parametrize("what", [STAR, CIRCLE, Combination("cross", "red", "in a circle")])
def test_an_object_alone_is_in_sight(what):
    scene = scene_of(what)
    assert most_in_sight(scene.masks, scene.outlines) == pytest.approx([1], abs=0.08)


def test_what_is_hidden_all_the_time_has_no_word():
    scene = scene_of(STAR, CIRCLE)
    hidden = np.where(scene.masks == 1, 2, scene.masks).astype(np.uint8)
    assert most_in_sight(hidden, scene.outlines)[0] == 0
    assert labels_of_two([STAR, CIRCLE], hidden, scene.outlines) == {"motions": "growing and left to right"}
    hidden[5] = scene.masks[5]
    assert set(labels_of_two([STAR, CIRCLE], hidden, scene.outlines)) == {"shapes", "colours", "motions"}, (
        "one frame is enough"
    )


def whole(outlines, size=64):
    """Pixels of each object as if nothing hid it, from its corners alone: bool (T, O, S, S)."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    start, end = outlines, np.roll(outlines, -1, axis=-2)
    inside = np.zeros((*outlines.shape[:2], size, size), bool)
    for t, o in np.ndindex(inside.shape[:2]):
        crossings = np.zeros((size, size), int)
        for (ax, ay), (bx, by) in zip(start[t, o], end[t, o], strict=True):
            if ay != by:
                spans = (ay <= y) != (by <= y)
                crossings += spans & (x < ax + (y - ay) * (bx - ax) / (by - ay))
        inside[t, o] = crossings % 2 == 1
    return inside


def test_the_hidden_share_is_what_the_object_in_front_covers_of_the_other():
    scene = scene_of(Combination("heart", "red", "growing"), Combination("circle", "blue", "right to left"))
    behind, front = np.moveaxis(whole(scene.outlines), 1, 0)
    expected = (behind & front).sum((1, 2)) / behind.sum((1, 2))
    assert expected.max() > 0.2
    np.testing.assert_allclose(hidden_share(scene.masks, scene.outlines), expected, atol=0.08)


@pytest.mark.parametrize("seed", range(6))
def test_captions_that_say_which_is_in_front_are_true(seed):
    rng = np.random.default_rng([5, seed])
    every = combinations()
    while True:
        what = [every[rng.integers(216)] for _ in range(2)]
        scene = sample_scene(rng, what, moving_background=True)
        rendered = render_scene(scene, 64, 16)
        if overlap_visibly(rendered.masks, rendered.outlines) and what[0].colour != what[1].colour:
            break
    shapes = {"disc": "circle", "plus": "cross", "five-pointed": "star"}
    words = ordered_caption(scene, rng).removeprefix("a video of ").removeprefix("here ")
    order = " in front of " if " in front of " in words else " behind "
    objects = [part.removeprefix("a ").split() for part in words.split(order)]
    (front, behind) = objects if order == " in front of " else objects[::-1]
    found = {(colour, shapes.get(shape, shape)): o + 1 for o, (colour, shape) in enumerate([behind[:2], front[:2]])}
    # In the picture, where both objects would be, the one in front is seen.
    both = whole(rendered.outlines).all(1)
    shown = np.bincount(rendered.masks[both], minlength=3)
    for number, one in enumerate(what, 1):
        assert found[one.colour, one.shape] == number
    assert shown[2] > 0.8 * both.sum() > 20
    labels = labels_of_two(what, rendered.masks, rendered.outlines, in_front=True)
    assert (labels["front_colour"], labels["front_shape"]) == (front[0], shapes.get(front[1], front[1]))


def test_objects_that_never_touch_have_no_order():
    scene = scene_of(STAR, CIRCLE)
    apart = scene.outlines.copy()
    apart[:, 0] -= 2
    masks = np.where(scene.masks == 1, 0, scene.masks).astype(np.uint8)
    assert not overlap_visibly(masks, apart)
    assert set(labels_of_two([STAR, CIRCLE], scene.masks, scene.outlines, in_front=True)) >= {"front_shape"}
    assert "front_shape" not in labels_of_two([STAR, CIRCLE], masks, apart, in_front=True)
    assert "front_shape" not in labels_of_two([STAR, CIRCLE], scene.masks, scene.outlines)
