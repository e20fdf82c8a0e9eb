import json
import math

import numpy as np
import pytest

from sketch2video.curves import (
    ClipEquation,
    CurveSequence,
    MovingEquation,
    MovingStroke,
    clip_from_json,
    clip_to_json,
    fit_clip,
    from_json,
    to_json,
)
from sketch2video.errors import UserError


def equation(fps=12.5):
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.1, (6, 3, 2, 5)) + np.linspace(0, 1, 6)[:, None, None, None]
    visibility = np.ones((6, 3))
    visibility[:2, 1] = visibility[4:, 2] = 0
    clip = fit_clip(CurveSequence(coefficients, visibility), tolerance=0.05)
    return MovingEquation(clip, height=1080, width=1920, fps=fps)


@pytest.mark.parametrize("fps", [12.5, None])
def test_json_gives_back_every_bit(fps):
    before = equation(fps)
    after = clip_from_json(clip_to_json(before))
    assert (after.height, after.width, after.fps, after.clip.frames) == (1080, 1920, fps, 6)
    assert after.clip.num_parameters == before.clip.num_parameters
    for one, other in zip(after.clip.strokes, before.clip.strokes, strict=True):
        assert (one.birth, one.death, one.limits) == (other.birth, other.death, other.limits)
        np.testing.assert_array_equal(one.coefficients, other.coefficients)


def test_json_is_read_without_this_project():
    before = equation()
    document = json.loads(clip_to_json(before))
    time = 0.6
    drawn = before.clip.at(np.array([time]))
    alive = [stroke for stroke in document["strokes"] if stroke["birth"] <= time < stroke["death"]]
    assert len(alive) == drawn.visible.sum() == 3
    points = sorted(drawn.points(5)[0].tolist())
    expected = []
    for stroke in alive:
        t = (time - stroke["birth"]) / (stroke["death"] - stroke["birth"])
        functions = [1, t, *(math.sin(m * math.pi * t) for m in range(1, len(stroke["x"])))]
        expected.append(
            [
                [
                    sum(
                        a * math.cos(k * math.pi * j / 4) * functions[m]
                        for m, row in enumerate(stroke[axis])
                        for k, a in enumerate(row)
                    )
                    for axis in "xy"
                ]
                for j in range(5)
            ]
        )
    np.testing.assert_allclose(points, sorted(expected), atol=1e-5)


def test_json_holds_as_many_numbers_as_are_counted():
    before = equation()
    strokes = json.loads(clip_to_json(before))["strokes"]
    coefficients = sum(len(row) for stroke in strokes for axis in "xy" for row in stroke[axis])
    limits = sum(len(stroke["x"]) for stroke in strokes)
    assert before.clip.num_parameters == coefficients + limits + 3 * len(strokes)


def test_a_clip_without_strokes_and_a_stroke_without_numbers_are_read_again():
    empty = MovingEquation(ClipEquation((), 4), 9, 16)
    assert clip_from_json(clip_to_json(empty)).clip.strokes == ()
    corner = MovingEquation(ClipEquation((MovingStroke(0, 1, np.zeros((1, 2, 1))),), 4), 9, 16)
    (stroke,) = clip_from_json(clip_to_json(corner)).clip.strokes
    assert not stroke.coefficients.any()


def test_a_clip_is_sampled_at_any_rate_of_the_same_duration():
    before = equation()
    slow = before.sampled(60)
    assert (len(slow.curves), slow.fps, slow.height, slow.width) == (60, 125.0, 1080, 1920)
    assert from_json(to_json(before.sampled())).fps == 12.5
    assert equation(None).sampled(60).fps is None
    assert (
        before.summary() == f"{before.clip.num_parameters} numbers stand for a clip of 6 frames of 1920 x 1080 pixels"
    )


def changed(**changes):
    return json.dumps(json.loads(clip_to_json(equation())) | changes)


def with_stroke(**changes):
    stroke = {"birth": 0.0, "death": 1.0, "x": [[0.5, 0.1], [0.1]], "y": [[0.5, 0.1], [0.1]]}
    return changed(strokes=[stroke | changes])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "JSON"),
        ("[]", "object"),
        (clip_to_json(equation())[:-40], "JSON"),
        (to_json(equation().sampled()), "format"),
        (changed(width=0), "width"),
        (changed(frames=0), "frames"),
        (changed(fps=-1.0), "fps"),
        (changed(colour="red"), "colour"),
        (with_stroke(birth=-0.5), "strokes.0.birth"),
        (with_stroke(birth=0.5, death=0.5), "strokes.0: a stroke must live"),
        (with_stroke(x=[]), "strokes.0.x"),
        (with_stroke(x=[[0.5, 0.1]]), "strokes.0: the lists of x and y"),
        (with_stroke(x=[[0.5], [0.1, 0.1]], y=[[0.5], [0.1, 0.1]]), "strokes.0: a list is longer"),
        (with_stroke(x=[[0.5, "a"], [0.1]]), "strokes.0.x.0.1"),
        (with_stroke(x=[[0.5, float("nan")], [0.1]]), "strokes.0.x.0.1"),
        (with_stroke(x=[[0.5, 1e300], [0.1]]), "strokes.0.x.0.1"),
        (with_stroke(x=[[0.1] * 5000], y=[[0.1] * 5000]), "strokes.0.x.0"),
        (changed(strokes=json.loads(clip_to_json(equation()))["strokes"][::-1]), "order of their births"),
    ],
)
def test_what_is_wrong_with_json_is_named_in_one_line(text, named):
    with pytest.raises(UserError) as caught:
        clip_from_json(text, "a.json")
    assert str(caught.value).startswith("a.json: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_document_does_not_take_a_lot_of_memory():
    rows = [[0.1] * 4096, *[[]] * 4000]
    text = changed(strokes=[{"birth": 0.0, "death": 1.0, "x": rows, "y": rows}] * 2)
    with pytest.raises(UserError, match="simplify"):
        clip_from_json(text)
