"""Lottie documents, rendered by rlottie: no code of the project draws here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rlottie_python import LottieAnimation
from scipy.spatial import cKDTree

from sketch2video.curves import CurveSequence, Equation
from sketch2video.curves.exports.lottie import to_lottie

ZOOM = 8
WIDTH, HEIGHT = 160, 90


def clip(frames: int = 6, colours: np.ndarray | None = None) -> Equation:
    """Two strokes that move and change; the first is born at frame 2, the second dies at frame 4 and comes back."""
    rng = np.random.default_rng(0)
    ends = rng.normal(0, 0.12, (2, 2, 2, 10)) / (1 + np.arange(10))
    ends[..., 0] = rng.uniform((0.3, 0.2), (0.7, 0.4), (2, 2, 2))
    share = np.linspace(0, 1, frames)[:, None, None, None]
    visibility = np.ones((frames, 2))
    visibility[:2, 0] = 0
    visibility[4:5, 1] = 0
    return Equation(
        CurveSequence(ends[0] * (1 - share) + ends[1] * share, visibility), HEIGHT, WIDTH, 12.5, colours=colours
    )


def rendered(text: str, frame: int) -> np.ndarray:
    """(height, width, 4) of a frame, magnified."""
    animation = LottieAnimation.from_data(text)
    return np.asarray(animation.render_pillow_frame(frame_num=frame, width=ZOOM * WIDTH, height=ZOOM * HEIGHT))


def check(picture: np.ndarray, points: np.ndarray) -> None:
    """Lines of a quarter of a pixel lie on points (n, 2) in px, and all points have a line."""
    rows, columns = np.nonzero(picture[..., 3] > 127)
    inked = (np.stack([columns, rows], 1) + 0.5) / ZOOM
    inside = (points > 0).all(1) & (points < (WIDTH, HEIGHT)).all(1)
    assert cKDTree(points).query(inked)[0].max() < 0.5
    assert cKDTree(inked).query(points[inside])[0].max() < 0.5


def test_a_renderer_shows_each_frame_on_the_drawing() -> None:
    equation = clip()
    text = to_lottie(equation, 0.25)
    animation = LottieAnimation.from_data(text)
    assert animation.lottie_animation_get_size() == (WIDTH, HEIGHT)
    assert animation.lottie_animation_get_duration() == pytest.approx(6 / 12.5)
    assert animation.lottie_animation_get_framerate() == pytest.approx(12.5)
    for frame, shown in enumerate(equation.curves.visible):
        if frame == 4:
            continue  # rlottie shows a layer at its out point, too, where stroke 1 is hidden; players do not
        points = equation.curves.points(2000)[frame][shown].reshape(-1, 2) * WIDTH
        check(rendered(text, frame), points)


def test_it_moves_linearly_between_frames() -> None:
    curves = clip().curves
    slow = Equation(CurveSequence(curves.coefficients[[2, 3]], np.ones((2, 2))), HEIGHT, WIDTH, 1.0)
    document = json.loads(to_lottie(slow, 0.25))
    document["op"] = 10
    for layer in document["layers"]:
        layer["op"] = 10
        layer["shapes"][0]["it"][0]["ks"]["k"][1]["t"] = 8
    middle = slow.curves.points(2000).mean(0).reshape(-1, 2) * WIDTH
    check(rendered(json.dumps(document), 4), middle)


def test_a_still_picture_is_one_frame() -> None:
    still = clip().only(3)
    text = to_lottie(still, 0.25)
    check(rendered(text, 0), still.curves.points(2000)[0].reshape(-1, 2) * WIDTH)
    assert json.loads(text)["op"] == 1


def test_strokes_have_their_colours() -> None:
    colours = np.array([[250, 10, 20], [10, 60, 200]], np.uint8)
    picture = rendered(to_lottie(clip(colours=colours), 3.0), 3)
    seen = {tuple(pixel) for pixel in picture[picture[..., 3] == 255][:, :3].tolist()}
    for colour in colours.tolist():
        assert min(max(abs(a - b) for a, b in zip(colour, other, strict=True)) for other in seen) <= 1


def test_a_drawing_without_strokes_is_a_document() -> None:
    blank = Equation(CurveSequence(np.zeros((2, 1, 2, 4)), np.zeros((2, 1))), 10, 20, 5.0)
    assert json.loads(to_lottie(blank, 1.0))["layers"] == []
