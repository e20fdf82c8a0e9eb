import itertools

import numpy as np
import pytest

from sketch2video.scenes.synthetic import (
    COLOURS,
    MOTIONS,
    SHAPES,
    START_DIRECTION,
    Combination,
    caption_of,
    combinations,
    held_out,
    render_scene,
    sample_scene,
)


def scene_of(*what: Combination, seed: int = 0, **options):
    return sample_scene(np.random.default_rng(seed), list(what), **options)


def test_the_same_seed_gives_the_same_bytes():
    first, again = (render_scene(scene_of(Combination("star", "blue", "growing")), 64, 8) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_and_outlines_tell_the_same_story(shape):
    scene = render_scene(scene_of(Combination(shape, "red", "left to right")), 64, 4)
    for mask, outline in zip(scene.masks, scene.outlines[:, 0].astype(float), strict=True):
        x, y = outline.T
        signed = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
        assert signed > 0, "with y down a positive area is clockwise to the eye"
        assert (mask == 1).mean() == pytest.approx(signed, rel=0.06)


def test_an_outline_is_even_by_arc_length_and_starts_at_its_top():
    for shape, motion in itertools.product(SHAPES, MOTIONS):
        outlines = render_scene(scene_of(Combination(shape, "green", motion)), 32, 3).outlines[:, 0]
        steps = np.linalg.norm(np.diff(outlines, axis=1, append=outlines[:, :1]), axis=-1)
        assert (steps.max(1) < 1.05 * np.median(steps, 1)).all()
        assert ((outlines @ np.array(START_DIRECTION)).argmax(1) == 0).all()


@pytest.mark.parametrize("combination", combinations()[::7])
def test_the_action_is_inside_the_frame(combination):
    for seed in range(5):
        outlines = render_scene(scene_of(combination, seed=seed), 16, 9).outlines
        assert outlines.min() > 0
        assert outlines.max() < 1


def test_motions_are_what_they_are_called():
    def path(motion):
        outlines = render_scene(scene_of(Combination("circle", "red", motion)), 16, 9).outlines[:, 0]
        return outlines.mean(1), np.ptp(outlines, axis=1).mean(-1)

    (across, _), (down, _), (grown, width), (round_, _) = map(path, (MOTIONS[0], MOTIONS[2], "growing", "in a circle"))
    assert (np.diff(across[:, 0]) > 0).all()
    assert (np.diff(down[:, 1]) > 0).all()
    assert (np.diff(width) > 0).all()
    np.testing.assert_allclose(grown, grown[:1].repeat(9, 0), atol=1e-3)
    np.testing.assert_allclose(round_[0], round_[-1], atol=1e-3)
    assert np.ptp(round_, axis=0).min() > 0.25


def test_colours_are_what_they_are_called():
    strongest = {"red": {0}, "green": {1}, "blue": {2}, "yellow": {0, 1}, "purple": {0, 2}, "cyan": {1, 2}}
    for colour in COLOURS:
        scene = render_scene(scene_of(Combination("square", colour, "growing")), 32, 2)
        mean = scene.frames[scene.masks == 1].astype(float).mean(0)
        assert {int(c) for c in np.flatnonzero(mean > 0.6 * mean.max())} == strongest[colour]


def test_held_out_combinations_hide_no_pair_of_attributes():
    out = held_out(36, seed=3)
    assert len(out) == 36
    shown = set(combinations()) - out
    for first, second in itertools.combinations(range(3), 2):
        assert len({(c[first], c[second]) for c in shown}) == 36
        assert len({(c[first], c[second]) for c in out}) == 36
    assert out != held_out(36, seed=4)


def test_captions_vary_and_are_true():
    rng = np.random.default_rng(0)
    scene = scene_of(Combination("heart", "cyan", "in a circle"))
    captions = {caption_of(scene, rng) for _ in range(40)}
    assert len(captions) > 4
    assert all("cyan heart" in c and "circl" in c for c in captions)


def test_two_objects_and_moving_ground():
    scene = scene_of(
        Combination("star", "blue", "growing"), Combination("square", "red", "left to right"), moving_background=True
    )
    rendered = render_scene(scene, 64, 6)
    assert rendered.outlines.shape == (6, 2, 128, 2)
    assert set(np.unique(rendered.masks)) == {0, 1, 2}
    assert scene.combination is None
    still = scene_of(Combination("star", "blue", "growing"))
    assert not still.background_velocity[0]
    ground = rendered.frames[:, :4, :4].astype(float)
    assert np.abs(ground[0] - ground[-1]).mean() > 0.5, "the ground stands still"
