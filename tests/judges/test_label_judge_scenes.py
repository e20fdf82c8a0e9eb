"""Drawings of scenes with two objects, for the judge of their labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sketch2video.judges.label_judge_scenes import draw_outlines, scenes_of_two, shows_two_objects
from sketch2video.scenes.synthetic import MOTIONS, SHAPES, Combination, sample_scene


def test_scenes_are_functions_of_their_number():
    ink, table = scenes_of_two(6, 32, 4, seed=1)
    again, same = scenes_of_two(3, 32, 4, seed=1)
    assert ink.shape == (6, 4, 32, 32)
    assert ink.dtype == np.uint8
    np.testing.assert_array_equal(ink[:3], again)
    pd.testing.assert_frame_equal(table.head(3), same)
    assert not np.array_equal(scenes_of_two(3, 32, 4, seed=2)[0], again)


def test_words_are_pairs_in_alphabetical_order():
    _, table = scenes_of_two(60, 32, 4)
    for name, known in (("label.shapes", SHAPES), ("label.motions", MOTIONS)):
        for word in table[name].dropna():
            first, second = word.split(" and ")
            assert first <= second
            assert {first, second} <= set(known)
    assert table["label.motions"].notna().all()
    assert 0 < table["label.shapes"].isna().mean() < 0.2
    assert shows_two_objects(table)


@pytest.mark.parametrize(
    "changes",
    [
        {"label.shapes": "circle"},
        {"label.shapes": "circle and dog"},
        {"label.shapes": None},
        {"label.motions": "growing and growing and growing"},
    ],
)
def test_other_labels_are_not_those_of_two_objects(changes):
    _, table = scenes_of_two(4, 32, 4)
    assert not shows_two_objects(table.assign(**changes))
    assert not shows_two_objects(table[["label.shapes"]])


def test_what_is_behind_is_hidden_by_what_is_in_front():
    what = [Combination("star", "red", "growing"), Combination("circle", "blue", "growing")]
    scene = sample_scene(np.random.default_rng(3), what)
    times = np.linspace(0, 1, 16)
    ink = np.zeros((16, 64, 64), np.uint8)
    masks = draw_outlines(ink, np.stack([[one.outline(time) for one in scene.objects] for time in times]))
    front = scene.objects[1]
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    for picture, mask, time in zip(ink, masks, times, strict=True):
        centre, radius = front.centre(time), 0.88 * front.scale(time)
        away = np.hypot(x - centre[0], y - centre[1])
        assert not picture[away < radius - 2.5 / 64].any()
        assert picture[np.abs(away - radius) < 0.5 / 64].mean() > 80
        assert (mask[away < radius - 1 / 64] == 2).all()
        assert set(np.unique(mask)) <= {0, 1, 2}
