"""`sketch2video equation` as a user types it, in a folder that is no project's unless a test makes it one."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer.main
from PIL import Image
from scipy.spatial import cKDTree
from svgpathtools import parse_path
from typer.testing import CliRunner

from sketch2video.cli import app
from sketch2video.curves.exports.writers import FORMATS, format_of
from sketch2video.errors import UserError
from sketch2video.media.codec import read_clip
from sketch2video.media.writing import write_video
from tests.curves.graphing import graph_clip_desmos, graph_clip_latex, graph_desmos, graph_latex

WIDTH, HEIGHT = 320, 180
PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A house on paper, and a clip of a ring that rolls: their folder."""
    folder = tmp_path_factory.mktemp("drawn")
    house = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    corners = np.array([[90, 160], [90, 80], [160, 30], [230, 80], [230, 160]])
    cv2.polylines(house, [corners], True, (30, 30, 30), 2, cv2.LINE_AA)
    cv2.circle(house, (40, 40), 20, (30, 30, 30), 2, cv2.LINE_AA)
    cv2.imwrite(str(folder / "house.png"), house)
    ground = np.full((9, HEIGHT, WIDTH, 3), (90, 130, 90), np.uint8)
    for picture, x in zip(ground, np.linspace(90, 230, 9), strict=True):
        cv2.circle(picture, (round(x), 90), 45, (210, 60, 60), cv2.FILLED, cv2.LINE_AA)
    write_video(folder / "ring.mp4", ground, 8)
    return folder


@pytest.fixture
def run(drawn, tmp_path, monkeypatch):
    """Run the command beside copies of the files, where there is no params.yaml."""
    for file in drawn.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        answer = CliRunner().invoke(app, ["equation", *arguments])
        if isinstance(answer.exception, Exception):
            raise answer.exception
        assert answer.exit_code == 0, answer.output
        assert "numbers" in answer.stderr
        assert f"{WIDTH} x {HEIGHT} " in answer.stderr
        return answer.stdout

    return command


def lines_of_house():
    """The middles of the house's lines, drawn once more: (N, 2) px."""
    corners = np.array([[90, 160], [90, 80], [160, 30], [230, 80], [230, 160], [90, 160]]) + 0.5
    sides = [a + (b - a) * np.linspace(0, 1, 200)[:, None] for a, b in pairwise(corners)]
    angle = np.linspace(0, 2 * np.pi, 200)
    return np.concatenate([*sides, 40.5 + 20 * np.stack([np.cos(angle), np.sin(angle)], 1)])


def check_house(points):
    """Curves (M, n, 2) in px lie on the lines of the house, and all of its lines have a curve."""
    assert len(points) == 2
    points = points.reshape(-1, 2)
    assert np.quantile(cKDTree(lines_of_house()).query(points)[0], 0.95) < 2
    assert np.quantile(cKDTree(points).query(lines_of_house())[0], 0.95) < 2


@pytest.mark.parametrize(("format_", "graph"), [("latex", graph_latex), ("desmos", graph_desmos)])
def test_printed_formulas_land_on_the_drawing(run, format_, graph):
    points = graph(run("house.png", "--format", format_), np.linspace(0, 1, 400)) * WIDTH
    check_house(np.stack([points[..., 0], HEIGHT - points[..., 1]], axis=-1))


def test_latex_is_what_is_printed_unasked(run):
    assert run("house.png") == run("house.png", "--format", "latex")


def test_svg_lands_on_the_drawing_and_moves_for_a_clip(run):
    document = ElementTree.fromstring(run("house.png", "--format", "svg"))
    assert document.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    paths = [parse_path(p.get("d")) for p in document.iter("{http://www.w3.org/2000/svg}path")]
    on_path = [[piece.point(t) for piece in path for t in np.linspace(0, 1, 9)] for path in paths]
    assert len(on_path) == 2
    check_house(np.array([[(p.real, p.imag) for p in np.resize(points, 600)] for points in on_path]))
    groups = [g.get("id") for g in ElementTree.fromstring(run("ring.mp4", "--format", "svg", "--frames", "4")).iter()]
    assert [g for g in groups if g] == [f"frame-{i:04d}" for i in range(4)]


def test_the_sentence_is_about_what_was_printed(run):
    cases = (
        ("desmos", "numbers stand for a clip of 3 frames of 320 x 180 pixels"),
        ("json", "numbers a frame stand for"),
        ("gcode", "numbers stand for 320 x 180"),
    )
    for format_, said in cases:
        answer = CliRunner().invoke(app, ["equation", "ring.mp4", "--format", format_, "--frames", "3"])
        assert said in answer.stderr
        assert len(answer.stderr.splitlines()) == 1


