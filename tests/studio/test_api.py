from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sketch2video.curves import CurveSequence, clip_from_json, from_json
from sketch2video.curves.exports.writers import FORMATS
from sketch2video.generation.drawings import draw_caption
from sketch2video.generation.videos import Model
from sketch2video.media.codec import read_clip
from sketch2video.studio import models as models_module
from sketch2video.studio import worker
from sketch2video.studio.documents import to_curves
from sketch2video.studio.paint_jobs import Job
from sketch2video.studio.painting import paint
from sketch2video.studio.schemas import Drawing, PaintRequest, Sampling
from sketch2video.systems.loading import load_pipeline
from tests.studio.serving import CAPTION, DRAWING, LINE, Served, offer, served


def moved(drawing: dict[str, Any], frame: int, by: float) -> dict[str, Any]:
    """A drawing whose first stroke is moved to the right at a frame, which becomes a key frame."""
    stroke = drawing["strokes"][0]
    x = [stroke["x"][frame][0] + by, *stroke["x"][frame][1:]]
    key = {"frame": frame, "x": x, "y": stroke["y"][frame]}
    return drawing | {"strokes": [stroke | {"keys": [key]}, *drawing["strokes"][1:]]}


def pictures(sheet: dict[str, Any]) -> np.ndarray:
    """The frames of a sheet: (T, S, S, 3)."""
    data = base64.b64decode(sheet["frames"][0].removeprefix("data:image/png;base64,"))
    whole = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    size, columns = sheet["size"], sheet["columns"]
    at = [(index // columns * size, index % columns * size) for index in range(sheet["count"])]
    return np.stack([whole[row : row + size, column : column + size] for row, column in at])


def test_models_are_described(studio: Served) -> None:
    listed = studio.client.get("/api/models").json()
    assert listed["help"] is None
    assert listed["budget"] == 300
    by_id = {model["id"]: model for model in listed["models"]}
    assert list(by_id) == ["sketch", "text", "tokens"]
    assert [by_id[name]["draws"] for name in by_id] == [True, False, False]
    sketch = by_id["sketch"]
    assert (sketch["frames"], sketch["size"], sketch["system"]) == (8, 32, "sketch_ldm")
    assert sketch["samplers"][0] == "euler"
    assert sketch["sampling"]["num_inference_steps"] == 8
    assert "temperature" in by_id["tokens"]["sampling"]


def test_the_drawing_is_that_of_the_pipeline_for_this_seed(studio: Served, tiny_pipeline_folder: Path) -> None:
    drawn = studio.draw(seed=5, frames=6, fps=7)
    curves = draw_caption(load_pipeline(tiny_pipeline_folder), CAPTION, 5, 6, 7.0)
    assert drawn["drawing"]["frames"] == len(drawn["numbers"]) == 6
    shown = np.flatnonzero(curves.visible.any(0))
    assert len(drawn["drawing"]["strokes"]) == len(shown)
    for stroke, slot in zip(drawn["drawing"]["strokes"], shown, strict=True):
        for axis, name in enumerate("xy"):
            for row, series in zip(stroke[name], curves.coefficients[:, slot, axis], strict=True):
                assert np.array_equal(np.array(row, np.float32), np.trim_zeros(series, "b"))
    used = CurveSequence(curves.coefficients[:, shown], curves.visibility[:, shown])
    assert max(drawn["numbers"]) == used.num_parameters
    assert studio.draw(seed=6, frames=6)["drawing"] != drawn["drawing"]


def test_a_paint_reports_its_real_steps_and_gives_its_frames(studio: Served) -> None:
    job = studio.submit(sampling={"num_inference_steps": 3}, fps=6)
    events = studio.events(job)
    steps = [data["step"] for name, data in events if name == "progress" and data["stage"] == "painting"]
    assert steps == sorted(set(steps))  # some may be left out, when newer ones come before they are sent
    assert set(steps) <= {0, 1, 2, 3}
    assert [name for name, _ in events].count("done") == 1
    assert events[-1][0] == "done"
    assert len(events[-1][1]["numbers"]) == 8
    sheet = studio.frames(job)
    assert (sheet["count"], sheet["size"], sheet["fps"]) == (8, 32, 6)
    assert studio.events(job)[-1] == events[-1]  # somebody who comes late
    for kind in ("mp4", "webm"):
        response = studio.client.get(f"/api/video/{job}.{kind}")
        assert response.headers["content-type"] == f"video/{kind}"
        Path(studio.output.parent, f"v.{kind}").write_bytes(response.content)
        clip = read_clip(studio.output.parent / f"v.{kind}", 8, 32)
        assert clip.source_frames == 8
        difference = clip.frames.astype(float) - pictures(sheet)
        assert np.abs(difference).mean() < 25  # untrained networks paint noise, which no codec keeps


def test_every_step_of_the_sampler_is_reported(tiny_pipeline_folder: Path) -> None:
    class Recorded(Job):
        def progress(self, stage: str, step: int, steps: int) -> None:
            seen.append((stage, step, steps))

    seen: list[tuple[str, int, int]] = []
    model = Model(load_pipeline(tiny_pipeline_folder), "tiny", None, "hash")
    asked = PaintRequest(model="sketch", caption="x", client="a", sampling=Sampling(num_inference_steps=3))
    paint(model, asked, Recorded("a"))
    assert seen == [("drawing", 0, 1), ("drawing", 1, 1), *(("painting", step, 3) for step in range(4))]


def test_the_same_request_gives_the_same_video_and_a_changed_stroke_another(studio: Served) -> None:
    drawing = studio.draw(seed=2)["drawing"]
    jobs = [studio.paint(seed=2, drawing=each) for each in (None, drawing, drawing, moved(drawing, 3, 0.2))]
    text, same, again, changed = (pictures(studio.frames(job)) for job, _ in jobs)
    assert np.array_equal(text, same)
    assert np.array_equal(again, same)
    assert not np.array_equal(changed, same)
    keys = [data["key"] for _, data in jobs]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_frames_of_a_drawing_are_kept_and_the_others_drawn(studio: Served) -> None:
    base = to_curves(Drawing.model_validate(moved(DRAWING, 7, 0.2)))
    answer = studio.draw(seed=4, drawing=moved(DRAWING, 7, 0.2), kept=[7, 0])
    drawn = to_curves(Drawing.model_validate(answer["drawing"]))
    assert len(drawn) == 8
    for frame in (0, 7):
        assert drawn.visible[frame].sum() == 1
        (stroke,) = drawn.coefficients[frame, drawn.visible[frame]]
        assert np.allclose(stroke[:, :2], base.coefficients[frame, 0, :, :2], atol=1e-3)
    free = to_curves(Drawing.model_validate(studio.draw(seed=4)["drawing"]))
    assert not np.array_equal(free.render(64, 64)[0], drawn.render(64, 64)[0])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kept": [0]}, "belong together"),
        ({"drawing": DRAWING}, "belong together"),
        ({"drawing": DRAWING, "kept": [8]}, "the frames are 0 to 7"),
        ({"drawing": DRAWING, "kept": [0], "frames": 9}, "the drawing has 8"),
        ({"drawing": DRAWING | {"strokes": [LINE | {"id": f"s{n}"} for n in range(4)]}, "kept": [2]}, "4 strokes"),
    ],
)
def test_frames_that_cannot_be_kept_are_refused(studio: Served, more: dict[str, Any], words: str) -> None:
    response = studio.client.post("/api/draw", json={"model": "sketch", "caption": "x"} | more)
    assert response.status_code == 422
    assert words in str(response.json()["detail"])


