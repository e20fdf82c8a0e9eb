from functools import partial

import cv2
import numpy as np
import pytest

from sketch2video.curves.exports.picture import equation_of
from sketch2video.errors import UserError
from sketch2video.media.writing import write_gif, write_video
from sketch2video.sketches import extract_sketches

SIZES = [(1920, 1080), (1080, 1920), (1000, 333), (64, 64), (8, 8)]


def ring(width, height, thickness, at=(0.4, 0.5)):
    """A circle on paper, and its centre and radius in px."""
    centre, radius = (round(at[0] * width), round(at[1] * height)), round(0.3 * min(width, height))
    picture = np.full((height, width, 3), 255, np.uint8)
    cv2.circle(picture, centre, radius, (60, 20, 20), thickness)
    return picture, np.array(centre) + 0.5, radius


def check_ring(equation, frame, centre, radius, tolerance):
    """One stroke, and its greatest distance from the circle in px."""
    shown = equation.curves.visible[frame]
    assert shown.sum() == 1
    points = equation.curves.points(200)[frame][shown][0] * equation.width
    assert np.abs(np.hypot(*(points - centre).T) - radius).max() < tolerance


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_line_drawing_of_any_size_and_aspect(tmp_path, width, height):
    picture, centre, radius = ring(width, height, max(min(width, height) // 200, 1))
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    equation = equation_of(tmp_path / "a.png", frames=16, size=256)
    assert (equation.width, equation.height, equation.fps, len(equation.curves)) == (width, height, None, 1)
    check_ring(equation, 0, centre, radius, max(1.0, 0.003 * max(width, height)))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_photograph_of_any_size_and_aspect(tmp_path, width, height):
    picture, centre, radius = ring(width, height, cv2.FILLED)
    lit = 90.0 + 50 * np.linspace(0, 1, width)[:, None] + np.random.default_rng(0).normal(0, 5, picture.shape)
    lit[picture[..., 0] < 255] += (90, -50, -50)
    cv2.imwrite(str(tmp_path / "a.png"), lit.clip(0, 255).astype(np.uint8))
    equation = equation_of(tmp_path / "a.png", frames=16, size=256)
    assert (equation.width, equation.height) == (width, height)
    check_ring(equation, 0, centre, radius + 0.5, max(1.5, 0.005 * max(width, height)))


def test_a_size_that_rounds_the_aspect_does_not_move_the_lines(tmp_path):
    picture, centre, _ = ring(1000, 333, cv2.FILLED, (0.5, 0.5))
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    equation = equation_of(tmp_path / "a.png", frames=16, size=32)  # 10.66 px high, rounded to 11
    points = equation.curves.points(200)[equation.curves.visible][0] * 1000
    # Where 10.66 px were taken for 11, the middle would be off by 5 px of the picture along y.
    assert abs((points[:, 1].min() + points[:, 1].max()) / 2 - centre[1]) < 2


@pytest.mark.parametrize("filled", [False, True])
def test_a_wide_clip_moves_in_its_own_aspect(tmp_path, filled):
    places = np.linspace(0.3, 0.7, 9)
    drawn = [ring(640, 272, cv2.FILLED if filled else 3, (x, 0.5)) for x in places]
    write_video(tmp_path / "a.mp4", np.stack([picture for picture, *_ in drawn]), 10)
    equation = equation_of(tmp_path / "a.mp4", frames=5, size=256)
    assert (equation.width, equation.height, len(equation.curves)) == (640, 272, 5)
    assert equation.fps == pytest.approx(5.0)
    for frame, (_, centre, radius) in enumerate(drawn[::2]):
        check_ring(equation, frame, centre, radius, 4.0)


def test_a_gif_of_one_picture_stands_still(tmp_path):
    picture, centre, radius = ring(200, 100, 2)
    write_gif(tmp_path / "a.gif", picture[None], 10)
    equation = equation_of(tmp_path / "a.gif", frames=16, size=256)
    assert (len(equation.curves), equation.fps) == (1, None)
    check_ring(equation, 0, centre, radius, 1.5)


def test_settings_of_sketch_and_fit_are_heard(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), ring(200, 100, cv2.FILLED)[0])
    fitted = equation_of(tmp_path / "a.png", 16, 256, fit={"budget": 20, "strokes": 2})
    assert fitted.curves.num_parameters <= 20
    assert fitted.curves.visibility.shape[1] == 1  # slots that nothing uses are left out
    with pytest.raises(UserError, match="shows no lines"):
        equation_of(tmp_path / "a.png", 16, 256, partial(extract_sketches, min_length=5.0))
    with pytest.raises(UserError, match="budget of 9"):
        equation_of(tmp_path / "a.png", 16, 256, fit={"budget": 9})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", None, "a.png is missing"),
        ("a.mp4", None, "a.mp4 is missing"),
        ("a.png", b"no image", "cannot be read as an image"),
        ("a.txt", b"no image", "cannot be read as an image"),
        ("a.mp4", b"no video", "cannot be opened as a video"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_users_mistake(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        equation_of(tmp_path / name, 16, 256)


def test_an_empty_sheet_is_a_users_mistake(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 90, 3), 250, np.uint8))
    with pytest.raises(UserError, match="shows no lines"):
        equation_of(tmp_path / "a.png", 16, 256)
