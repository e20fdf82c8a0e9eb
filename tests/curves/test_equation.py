import json
from dataclasses import replace

import numpy as np
import pytest

from sketch2video.curves import CurveSequence, Equation, from_json, to_json
from sketch2video.errors import UserError


def clip(fps=12.5):
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.3, (3, 4, 2, 8)).astype(np.float32)
    coefficients[1, 2] = 0
    coefficients[..., 5:] *= rng.random((3, 4, 2, 1)) < 0.5
    visibility = rng.random((3, 4)).astype(np.float32)
    return Equation(CurveSequence(coefficients, visibility), height=1080, width=1920, fps=fps)


@pytest.mark.parametrize("fps", [12.5, None])
def test_json_gives_back_every_bit(fps):
    before = clip(fps)
    after = from_json(to_json(before))
    assert np.array_equal(after.curves.coefficients, before.curves.coefficients)
    assert np.array_equal(after.curves.visibility, before.curves.visibility)
    assert (after.height, after.width, after.fps) == (1080, 1920, fps)


def test_json_keeps_colours_and_they_count():
    colours = np.random.default_rng(1).integers(0, 256, (4, 3), np.uint8)
    before = replace(clip(), colours=colours)
    assert np.array_equal(from_json(to_json(before)).colours, colours)
    assert json.loads(to_json(before))["colours"] == colours.tolist()
    assert "colours" not in json.loads(to_json(clip()))
    assert before.num_parameters == clip().num_parameters + 12
    assert np.array_equal(before.only(0).colours, colours)
    assert before.css_colour(0) == "#{:02x}{:02x}{:02x}".format(*colours[0].tolist())


def test_json_is_read_without_this_project():
    before = clip()
    document = json.loads(to_json(before))
    assert (document["width"], document["height"], document["fps"], document["harmonics"]) == (1920, 1080, 12.5, 8)
    u = np.linspace(0, 1, 50)
    for strokes, expected, visible in zip(
        document["frames"], before.curves.points(50), before.curves.visible, strict=True
    ):
        assert [stroke["visibility"] > 0.5 for stroke in strokes] == visible.tolist()
        for stroke, points in zip(strokes, expected, strict=True):
            for axis, name in enumerate("xy"):
                value = sum(a * np.cos(k * np.pi * u) for k, a in enumerate(stroke[name]))
                assert np.allclose(value, points[:, axis], atol=1e-6)


def changed(**changes):
    return json.dumps(json.loads(to_json(clip())) | changes)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "JSON"),
        ("[]", "object"),
        (to_json(clip())[:-40], "JSON"),
        (changed(format="other/1"), "format"),
        (changed(width=0), "width"),
        (changed(fps=-1.0), "fps"),
        (changed(colour="red"), "colour"),
        (changed(frames=[]), "frames"),
        (changed(colours=[[0, 0, 0]]), "colours: 1 colours, but there are 4 strokes"),
        (changed(colours=[[0, 0, 256]] * 4), "colours.0.2"),
        (changed(colours=[[0, 0]] * 4), "colours.0"),
        (changed(frames=[[{"visibility": 1.0, "x": [1.0, "a"], "y": []}]]), "frames.0.0.x.1"),
        (changed(frames=[[{"visibility": 1.0, "x": [float("nan")], "y": []}]]), "frames.0.0.x.0"),
        (changed(frames=[[{"visibility": 1.0, "x": [1e300], "y": []}]]), "frames.0.0.x.0"),
        (changed(frames=[[{"visibility": 1.0, "x": [0.5] * 9, "y": []}]]), "frames.0.0: 9 numbers"),
        (changed(frames=[[{"visibility": 1.0, "x": [], "y": []}], []]), "frames.1: 0 strokes"),
    ],
)
def test_what_is_wrong_with_json_is_named_in_one_line(text, named):
    with pytest.raises(UserError) as caught:
        from_json(text, "a.json")
    assert str(caught.value).startswith("a.json: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_frame_of_a_clip_stands_still():
    before = Equation(CurveSequence(clip().curves.coefficients, np.array([[1] * 4, [0] * 4, [1, 0, 0, 0]])), 9, 16, 2.0)
    after = before.only(2)
    assert np.array_equal(after.curves.coefficients, before.curves.coefficients[2:])
    assert (after.height, after.width, after.fps) == (9, 16, None)
    with pytest.raises(UserError, match="no frame 3; the frames are 0 to 2"):
        before.only(3)
    with pytest.raises(UserError, match="no frame -1"):
        before.only(-1)
    with pytest.raises(UserError, match="frame 1 shows no lines"):
        before.only(1)


def test_the_summary_counts_numbers_and_pixels():
    coefficients = np.zeros((1, 2, 2, 8))
    coefficients[0, 0, :, :3] = 0.1
    still = Equation(CurveSequence(coefficients, np.array([[1, 0]])), 1080, 1920)
    assert still.summary() == "8 numbers stand for 1920 x 1080 = 2073600 pixels"
    assert "3 frames" in clip().summary()