def test_json_has_all_frames_of_a_clip(run):
    document = json.loads(run("ring.mp4", "--format", "json", "--frames", "5"))
    assert (document["width"], document["height"], len(document["frames"])) == (WIDTH, HEIGHT, 5)
    assert document["fps"] == pytest.approx(4.0)
    places = [WIDTH * s["x"][0] for frame in document["frames"] for s in frame if s["visibility"] > 0.5]
    assert np.allclose(places, np.linspace(90.5, 230.5, 5), atol=3)


def test_a_frame_of_a_clip_is_chosen(run):
    t = np.linspace(0, 1, 400)
    for chosen, x in ((0, 90), (4, 230)):
        arguments = ["--frames", "5", "--frame", str(chosen)]
        points = graph_desmos(run("ring.mp4", "--format", "desmos", *arguments), t) * WIDTH
        assert np.allclose(points[0].mean(0), (x + 0.5, HEIGHT - 90.5), atol=3)
    assert len(json.loads(run("ring.mp4", "--format", "json", "--frames", "5", "--frame", "4"))["frames"]) == 1


@pytest.mark.parametrize(("format_", "graph"), [("latex", graph_clip_latex), ("desmos", graph_clip_desmos)])
def test_formulas_of_a_clip_move_with_it(run, format_, graph):
    text = run("ring.mp4", "--format", format_, "--frames", "5")
    for frame, x in enumerate(np.linspace(90, 230, 5)):
        lines = text.splitlines() if format_ == "desmos" else text
        points = graph(lines, (frame + 0.5) / 5, 400)[0] * WIDTH
        assert np.allclose(points.mean(0), (x + 0.5, HEIGHT - 90.5), atol=3)
    assert len(run("ring.mp4", "--format", format_, "--frames", "5", "--tolerance", "3")) < len(text)


WRITTEN = {
    "a.tex": b"% A clip",
    "a.desmos.html": b"<!doctype html>",
    "a.ggb": b"PK",
    "a.svg": b"<svg",
    "a.lottie.json": b'{"v":',
    "a.html": b"<!doctype html>",
    "a.json": b'{\n "format": "sketch2video.equation/1"',
    "a.clip.json": b'{\n "format": "sketch2video.equation/3"',
    "a.plot.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="120mm"',
    "a.gcode": b"; A drawing of 120.0 x 67.5 mm",
    "a.NC": b"; A drawing of 120.0 x 67.5 mm",
    "a.png": b"\x89PNG",
    "a.gif": b"GIF89a",
}


def test_every_format_has_an_ending(run):
    named = set()
    for name, begin in WRITTEN.items():
        assert run("ring.mp4", "-o", name, "--frames", "3", "--plot-size", "120") == ""
        assert Path(name).read_bytes().startswith(begin), name
        named.add(format_of(None, Path(name)).name)
    assert named == FORMATS.keys() - {"desmos"}


def test_the_documentation_shows_what_is_printed(monkeypatch):
    monkeypatch.chdir(PROJECT)
    for page, format_ in (("equation.md", "latex"), ("picture_to_desmos.md", "desmos")):
        text = (PROJECT / "docs" / page).read_text()
        (block,) = re.findall(
            r"```\n\$ sketch2video equation docs/pictures/heart_and_star\.jpg(.*?)```", text, re.DOTALL
        )
        answer = CliRunner().invoke(app, ["equation", "docs/pictures/heart_and_star.jpg", "--format", format_])
        shown = [line for line in block.splitlines()[1:] if line != "..."]
        printed = [*answer.stdout.splitlines(), *answer.stderr.splitlines()]
        for line in shown:
            begin = line.split("...")[0]
            assert any(row.startswith(begin) for row in printed), begin


def test_the_help_lists_all_formats(run):
    option = next(p for p in typer.main.get_command(app).commands["equation"].params if p.name == "format_")
    assert option.metavar == "|".join(FORMATS)


@pytest.mark.parametrize("name", [name for name, format_ in FORMATS.items() if format_.coloured])
def test_colours_are_written_where_a_format_has_them(run, name):
    run("ring.mp4", "-o", "a", "--format", name, "--frames", "3", "--colour")
    run("ring.mp4", "-o", "b", "--format", name, "--frames", "3")
    assert Path("a").read_bytes() != Path("b").read_bytes()
    if name in ("png", "gif"):
        red, green, blue = np.asarray(Image.open("a").convert("RGB")).reshape(-1, 3).astype(int).T
        assert (red - np.maximum(green, blue)).max() > 100
    elif name == "json":
        colours = json.loads(Path("a").read_text())["colours"]
        assert np.abs(np.array(colours) - (210, 60, 60)).max() < 25


def test_an_equation_as_json_is_written_in_other_formats(run):
    run("ring.mp4", "-o", "a.json", "--frames", "4", "--colour")
    assert run("a.json", "--format", "lottie", "--colour") == run(
        "ring.mp4", "--format", "lottie", "--frames", "4", "--colour"
    )
    run("ring.mp4", "-o", "a.clip.json", "--frames", "4")
    assert json.loads(run("a.clip.json", "--format", "lottie", "--frames", "9"))["op"] == 9


