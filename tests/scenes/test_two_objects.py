"""What scenes with two objects are labelled with."""

from __future__ import annotations

import numpy as np
import pytest

from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.scenes.two_objects import labels_of_two, most_in_sight

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
    assert set(labels_of_two([STAR, CIRCLE], hidden, scene.outlines)) == {"shapes", "colours", "motions"}, "one frame is enough"
