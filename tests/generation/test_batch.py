from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from sketch2video.controls import SKETCH
from sketch2video.errors import UserError
from sketch2video.files import sharing
from sketch2video.generation import layout
from sketch2video.generation.batch import (
    CONTACT_SHEET,
    MOVING_SHEET,
    batches,
    generate_batch,
    seeds_of,
)
from sketch2video.generation.contact_sheet import write_moving_sheet
from sketch2video.generation.layout import MANIFEST, slug
from sketch2video.generation.prompt_sketches import KeySketch
from sketch2video.generation.prompts import Prompt
from sketch2video.generation.videos import Model, Request, generate_videos
from sketch2video.media.codec import read_clip
from sketch2video.params import Params, load_params
from sketch2video.systems.loading import content_hash, load_pipeline
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline
from tests.conftest import tiny_parts

PROMPTS = [Prompt(1, "a red circle"), Prompt(2, "a blue star", seed=5), Prompt(3, "a red circle"), Prompt(4, "x", 1, 5)]


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture(scope="module")
def model(tiny_pipeline_folder: Path) -> Model:
    return Model(load_pipeline(tiny_pipeline_folder), "tiny", "3", content_hash(tiny_pipeline_folder))


@pytest.fixture(scope="module")
def text_model(tiny_text_pipeline_folder: Path) -> Model:
    folder = tiny_text_pipeline_folder
    return Model(load_pipeline(folder), "tiny text", None, content_hash(folder))


@pytest.fixture
def generate(model: Model, params: Params) -> Callable[..., list[dict[str, Any]]]:
    def call(prompts: list[Prompt], output: Path, model: Model = model, **settings: Any) -> list[dict[str, Any]]:
        settings = {"num_inference_steps": 2, "batch_size": 2} | settings
        generation = params.generate.model_copy(update=settings)
        return generate_batch(model, prompts, output, generation, seed=0, sketch=params.sketch, fit=params.fit)

    return call


def test_only_a_text_model_that_learned_known_frames_is_asked_for_long_videos(
    generate: Callable[..., Any], tmp_path: Path
) -> None:
    for known_frames in (False, True):
        pipeline = TextToVideoPipeline(**tiny_parts(control_channels=0, known_frames=known_frames))
        pipeline.set_progress_bar_config(disable=True)
        call = partial(generate, [Prompt(4, "x", num_frames=9)], tmp_path, Model(pipeline, "tiny", None, "hash"))
        if known_frames:
            assert [row["num_frames"] for row in call()] == [9]
        else:
            with pytest.raises(UserError, match=r"row 4 .* num_frames 9, but tiny makes 8; .* text_ldm\.known_frames"):
                call()


def test_two_at_once_into_one_folder_both_end(
    generate: Callable[..., Any], model: Model, tiny_pipeline_folder: Path, tmp_path: Path
) -> None:
    alone = generate(PROMPTS, tmp_path / "alone")
    output = tmp_path / "shared"
    models = model, dataclasses.replace(model, pipeline=load_pipeline(tiny_pipeline_folder))
    with ThreadPoolExecutor(2) as pool:
        orders = PROMPTS, PROMPTS[::-1]
        runs = [pool.submit(generate, order, output, of) for order, of in zip(orders, models, strict=True)]
        made, reversed_ = (run.result(100) for run in runs)
    assert [row["key"] for row in made] == [row["key"] for row in alone]
    assert {row["key"] for row in reversed_} == {row["key"] for row in alone}
    for row in (*made, *reversed_):
        assert (output / row["video"]).stat().st_size
        assert (output / row["sketch_svg"]).stat().st_size
    assert not list(output.glob(".partial-*"))


def test_files_keep_their_names_while_another_process_works_in_the_folder(
    generate: Callable[..., Any], tmp_path: Path
) -> None:
    output = tmp_path / "run-12:30 #1"
    first = generate(PROMPTS[:2], output)
    with sharing(output, lambda alone: None):
        second = generate(PROMPTS[1::-1], output)
        assert all((output / row["video"]).is_file() for row in (*first, *second))
    assert [row["key"] for row in second] == [row["key"] for row in first[::-1]]
    for one, other in zip(first, second[::-1], strict=True):
        assert (output / one["video"]).read_bytes() == (output / other["video"]).read_bytes()