def test_a_drawing_is_resampled_to_the_frames_that_are_asked_for(studio: Served) -> None:
    job, data = studio.paint(drawing=DRAWING, frames=5)
    assert studio.frames(job)["count"] == len(data["numbers"]) == 5


def test_models_that_do_not_draw_paint_and_take_no_drawing(studio: Served) -> None:
    for model in ("text", "tokens"):
        job, data = studio.paint(model=model)
        assert data["numbers"] == []
        assert studio.frames(job)["count"] == 8
        name, data = studio.events(studio.submit(model=model, drawing=DRAWING))[-1]
        assert (name, "follows no drawing" in data["message"]) == ("failed", True)
    response = studio.client.post("/api/draw", json={"model": "text", "caption": "x"})
    assert response.status_code == 422
    assert "does not draw" in response.json()["detail"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sampling": {"sampler": "ddim"}}, "has the samplers euler"),
        ({"sampling": {"temperature": 0.5}}, "temperature"),
        ({"drawing": DRAWING | {"strokes": []}}, None),
        ({"model": "text", "frames": 9}, None),
    ],
)
def test_what_a_model_cannot_do_is_said(studio: Served, more: dict[str, Any], words: str | None) -> None:
    name, data = studio.events(studio.submit(**more))[-1]
    if words is None:  # an empty drawing, and a text model that learned known frames: any length
        assert name == "done"
    else:
        assert (name, words in data["message"]) == ("failed", True), data


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "none"},
        {"caption": " "},
        {"caption": "x" * 1001},
        {"caption": "\ud800"},
        {"seed": -1},
        {"seed": 2**63},
        {"fps": float("nan")},
        {"frames": 257},
        {"frames": 1},
        {"unknown": 1},
        {"client": "a/b"},
        {"drawing": DRAWING | {"frames": 7}},
        {"drawing": DRAWING | {"strokes": [LINE, LINE]}},
        {"drawing": DRAWING | {"strokes": [LINE | {"x": [[float("inf")]] * 8}]}},
        {"drawing": DRAWING | {"strokes": [LINE | {"x": [[0.0] * 65] * 8}]}},
        {"drawing": DRAWING | {"strokes": [LINE | {"keys": [{"frame": 8, "x": [], "y": []}]}]}},
        {"drawing": DRAWING | {"strokes": [LINE | {"id": str(index)} for index in range(65)]}},
    ],
)
def test_wrong_requests_are_refused_in_one_line(studio: Served, wrong: dict[str, Any]) -> None:
    asked = {"model": "sketch", "caption": "x", "client": "a", **wrong}
    response = studio.client.post("/api/paint", content=json.dumps(asked), headers={"content-type": "application/json"})
    assert response.status_code == 422, response.text
    assert set(response.json()) == {"detail"}
    assert "\n" not in response.json()["detail"]


