from __future__ import annotations

import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sketch2video.curves import CurveSequence, Equation, to_animated_svg, to_json
from sketch2video.curves.fitting.series import project
from sketch2video.errors import UserError
from sketch2video.generation.prompt_drawings import Drawing, load_drawing, load_still
from sketch2video.media.writing import write_gif, write_video
from sketch2video.params import Params, load_params
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.sketches import ink_of_drawing


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(Path(__file__).parents[2] / "params.yaml")


def circle_on_paper(side: int, thickness: int, centre: tuple[float, float] = (0.5, 0.4)) -> np.ndarray:
    picture = np.full((side, side, 3), 255, np.uint8)
    at = (round(centre[0] * side), round(centre[1] * side))
    return cv2.circle(picture, at, round(0.25 * side), (20, 20, 60), thickness, cv2.LINE_AA)


def check_circle(drawing: Drawing, centre: tuple[float, float] = (0.5, 0.4), radius: float = 0.25) -> None:
    """A ring of one stroke in every frame, where it was drawn; tolerance in frame widths."""
    assert (drawing.curves.visible.sum(1) == 1).all()
    points = drawing.curves.points(100)[drawing.curves.visible]
    distance = np.linalg.norm(points - centre, axis=-1)
    assert np.abs(distance - radius).max() < 0.02


@pytest.mark.parametrize("thickness", [2, 9, 30])
@pytest.mark.parametrize("kind", ["png", "transparent.png", "shaded.jpg", "chalk.png"])
def test_a_line_drawing_is_taken_as_it_is(tmp_path: Path, params: Params, kind: str, thickness: int) -> None:
    picture = circle_on_paper(700, thickness)
    if kind == "chalk.png":
        picture = 255 - picture
    if kind == "shaded.jpg":  # photographed by the light of a window
        light = np.linspace(0.75, 1, 700)[:, None] * np.linspace(0.8, 1, 700)
        noise = np.random.default_rng(0).normal(0, 2, picture.shape)
        picture = np.clip(picture * light[..., None] + noise, 0, 255).astype(np.uint8)
    if kind == "transparent.png":
        picture = np.dstack([np.zeros_like(picture), 255 - picture[..., :1]])
    path = tmp_path / f"drawing.{kind}"
    cv2.imwrite(str(path), picture)
    check_circle(load_drawing(path, 3, 64, params.sketch, params.fit))


def test_a_drawing_that_is_not_square_is_padded(tmp_path: Path, params: Params) -> None:
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), np.pad(circle_on_paper(400, 4, (0.5, 0.5)), ((0, 0), (200, 200), (0, 0)), mode="edge"))
    check_circle(load_drawing(path, 2, 64, params.sketch, params.fit), (0.5, 0.5), 0.125)


def test_an_svg_stands_still_in_its_view_box(tmp_path: Path, params: Params) -> None:
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="100 0 200 200">'
        '<g transform="translate(100 0)"><circle cx="100" cy="80" r="50"/></g></svg>'
    )
    drawing = load_drawing(tmp_path / "a.svg", 5, 64, params.sketch, params.fit)
    check_circle(drawing)
    assert len(drawing.curves) == 5
    assert drawing.fps is None


def test_an_svg_without_a_size_is_fitted_to_the_frame(tmp_path: Path, params: Params) -> None:
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><circle cx="0" cy="9" r="5000"/></svg>')
    check_circle(load_drawing(tmp_path / "a.svg", 2, 64, params.sketch, params.fit), (0.5, 0.5), 0.5 / 1.2)


def test_a_compressed_svg_that_is_too_large_is_refused(tmp_path: Path, params: Params) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="5" cy="5" r="2"/>%s</svg>'
    (tmp_path / "a.svgz").write_bytes(gzip.compress(svg % b" "))
    assert load_drawing(tmp_path / "a.svgz", 2, 64, params.sketch, params.fit).curves.num_slots == 1
    (tmp_path / "a.svgz").write_bytes(gzip.compress(svg % (b" " * 2**26)))
    with pytest.raises(UserError, match=r"a\.svgz is larger than 64 MiB; simplify the drawing"):
        load_drawing(tmp_path / "a.svgz", 2, 64, params.sketch, params.fit)


def test_curves_come_back_from_their_animated_svg(tmp_path: Path, params: Params) -> None:
    angles = np.linspace(-np.pi / 2, 3 * np.pi / 2, 200)
    circle = project(np.stack([np.cos(angles), np.sin(angles)], axis=1), 16, closed=True)
    coefficients = np.stack([0.2 * circle] * 4)[:, None]
    coefficients[:, 0, :, 0] = [[0.3, 0.3], [0.4, 0.4], [0.5, 0.5], [0.6, 0.6]]
    (tmp_path / "a.svg").write_text(to_animated_svg(CurveSequence(coefficients, np.ones((4, 1))), 8, 64, 64))
    curves = load_drawing(tmp_path / "a.svg", 4, 64, params.sketch, params.fit).curves
    assert curves.visible.sum(1).tolist() == [1, 1, 1, 1]
    assert np.allclose(curves.points(64)[curves.visible].mean(1), coefficients[:, 0, :, 0], atol=0.01)
    assert len(load_drawing(tmp_path / "a.svg", 7, 64, params.sketch, params.fit).curves) == 7


def clip(height: int, width: int) -> Equation:
    """A ring that moves to the right in the middle of a picture, and a line that is visible in the first frame only."""
    angles = np.linspace(-np.pi / 2, 3 * np.pi / 2, 200)
    circle = project(np.stack([np.cos(angles), np.sin(angles)], axis=1), 16, closed=True)
    coefficients = np.zeros((5, 2, 2, 16), np.float32)
    coefficients[:, 0] = 0.1 * circle
    coefficients[:, 0, :, 0] = [[0.3 + 0.1 * t, height / width / 2] for t in range(5)]
    coefficients[0, 1, :, :2] = [[0.5, 0.1], [0.1, 0.0]]
    visibility = np.array([[1, t == 0] for t in range(5)], np.float32)
    return Equation(CurveSequence(coefficients, visibility), height, width, 6.0)