def test_a_model_whose_name_is_not_utf_8_is_written_into_the_manifest(
    generate: Callable[..., Any], model: Model, tmp_path: Path
) -> None:
    generate(PROMPTS[:1], tmp_path, dataclasses.replace(model, reference="models/\udcff"))
    row = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert row["model"] == "models/\udcff"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_prompt_gets_files_that_players_open(tmp_path: Path, generate: Callable[..., Any]) -> None:
    rows = generate(PROMPTS, tmp_path)
    written = [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()]
    assert written == rows
    assert [row["caption"] for row in rows] == [prompt.caption for prompt in PROMPTS]
    assert [row["num_frames"] for row in rows] == [8, 8, 8, 5]
    assert {row["model_version"] for row in rows} == {"3"}
    for row in rows:
        with av.open(str(tmp_path / row["video"])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert len(list(container.decode(stream))) == row["num_frames"]
        assert Image.open(tmp_path / row["gif"]).n_frames == row["num_frames"]
        assert cv2.VideoCapture(str(tmp_path / row["sketch_video"])).get(cv2.CAP_PROP_FRAME_COUNT) == row["num_frames"]
        assert (tmp_path / row["sketch_svg"]).read_text().count('id="frame-') == row["num_frames"]
    assert Image.open(tmp_path / CONTACT_SHEET).width > 400
    with Image.open(tmp_path / MOVING_SHEET) as moving:
        assert moving.n_frames == 8  # of 16, those that are equal are stored once
        first = np.asarray(moving.convert("RGB"), float)
        moving.seek(4)
        assert np.abs(np.asarray(moving.convert("RGB"), float) - first).max() > 50
    assert {p.name for p in tmp_path.iterdir()} == {
        MANIFEST,
        CONTACT_SHEET,
        MOVING_SHEET,
        *(row[name] for row in rows for name in ("video", "gif", "sketch_video", "sketch_svg")),
    }


def test_a_system_that_draws_nothing_leaves_videos_alone(
    tmp_path: Path, generate: Callable[..., Any], text_model: Model
) -> None:
    rows = generate(PROMPTS[:2], tmp_path, text_model)
    assert all({"video", "gif"} <= set(row) and "sketch_video" not in row for row in rows)
    for row in rows:
        with av.open(str(tmp_path / row["video"])) as container:
            assert len(list(container.decode(video=0))) == row["num_frames"] == 8
    videos = {row[name] for row in rows for name in ("video", "gif")}
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, CONTACT_SHEET, MOVING_SHEET, *videos}


@pytest.mark.parametrize(
    "drawn", [{"sketch": Path("star.png")}, {"sketches": (KeySketch(0, Path("0.png"), "sketch_0"),)}]
)
def test_a_sketch_for_a_model_that_follows_none_is_a_users_mistake(
    tmp_path: Path, generate: Callable[..., Any], text_model: Model, drawn: dict[str, Any]
) -> None:
    prompts = [Prompt(1, "a red circle"), Prompt(2, "a star", **drawn)]
    with pytest.raises(UserError) as error:
        generate(prompts, tmp_path / "out", text_model)
    assert str(error.value) == (
        "row 2 of the prompts names a sketch, but tiny text follows none; leave the column out or name a sketch model"
    )
    assert not (tmp_path / "out").exists()


class _Interrupted(Exception):
    pass


def test_an_interrupted_run_ends_with_the_bytes_of_an_undisturbed_one(
    tmp_path: Path, generate: Callable[..., Any], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(PROMPTS, tmp_path / "whole")
    writes = 0
    write_gif = layout.write_gif

    def failing(path: Path, *args: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise _Interrupted
        write_gif(path, *args)

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_gif", failing)
        with pytest.raises(_Interrupted):
            generate(PROMPTS, tmp_path / "resumed")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "resumed").glob("0000*")}
    assert len(before) == 4
    generate(PROMPTS, tmp_path / "resumed")
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_what_is_done_is_not_generated_again(tmp_path: Path, generate: Callable[..., Any], model: Model) -> None:
    generate(PROMPTS, tmp_path)
    before = contents(tmp_path)

    class Unusable:
        control, longest, config = SKETCH, None, model.pipeline.config

    generate(PROMPTS, tmp_path, Model(Unusable(), model.reference, model.version, model.content_hash))
    assert contents(tmp_path) == before