def test_the_pen_is_lifted_as_the_plotter_needs_it(run):
    text = run("house.png", "--format", "gcode", "--pen-up", "M5", "--pen-down", "M3 S90")
    assert text.splitlines().count("M3 S90") == 2
    assert text.splitlines().count("M5") == 3


@pytest.mark.parametrize(("ending", "frames"), [("png", 1), ("gif", 5)])
def test_a_picture_is_of_the_clips_size_and_shows_its_lines(run, ending, frames):
    assert run("ring.mp4", "-o", f"out/a.{ending}", "--frames", "5") == ""
    with Image.open(f"out/a.{ending}") as picture:
        assert picture.size == (WIDTH, HEIGHT)
        assert getattr(picture, "n_frames", 1) == frames
        for frame, x in zip(range(frames), np.linspace(90, 230, 5), strict=False):
            picture.seek(frame)
            rows, columns = np.nonzero(np.asarray(picture.convert("L")) < 128)
            away = np.hypot(columns - round(x), rows - 90) - 45
            assert len(away) > 100
            assert np.abs(away).max() < 5


@pytest.mark.parametrize("name", ["ring.m4v", "ring", "12:30:05.mp4", "ring.png"])
def test_a_clip_is_one_whatever_its_name(run, name):
    shutil.copy("ring.mp4", name)
    document = json.loads(run(name, "--format", "json", "--frames", "3"))
    assert len(document["frames"]) == 3


def test_an_animated_picture_moves(run):
    pictures = [Image.fromarray(picture) for picture in read_clip("ring.mp4", 5, 320, square=False).frames]
    pictures[0].save("ring.png", save_all=True, append_images=pictures[1:], duration=100)
    run("ring.png", "-o", "12:30.gif", "--frames", "5")
    with Image.open("12:30.gif") as picture:
        assert picture.n_frames == 5


def test_the_ending_of_the_output_says_the_format(run):
    for ending, format_ in (("svg", "svg"), ("tex", "latex"), ("json", "json")):
        assert run("house.png", "-o", f"a.{ending}") == ""
        assert Path(f"a.{ending}").read_text() == run("house.png", "--format", format_)
    run("house.png", "-o", "a.txt", "--format", "desmos")
    assert Path("a.txt").read_text() == run("house.png", "--format", "desmos")


def test_numbers_and_strokes_are_limited_on_request(run):
    strokes = json.loads(run("house.png", "--format", "json", "--strokes", "1", "--budget", "21"))["frames"][0]
    assert len(strokes) == 1
    assert len(strokes[0]["x"]) + len(strokes[0]["y"]) <= 20


def test_a_projects_parameters_are_heard_and_somebody_elses_are_not(run):
    elsewhere = run("house.png")
    Path("params.yaml").write_text("train: {epochs: 3}\n")
    assert run("house.png") == elsewhere
    shutil.copy(PROJECT / "params.yaml", "params.yaml")
    assert run("house.png") == elsewhere
    text = (PROJECT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("harmonics: 32 ", "harmonics: 4 "))
    assert r"4\pi t" not in run("house.png")
    Path("params.yaml").write_text(text.replace("harmonics: 32 ", "harmonics: many "))
    with pytest.raises(UserError, match=r"fit\.harmonics"):
        run("house.png")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nothing.png"], "nothing.png is missing"),
        (["nothing.mp4"], "nothing.mp4 is missing"),
        (["."], "cannot be read"),
        (["house.png", "--format", "pdf"], "pdf is not a format"),
        (["house.png", "-o", "a.pdf"], "a.pdf: name a format"),
        (["house.png", "--format", "png"], "--output"),
        (["house.png", "-o", "house.png/a.svg"], "house.png/a.svg cannot be written"),
        (["house.png", "-o", "folder.svg"], "folder.svg cannot be written"),
        (["house.png", "--frame", "1"], "no frame 1; the frames are 0 to 0"),
        (["ring.mp4", "--frames", "5", "--frame", "5"], "no frame 5; the frames are 0 to 4"),
        (["house.png", "--strokes", "90"], "90 strokes"),
        (["house.png", "--colour"], "latex has no colours; leave out --colour, or choose one of desmos-page, geogebra"),
        (["house.png", "--format", "ggb"], "ggb is not a format; choose one of latex, desmos"),
        (["house.png", "--format", "geogebra"], "geogebra is not text; name a file with --output"),
    ],
)
def test_mistakes_are_one_line(run, arguments, named):
    Path("folder.svg").mkdir()
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["folder.svg", "house.png", "ring.mp4"]


def test_a_mistake_ends_with_code_2_and_an_empty_stdout(tmp_path):
    code = "from sketch2video.cli import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", code, "equation", "nothing.png"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "sketch2video: nothing.png is missing; name an image or a video\n"