def test_a_paint_can_be_cancelled(studio: Served) -> None:
    job = studio.submit(sampling={"num_inference_steps": 200}, frames=64)
    assert studio.client.delete(f"/api/paint/{job}").status_code == 204
    assert studio.events(job)[-1][0] == "cancelled"
    assert studio.client.get(f"/api/frames/{job}").status_code == 404
    assert studio.client.delete("/api/paint/nothing").status_code == 404


def test_the_newest_paint_of_a_client_wins_and_a_draw_drops_it(studio: Served) -> None:
    long = {"sampling": {"num_inference_steps": 200}, "frames": 64}
    jobs = [studio.submit(client="page", **long) for _ in range(3)]
    other = studio.submit(client="other", seed=3)
    jobs.append(studio.submit(client="page", seed=4))
    assert [studio.events(job)[-1][0] for job in jobs] == ["dropped", "dropped", "dropped", "done"]
    assert studio.events(other)[-1][0] == "done"
    stale = studio.submit(client="page", **long)
    studio.draw(client="page")
    assert studio.events(stale)[-1][0] == "dropped"


def test_two_clients_at_once_get_their_own_results(studio: Served) -> None:
    seeds = range(6)
    alone = [pictures(studio.frames(studio.paint(seed=seed)[0])) for seed in seeds]

    def one(seed: int) -> bool:
        drawn = studio.draw(seed=seed)
        job, _ = studio.paint(seed=seed, client=f"client-{seed}", drawing=drawn["drawing"])
        return bool(np.array_equal(pictures(studio.frames(job)), alone[seed]))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, seeds)) == [True] * 6