def test_prompts_may_be_reordered_and_removed(tmp_path: Path, generate: Callable[..., Any]) -> None:
    first = generate(PROMPTS, tmp_path)
    second = generate([PROMPTS[3], PROMPTS[1]], tmp_path)
    assert [row["key"] for row in second] == [first[3]["key"], first[1]["key"]]
    assert [row["index"] for row in second] == [0, 1]
    assert len((tmp_path / MANIFEST).read_text().splitlines()) == 2
    assert all((tmp_path / row["video"]).is_file() for row in second)
    assert not (tmp_path / first[3]["video"]).exists()  # moved
    assert (tmp_path / first[0]["video"]).is_file()  # not ours to delete


def test_another_model_or_setting_does_not_overwrite(
    tmp_path: Path, generate: Callable[..., Any], model: Model
) -> None:
    first = generate(PROMPTS[:1], tmp_path)
    before = contents(tmp_path)
    other = generate(PROMPTS[:1], tmp_path, Model(model.pipeline, "other", None, "another hash"))
    slower = generate(PROMPTS[:1], tmp_path, fps=4.0)
    assert len({rows[0]["key"] for rows in (first, other, slower)}) == 3
    after = contents(tmp_path)
    assert all(after[first[0][name]] == before[first[0][name]] for name in ("video", "gif", "sketch_svg"))


def test_a_seed_gives_the_same_video_in_any_batch(model: Model, params: Params) -> None:
    settings = params.generate.model_copy(update={"num_inference_steps": 2})
    requests = [Request("a blue star", seed, None, 8.0) for seed in (5, 6, 7)]
    among = generate_videos(model.pipeline, requests, settings)
    alone = generate_videos(model.pipeline, requests[1:2], settings)[0]
    difference = [np.abs(alone.frames.astype(int) - video.frames).max() for video in among]
    assert difference[1] <= 1  # rounding
    assert min(difference[0], difference[2]) > 20  # another seed is another video


def test_a_drawing_of_the_users_is_followed(tmp_path: Path, generate: Callable[..., Any]) -> None:
    (tmp_path / "square.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        '<rect x="20" y="30" width="50" height="40"/></svg>'
    )
    rows = generate([Prompt(1, "a square", 0, 6, tmp_path / "square.svg"), PROMPTS[0]], tmp_path / "out")
    assert [row["sketch"] for row in rows] == ["square.svg", None]
    drawn = read_clip(tmp_path / "out" / rows[0]["sketch_video"], 6, 128).frames[..., 0] < 128
    y, x = np.nonzero(drawn.all(0))
    assert np.allclose([x.min(), x.max(), y.min(), y.max()], np.array([20, 70, 30, 70]) * 1.28, atol=4)


SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect x="{}" y="30" width="30" height="40"/></svg>'
)


def key_sketches(folder: Path, frames: dict[int, int]) -> tuple[KeySketch, ...]:
    """Drawings of squares whose left edges are at ``frames``' values, in hundredths of the frame."""
    folder.mkdir(exist_ok=True)
    for frame, x in frames.items():
        (folder / f"{frame}.svg").write_text(SQUARE.format(x))
    return tuple(KeySketch(frame, folder / f"{frame}.svg", f"sketch_{frame}") for frame in sorted(frames))


def edges(folder: Path, row: dict[str, Any], frame: int) -> list[int]:
    """The left and the right edge of a frame of the drawing, hundredths of the frame."""
    ink = read_clip(folder / row["sketch_video"], row["num_frames"], 100).frames[frame, ..., 0] < 128
    x = np.flatnonzero(ink.any(0))
    return [int(x.min()), int(x.max())]


