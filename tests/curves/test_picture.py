import io
from functools import partial

import cv2
import numpy as np
import pytest
import resvg_py
from PIL import Image

from sketch2video.curves import to_animated_svg, to_json
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


RING = """<svg xmlns="http://www.w3.org/2000/svg" {page}>
<rect width="100%" height="100%" fill="#eee"/>
<g transform="translate(30 20) rotate(30) scale(2 -2)" style="transform-origin: 0 0">
<circle id="c" r="5" fill="none" stroke="#c02040" stroke-width="1.5" transform="matrix(.8 .6 -.6 .8 0 0)"/></g></svg>"""


@pytest.mark.parametrize(
    ("page", "width", "height", "zoom"),
    [
        ('viewBox="0 0 60 40"', 512, 341, 512 / 60),
        ('width="1200" height="800" viewBox="0 0 60 40"', 1200, 800, 20),
        ('width="4in" height="20cm" viewBox="0 0 60 40"', 384, 756, 6.4),
    ],
)
def test_an_svg_with_transforms_lies_where_a_browser_shows_it(tmp_path, page, width, height, zoom):
    (tmp_path / "a.svg").write_text(RING.format(page=page))
    equation = equation_of(tmp_path / "a.svg", 16, 256, colour=True)
    assert (equation.width, equation.height) == (width, height)
    shown = np.asarray(
        Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=RING.format(page=page), dpi=96.0))).convert("RGB")
    )
    rows, columns = np.nonzero(np.abs(shown.astype(int) - (192, 32, 64)).max(-1) < 60)
    centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) * width / shown.shape[1]
    check_ring(equation, 0, centre, 10 * zoom, 0.004 * max(width, height))
    assert np.abs(equation.colours[0].astype(int) - (192, 32, 64)).max() <= 2


def test_a_drawing_of_frames_moves(tmp_path):
    write_gif(tmp_path / "a.gif", np.stack([ring(200, 100, 2, (x, 0.5))[0] for x in (0.3, 0.4, 0.5)]), 10)
    moving = equation_of(tmp_path / "a.gif", frames=3, size=256)
    (tmp_path / "b.svg").write_text(to_animated_svg(moving.curves, 10, 100, 200))
    again = equation_of(tmp_path / "b.svg", frames=3, size=256)
    assert len(again.curves) == 3
    places = [again.curves.coefficients[t, again.curves.visible[t], 0, 0].mean() for t in range(3)]
    assert np.allclose(places, [0.3, 0.4, 0.5], atol=0.02)


def test_an_equation_is_written_in_other_formats(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), ring(200, 100, 2)[0])
    equation = equation_of(tmp_path / "a.png", 16, 256, colour=True)
    (tmp_path / "b").write_text(to_json(equation))
    again = equation_of(tmp_path / "b", 16, 256, colour=True)
    assert np.array_equal(again.curves.coefficients, equation.curves.coefficients)
    assert np.array_equal(again.colours, equation.colours)
    (tmp_path / "c.json").write_text(to_json(equation_of(tmp_path / "a.png", 16, 256)))
    with pytest.raises(UserError, match=r"c\.json has no colours"):
        equation_of(tmp_path / "c.json", 16, 256, colour=True)


def test_white_lines_on_transparent_ground(tmp_path):
    picture, centre, radius = ring(200, 100, 3)
    layer = np.dstack([np.full_like(picture, 255), 255 - picture[..., 1]])
    Image.fromarray(layer).save(tmp_path / "a.png")
    check_ring(equation_of(tmp_path / "a.png", 16, 256), 0, centre, radius, 1.0)


@pytest.mark.parametrize("kind", ["drawing", "photograph", "clip", "large"])
def test_strokes_have_the_colour_under_them(tmp_path, kind):
    colours = np.array([(200, 30, 40), (20, 60, 190)])
    ground = (230, 230, 225) if kind != "photograph" else (90, 130, 90)
    size = 8 if kind == "large" else 1
    picture = np.full((180 * size, 320 * size, 3), ground, np.uint8)
    for x, colour in zip((90, 230), colours.tolist(), strict=True):
        thickness = cv2.FILLED if kind == "photograph" else 3 if kind != "large" else 2
        cv2.circle(picture, (x * size, 90 * size), 50 * size, colour, thickness, cv2.LINE_AA)
    if kind == "clip":
        write_video(tmp_path / "a.mp4", np.stack([np.roll(picture, 3 * i, axis=1) for i in range(5)]), 10)
    else:
        Image.fromarray(picture).save(tmp_path / "a.png")
    equation = equation_of(tmp_path / ("a.mp4" if kind == "clip" else "a.png"), 5, 160, colour=True)
    order = np.argsort(equation.curves.coefficients[0, :, 0, 0])
    tolerance = {"clip": 40, "photograph": 30}.get(kind, 3)  # chroma is subsampled, edges are blurred
    assert np.abs(equation.colours[order].astype(int) - colours).max() <= tolerance
    assert equation.num_parameters == equation.curves.num_parameters + 6


def test_colours_are_part_of_the_budget(tmp_path):
    rng = np.random.default_rng(0)
    picture = np.full((300, 400, 3), 255, np.uint8)
    for _ in range(25):
        line = rng.integers(10, 290, (2, 2)).tolist()
        cv2.line(picture, *line, rng.integers(0, 150, 3).tolist(), 2, cv2.LINE_AA)
    Image.fromarray(picture).save(tmp_path / "a.png")
    without = equation_of(tmp_path / "a.png", 5, 160)
    for budget in (None, 200, 130):
        equation = equation_of(tmp_path / "a.png", 5, 160, fit={"budget": budget} if budget else None, colour=True)
        assert len(equation.colours) == equation.curves.visibility.shape[1]
        assert equation.num_parameters <= (budget or 299)
    assert without.num_parameters + 3 * without.curves.num_slots > 299


def test_a_gif_of_few_frames_is_not_read_twice(tmp_path):
    write_gif(tmp_path / "a.gif", np.stack([ring(200, 100, 2, (x, 0.5))[0] for x in (0.3, 0.4, 0.5, 0.6)]), 10)
    equation = equation_of(tmp_path / "a.gif", frames=16, size=256)
    assert (len(equation.curves), equation.fps) == (4, pytest.approx(10))


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