def test_a_line_drawn_by_hand_is_fitted(studio: Served) -> None:
    angles = np.linspace(0, 6.2, 100)
    points = (0.5 + 0.2 * np.stack([np.cos(angles), np.sin(angles)], 1)).tolist()
    fitted = studio.client.post("/api/fit/stroke", json={"points": points}).json()
    assert fitted["closed"]
    coefficients = np.zeros((1, 1, 2, 32))
    for axis, name in enumerate("xy"):
        coefficients[0, 0, axis, : len(fitted[name])] = fitted[name]
    circle = CurveSequence(coefficients, np.ones((1, 1))).points(50)[0, 0]
    assert np.abs(np.linalg.norm(circle - 0.5, axis=1) - 0.2).max() < 0.01
    assert fitted["numbers"] == np.count_nonzero(coefficients)
    dot = studio.client.post("/api/fit/stroke", json={"points": [[0.5, 0.5]] * 5})
    assert (dot.status_code, "only a dot" in dot.json()["detail"]) == (422, True)


def test_the_equation_has_key_frames_in_it(studio: Served) -> None:
    asked = {"drawing": moved(DRAWING, 0, 0.25), "format": "json"}
    answer = studio.client.post("/api/equation", json=asked).json()
    curves = from_json(answer["text"]).curves
    assert np.allclose(curves.coefficients[0, 0, 0, :2], [0.75, 0.1])
    assert np.allclose(curves.coefficients[5, 0, 0, :2], [0.75, 0.2])
    assert answer["numbers"] == curves.num_parameters
    latex = studio.client.post("/api/equation", json=asked | {"format": "latex", "frame": 0}).json()["text"]
    assert "x_1(t) &= 0.75 + 0.1\\cos(\\pi t)" in latex


@pytest.mark.parametrize("format_", ["latex", "desmos", "svg", "json"])
@pytest.mark.parametrize("frame", [None, 2])
def test_every_format_is_text(studio: Served, format_: str, frame: int | None) -> None:
    two = DRAWING | {"strokes": [LINE, LINE | {"id": "b", "visible": [False] * 8}]}
    asked = {"drawing": two, "format": format_, "frame": frame}
    whole = studio.client.post("/api/equation", json=asked).json()
    assert whole["text"]
    stroke = studio.client.post("/api/equation", json=asked | {"stroke": "b"}).json()
    assert stroke["numbers"] == 1
    for wrong in ({"stroke": "c"}, {"frame": 8}):
        assert studio.client.post("/api/equation", json=asked | wrong).status_code == 422


BEGINNINGS = {
    "latex": b"% A clip of 1 s, 512 x 512 px, strokes: 1;",
    "desmos": b"T=0\nm=",
    "desmos-page": b"<!doctype html>",
    "geogebra": b"PK",
    "svg": b"<svg",
    "lottie": b"{",
    "html": b"<!doctype html>",
    "json": b'{\n "format": "sketch2video.equation/1"',
    "clip-json": b'{\n "format": "sketch2video.equation/3"',
    "plotter-svg": b"<svg",
    "gcode": b"; ",
    "png": b"\x89PNG",
    "gif": b"GIF89a",
}


def test_every_format_of_the_command_is_a_file(studio: Served) -> None:
    assert set(BEGINNINGS) == set(FORMATS)
    hidden = LINE | {"id": "b", "visible": [False] * 8}
    drawing = moved(DRAWING, 0, 0.25) | {"frames": 8}
    drawing["strokes"] = [*drawing["strokes"], hidden]
    for name, beginning in BEGINNINGS.items():
        answer = studio.client.post(f"/api/export/{name}", json={"drawing": drawing})
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(beginning), (name, answer.content[:80])
        assert answer.headers["content-type"].startswith(FORMATS[name].media_type)
        ending = FORMATS[name].endings[0]
        assert answer.headers["content-disposition"] == f'attachment; filename="drawing{ending}"'
        still = studio.client.post(f"/api/export/{name}", json={"drawing": drawing, "frame": 3})
        assert still.status_code == 200, still.text
        for wrong in ({"stroke": "c"}, {"frame": 8}, {"stroke": "b", "frame": 0}):
            refused = studio.client.post(f"/api/export/{name}", json={"drawing": drawing} | wrong)
            assert (refused.status_code, "\n" in refused.json()["detail"]) == (422, False)
    missing = studio.client.post("/api/export/word", json={"drawing": drawing})
    assert (missing.status_code, "there is no such format" in missing.json()["detail"]) == (404, True)