def test_drawings_of_some_frames_are_drawn_as_they_are(tmp_path: Path, generate: Callable[..., Any]) -> None:
    two = key_sketches(tmp_path / "two", {0: 10, 7: 60})
    other = key_sketches(tmp_path / "other", {0: 40, 7: 20})
    middle = key_sketches(tmp_path / "middle", {4: 35})
    prompts = [
        Prompt(2, "a square", 0, 8, sketches=two),
        Prompt(3, "a square", 0, sketches=middle),
        Prompt(4, "a square", 0, 8, sketches=other),
        Prompt(5, "a square", 0),
    ]
    rows = generate(prompts, tmp_path / "out")
    assert [row["sketch"] for row in rows] == [None] * 4
    assert [row["sketches"] for row in rows] == [{"0": "0.svg", "7": "7.svg"}, {"4": "4.svg"}, rows[0]["sketches"], {}]
    expected = {(0, 0): [10, 40], (0, 7): [60, 90], (1, 4): [35, 65], (2, 0): [40, 70], (2, 7): [20, 50]}
    for (index, frame), sides in expected.items():
        assert edges(tmp_path / "out", rows[index], frame) == pytest.approx(sides, abs=5)  # 8 harmonics
    assert len({row["key"] for row in rows}) == 4
    again = generate([dataclasses.replace(prompts[0], sketches=two[:1]), *prompts[1:]], tmp_path / "out")
    assert [new["key"] == old["key"] for new, old in zip(again, rows, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.svg", "", "no paths|no lines"),
        ("gone.svg", None, "cannot be read"),
        ("film.svg", "<g id='frame-0000'><circle r='9'/></g><g id='frame-0001'><circle r='9'/></g>", "has 2 frames"),
        ("four.svg", "".join(f"<circle cx='{9 * x}' cy='9' r='3'/>" for x in range(1, 5)), "4 strokes, .* at most 3"),
    ],
)
def test_a_drawing_of_a_frame_that_cannot_be_used_is_named(
    tmp_path: Path, generate: Callable[..., Any], name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{content}</svg>')
    first = key_sketches(tmp_path / "drawings", {0: 10})
    wrong = Prompt(7, "a square", sketches=(*first, KeySketch(3, tmp_path / name, "sketch_3")))
    with pytest.raises(UserError, match=rf"row 7 of the prompts: sketch_3: .*{name}.*({message})") as error:
        generate([wrong], tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_frame_beyond_the_default_length_is_named(tmp_path: Path, generate: Callable[..., Any]) -> None:
    late = key_sketches(tmp_path, {8: 10})
    with pytest.raises(UserError, match=r"row 3 of the prompts: sketch_8 8\.svg is of frame 8, .* frames 0 to 7"):
        generate([Prompt(3, "a square", sketches=late)], tmp_path / "out")
    generate([Prompt(3, "a square", num_frames=9, sketches=late)], tmp_path / "out")


def test_a_drawing_that_cannot_be_followed_is_named_with_its_row(tmp_path: Path, generate: Callable[..., Any]) -> None:
    (tmp_path / "empty.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"/>')
    for name in ("empty.svg", "gone.svg"):
        with pytest.raises(UserError, match=rf"row 7 of the prompts: sketch: .*{name}"):
            generate([Prompt(7, "a square", sketch=tmp_path / name)], tmp_path / "out")


@pytest.mark.parametrize("name", ["file", "file/x", "file/x/y", "n" * 300])
def test_a_place_that_cannot_be_a_folder_is_refused_before_the_work(
    tmp_path: Path, generate: Callable[..., Any], name: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output: ") as error:
        generate(PROMPTS, tmp_path / name)
    assert "\n" not in str(error.value)


def test_seeds_do_not_depend_on_other_prompts() -> None:
    red, star, red_again, x = seeds_of(PROMPTS, 10)
    assert (star, x) == (5, 1)  # their own
    assert len({red, red_again, *seeds_of(PROMPTS[:1], 11)}) == 3
    assert seeds_of([PROMPTS[3], PROMPTS[2], PROMPTS[0]], 10) == [1, red, red_again]


def test_drawings_determine_seeds_by_name_and_frame(tmp_path: Path) -> None:
    both = key_sketches(tmp_path, {0: 10, 7: 60})
    ways = [(), both, both[:1], (dataclasses.replace(both[0], frame=1),)]
    assert len({seeds_of([Prompt(1, "a square", sketches=way)], 0)[0] for way in ways}) == 4


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A red, *round* circle!", "a-red-round-circle"),
        ("../../etc/passwd", "etc-passwd"),
        ("çok — ???", "ok"),
        ("日本", "video"),
        ("a" * 300, "a" * 48),
    ],
)
def test_file_names_are_harmless(caption: str, expected: str) -> None:
    assert slug(caption) == expected


def test_batches_hold_one_kind_in_order() -> None:
    assert list(batches(["a", "b", "a", "a", "b", "a"], 2)) == [[0, 2], [3, 5], [1, 4]]


def test_a_moving_sheet_of_many_prompts_stays_a_picture_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = [np.zeros((112, 112, 3), np.uint8)] * 16
    monkeypatch.setattr("sketch2video.generation.contact_sheet._frames", lambda *_: still)
    write_moving_sheet(tmp_path / "sheet.webp", [("a caption", [tmp_path, tmp_path])] * 10_000)
    with Image.open(tmp_path / "sheet.webp") as sheet:
        assert max(sheet.size) < 16_383
