from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sketch2video.curves import from_json
from sketch2video.generation.batch import generate_batch
from sketch2video.generation.layout import MANIFEST
from sketch2video.generation.prompts import Prompt
from sketch2video.generation.videos import Model
from sketch2video.params import load_params
from sketch2video.systems.loading import content_hash, load_pipeline
from tests.studio.serving import CAPTION, DRAWING, LINE, Served, offer, served


def items(studio: Served) -> list[dict[str, Any]]:
    return list(studio.client.get("/api/gallery").json()["items"])


KEYED = DRAWING | {"strokes": [LINE | {"keys": [{"frame": 2, "x": [0.7, 0.1], "y": [0.4]}]}]}


def test_what_was_painted_comes_back_after_a_restart_and_can_be_removed(
    tiny_pipeline_folder: Path, tiny_text_pipeline_folder: Path, tmp_path: Path
) -> None:
    offers = [offer("sketch", tiny_pipeline_folder), offer("text", tiny_text_pipeline_folder)]
    with served(lambda: offers, tmp_path / "gallery") as studio:
        keys = [
            studio.paint(gallery=True, seed=1, drawing=KEYED, sampling={"num_inference_steps": 2})[1]["key"],
            studio.paint(gallery=True, model="text", caption="x/../../y <script>")[1]["key"],
        ]
        studio.paint(gallery=False)
        assert [item["key"] for item in items(studio)] == keys[::-1]
        before = studio.client.get(f"/api/gallery/{keys[0]}").json()
    with served(lambda: offers, tmp_path / "gallery") as studio:
        assert [item["key"] for item in items(studio)] == keys[::-1]
        entry = studio.client.get(f"/api/gallery/{keys[0]}").json()
        assert entry == before
        assert entry["document"]["drawing"] == KEYED
        assert entry["document"]["sampling"]["num_inference_steps"] == 2
        assert (entry["seed"], entry["caption"], entry["num_frames"]) == (1, CAPTION, 8)
        assert entry["numbers"] == max(studio.paint(seed=1, drawing=KEYED)[1]["numbers"])
        # Painted again from its document: the same key, hence one item, now the newest.
        assert studio.paint(gallery=True, **entry["document"])[1]["key"] == keys[0]
        assert [item["key"] for item in items(studio)] == keys
        for kind in ("mp4", "gif", "sketch_mp4", "svg", "json", "html"):
            response = studio.client.get(f"/api/gallery/{keys[0]}/{kind}")
            assert response.status_code == 200
            assert response.content
            there = studio.client.get(f"/api/gallery/{keys[1]}/{kind}").status_code
            assert there == (200 if kind in ("mp4", "gif") else 404)
        assert studio.client.get(f"/api/gallery/{keys[1]}").json()["kinds"] == ["mp4", "gif"]
        for key in keys:
            assert studio.client.delete(f"/api/gallery/{key}").status_code == 204
            assert studio.client.delete(f"/api/gallery/{key}").status_code == 404
        assert items(studio) == []
        assert [path.name for path in (tmp_path / "gallery").iterdir()] == [MANIFEST]


def test_batch_generation_makes_the_same_video_from_the_drawing(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    offers = [offer("sketch", tiny_pipeline_folder)]
    with served(lambda: offers, tmp_path / "gallery") as studio:
        sampling = {"num_inference_steps": 3, "sampler": "heun"}
        key = studio.paint(gallery=True, seed=9, drawing=KEYED, sampling=sampling, fps=8)[1]["key"]
        drawing = studio.client.get(f"/api/gallery/{key}/json")
        video = studio.client.get(f"/api/gallery/{key}/mp4").content
        assert drawing.headers["content-disposition"].startswith("attachment")
    (tmp_path / "drawing.json").write_bytes(drawing.content)
    assert from_json(drawing.text).curves.coefficients[2, 0, 0, 0] == pytest.approx(0.7)
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    generate = params.generate.model_copy(update=sampling)
    model = Model(load_pipeline(tiny_pipeline_folder), "x", None, content_hash(tiny_pipeline_folder))
    prompt = Prompt(1, CAPTION, 9, 8, tmp_path / "drawing.json")
    (row,) = generate_batch(model, [prompt], tmp_path / "batch", generate, seed=0, sketch=params.sketch, fit=params.fit)
    assert (tmp_path / "batch" / row["video"]).read_bytes() == video


def test_a_folder_of_batch_generation_is_shown(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    model = Model(load_pipeline(tiny_pipeline_folder), "x", "3", content_hash(tiny_pipeline_folder))
    prompts = [Prompt(1, CAPTION), Prompt(2, "a blue star grows")]
    generate_batch(model, prompts, tmp_path, params.generate, seed=0, sketch=params.sketch, fit=params.fit)
    with served(lambda: [offer("sketch", tiny_pipeline_folder)], tmp_path) as studio:
        assert [item["caption"] for item in items(studio)] == ["a blue star grows", CAPTION]
        entry = studio.client.get(f"/api/gallery/{items(studio)[0]['key']}").json()
        assert (entry["document"], entry["model_version"]) == (None, "3")
        studio.paint(gallery=True)
        assert [item["caption"] for item in items(studio)] == [CAPTION, "a blue star grows", CAPTION]


def test_a_damaged_manifest_leads_nowhere(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    folder = tmp_path / "gallery"
    with served(lambda: [offer("sketch", tiny_pipeline_folder)], folder) as studio:
        key = studio.paint(gallery=True)[1]["key"]
        (row,) = [json.loads(line) for line in _lines(studio, folder)]
        evil = row | {"key": "abc", "video": "../secret.mp4", "gif": "/etc/passwd"}
        broken = ["{", "[]", "null", "[" * 5000, json.dumps(row | {"index": "x"}), json.dumps({"key": "def"}), ""]
        (folder / MANIFEST).write_text("\n".join([*broken, json.dumps(evil), json.dumps(row)]))
        assert [item["key"] for item in items(studio)] == [key]
        for kind in ("mp4", "gif"):
            assert studio.client.get(f"/api/gallery/abc/{kind}").status_code == 404
        assert studio.client.delete("/api/gallery/abc").status_code == 204
        assert (tmp_path / "secret.mp4").read_bytes() == b"secret"
        for path in folder.glob("*.studio.json"):
            path.write_text("{")
        assert studio.client.get(f"/api/gallery/{key}").json()["document"] is None
        (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
        assert items(studio) == []


def _lines(studio: Served, folder: Path) -> list[str]:
    items(studio)  # waits for what is being written
    return (folder / MANIFEST).read_text().splitlines()


def test_captions_are_text_in_the_player(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    with served(lambda: [offer("sketch", tiny_pipeline_folder)], tmp_path / "gallery") as studio:
        key = studio.paint(gallery=True, caption="</script><img src=x onerror=alert(1)>")[1]["key"]
        response = studio.client.get(f"/api/gallery/{key}/html")
    assert response.headers["content-disposition"].startswith("attachment")
    assert "<img" not in response.text
    assert "&lt;img src=x" in response.text


def test_a_gallery_that_cannot_be_written_does_not_stop_the_studio(
    tiny_pipeline_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gallery").write_text("a file")
    with served(lambda: [offer("sketch", tiny_pipeline_folder)], tmp_path / "gallery") as studio:
        studio.paint(gallery=True)
        assert items(studio) == []
        studio.paint()
    assert "a video is missing in the gallery" in caplog.text