@pytest.mark.parametrize("name", ["a.json", "a.png", "a"])  # the content counts
def test_an_equation_is_used_as_it_is(tmp_path: Path, name: str) -> None:
    equation = clip(64, 64)
    (tmp_path / name).write_text("\ufeff" + to_json(equation))
    drawing = load_drawing(tmp_path / name, 5, 64)
    assert np.array_equal(drawing.curves.coefficients, equation.curves.coefficients)
    assert np.array_equal(drawing.curves.visibility, equation.curves.visibility)
    assert drawing.fps == 6.0
    assert len(load_drawing(tmp_path / name, 9, 64).curves) == 9


@pytest.mark.parametrize(("height", "width"), [(100, 300), (300, 100)])
def test_an_equation_that_is_not_square_is_padded_as_its_picture_is(tmp_path: Path, height: int, width: int) -> None:
    equation = clip(height, width)
    (tmp_path / "a.json").write_text(to_json(equation))
    ink = equation.curves.render(height, width)
    above, left = (max(height, width) - height) // 2, (max(height, width) - width) // 2
    padded = np.pad(ink, ((0, 0), (above, above), (left, left)))
    drawn = load_drawing(tmp_path / "a.json", 5, 64).curves.render(300, 300)
    assert drawn.shape == padded.shape
    assert np.abs(drawn.astype(int) - padded).mean() < 0.05


@pytest.mark.parametrize(
    "text", ["{}", '{"format": "x"}', "{", to_json(clip(8, 8)).replace('"visibility": 1.0', '"visibility": 0')]
)
def test_what_is_no_equation_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json"):
        load_drawing(tmp_path / "a.json", 5, 64)


@pytest.mark.parametrize("ending", ["png", "gif", "svg", "json"])
def test_the_drawing_of_a_frame_is_one_frame_of_curves(tmp_path: Path, params: Params, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "svg":
        path.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 50 50"><circle cx="25" cy="20" r="12.5"/></svg>'
        )
    elif ending == "json":
        path.write_text(to_json(clip(64, 64).only(2)))
    else:
        Image.fromarray(circle_on_paper(300, 3)).save(path)
    curves = load_still(path, 3, 64, params.sketch, params.fit)
    assert len(curves) == 1
    if ending == "json":
        np.testing.assert_array_equal(curves.coefficients[0], clip(64, 64).curves.coefficients[2])
    else:
        check_circle(Drawing(curves, None))


@pytest.mark.parametrize("ending", ["mp4", "gif", "svg", "json"])
def test_a_frame_has_no_frames(tmp_path: Path, params: Params, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "svg":
        path.write_text(to_animated_svg(clip(64, 64).curves, 8, 64, 64))
    elif ending == "json":
        path.write_text(to_json(clip(64, 64)))
    else:
        frames = np.stack([circle_on_paper(100, 2, (x, 0.5)) for x in (0.3, 0.5, 0.7)])
        (write_gif if ending == "gif" else write_video)(path, frames, 10)
    with pytest.raises(UserError, match=rf"a\.{ending} (is a video|has 5 frames), and a key frame is"):
        load_still(path, 3, 64, params.sketch, params.fit)


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_drawn_video_moves(tmp_path: Path, params: Params, ending: str) -> None:
    frames = np.stack([circle_on_paper(200, 3, (x, 0.5)) for x in np.linspace(0.3, 0.7, 9)])
    (write_gif if ending == "gif" else write_video)(tmp_path / f"a.{ending}", frames, 10)
    drawing = load_drawing(tmp_path / f"a.{ending}", 5, 64, params.sketch, params.fit)
    centres = drawing.curves.points(64)[drawing.curves.visible].mean(1)
    assert np.allclose(centres[:, 0], np.linspace(0.3, 0.7, 5), atol=0.015)
    assert drawing.fps == pytest.approx(5.0)  # 5 frames from the first to the last of 9 at 10 a second


def test_of_a_scene_the_lines_are_extracted(tmp_path: Path, params: Params) -> None:
    scene = sample_scene(np.random.default_rng(3), [Combination("square", "red", "left to right")])
    rendered = render_scene(scene, 64, 8)
    assert ink_of_drawing(rendered.frames[0]) is None
    write_video(tmp_path / "scene.mp4", rendered.frames, 8)
    drawing = load_drawing(tmp_path / "scene.mp4", 8, 64, params.sketch, params.fit)
    for points, shown, outline in zip(
        drawing.curves.points(100), drawing.curves.visible, rendered.outlines[:, 0], strict=True
    ):
        gaps = np.linalg.norm(points[shown].reshape(-1, 1, 2) - outline, axis=-1).min(0)
        assert np.median(gaps) < 0.03


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.svg", b"<svg", "as an SVG"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><text>x</text></svg>', "no paths"),
        ("a.png", b"not an image", "as an image"),
        ("a.mp4", b"not a video", "cannot be opened as a video"),
    ],
)
def test_a_damaged_file_is_a_users_mistake(
    tmp_path: Path, params: Params, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_drawing(tmp_path / name, 4, 64, params.sketch, params.fit)


def test_an_empty_sheet_is_a_users_mistake(tmp_path: Path, params: Params) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((100, 100, 3), 250, np.uint8))
    with pytest.raises(UserError, match="shows no lines"):
        load_drawing(tmp_path / "empty.png", 4, 64, params.sketch, params.fit)