def test_files_are_the_drawing(studio: Served) -> None:
    asked = {"drawing": moved(DRAWING, 0, 0.25)}

    def exported(name: str, **more: Any) -> bytes:
        answer = studio.client.post(f"/api/export/{name}", json=asked | more)
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    curves = from_json(exported("json").decode()).curves
    assert np.allclose(curves.coefficients[:, 0, 0, 0], 0.75)
    assert len(from_json(exported("json", frame=3).decode()).curves) == 1
    clip = clip_from_json(exported("clip-json").decode())
    assert (clip.height, clip.width, clip.fps, clip.clip.frames) == (512, 512, 8.0, 8)
    assert np.abs(clip.sampled().curves.points(50)[:, 0] - curves.points(50)[:, 0]).max() < 0.5 / 512
    with zipfile.ZipFile(io.BytesIO(exported("geogebra"))) as archive:
        assert 'label="s_{1}"' in archive.read("geogebra.xml").decode()
    shown = np.array(Image.open(io.BytesIO(exported("png", frame=5))).convert("L"))
    columns = np.nonzero(shown < 128)[1]
    ends = curves.points(2)[5, 0] * 512
    assert abs(columns.min() - ends[:, 0].min()) < 2
    assert abs(columns.max() - ends[:, 0].max()) < 2


def test_a_failing_pipeline_gives_a_message_and_the_server_goes_on(
    tiny_pipeline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(folder: Path) -> Any:
        pipeline = load_pipeline(folder)
        decode = pipeline.decode_finished

        def failing(made: Any, *seen: Any) -> Any:
            if made.shape[1] == 5:
                raise RuntimeError("out of memory\nand more")
            return decode(made, *seen)

        pipeline.decode_finished = failing
        return pipeline

    monkeypatch.setattr(models_module, "load_pipeline", loading)
    broken = tmp_path / "broken"
    (broken / "transformer").mkdir(parents=True)
    for name in ("model_index.json", "transformer/config.json"):
        (broken / name).write_bytes((tiny_pipeline_folder / name).read_bytes())
    offers = [offer("sketch", tiny_pipeline_folder), offer("broken", broken)]
    with served(lambda: offers, tmp_path / "gallery") as studio:
        name, data = studio.events(studio.submit(frames=5))[-1]
        assert name == "failed"
        assert "RuntimeError: out of memory" in data["message"]
        assert "\n" not in data["message"]
        name, data = studio.events(studio.submit(model="broken"))[-1]
        assert (name, "cannot be loaded" in data["message"]) == ("failed", True)
        response = studio.client.post("/api/draw", json={"model": "broken", "caption": "x"})
        assert (response.status_code, "cannot be loaded" in response.json()["detail"]) == (422, True)
        studio.paint()
        assert studio.client.get("/api/gallery").json() == {"items": []}


def test_without_a_model_everything_else_works(tmp_path: Path) -> None:
    with served(list, tmp_path / "gallery") as studio:
        listed = studio.client.get("/api/models").json()
        assert listed["models"] == []
        assert "make demo" in listed["help"]
        assert studio.client.post("/api/equation", json={"drawing": DRAWING, "format": "svg"}).status_code == 200
        assert studio.client.post("/api/draw", json={"model": "sketch", "caption": "x"}).status_code == 422


def test_a_full_queue_is_said(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MOST_WAITING", 1)
    jobs = [studio.submit(client="first", sampling={"num_inference_steps": 200}, frames=64)]
    while not any(name == "progress" for name, _ in [_latest(studio, jobs[0])]):
        threading.Event().wait(0.005)
    jobs.append(studio.submit(client="second"))
    asked = {"model": "sketch", "caption": "x", "client": "third"}
    response = studio.client.post("/api/paint", json=asked)
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    studio.client.delete(f"/api/paint/{jobs[0]}")
    assert studio.events(jobs[1])[-1][0] == "done"


def _latest(studio: Served, job: str) -> tuple[str, Any]:
    """The newest event of a job, from within."""
    event = studio.app.state.studio.worker.find(job).latest
    return ("", {}) if event is None else (event.name, event.data)
