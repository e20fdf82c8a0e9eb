from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.studio import models as module
from sketch2video.studio.models import Models, Offer, find_models
from sketch2video.tracking.registry import CHAMPION, client, list_versions, register_version
from sketch2video.tracking.runs import tracked_run
from tests.studio.serving import offer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project's folder with a registry of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_versions_and_folders_are_offered_the_champion_first(
    project: Path, tiny_pipeline_folder: Path, tiny_text_pipeline_folder: Path
) -> None:
    params = load_params(ROOT / "params.yaml")
    assert list_versions("sketch2video") == []
    for folder in (tiny_pipeline_folder, tiny_text_pipeline_folder):
        with tracked_run("register", {}) as run:
            register_version(folder, "sketch2video", params.generate, run)
    client().set_registered_model_alias("sketch2video", CHAMPION, "1")
    shutil.copytree(tiny_text_pipeline_folder, project / "models/text_ldm/pipeline")
    found = find_models(None, "sketch2video")
    assert [each.id for each in found] == ["sketch2video-1", "sketch2video-2", "text_ldm"]
    assert [each.version for each in found] == ["1", "2", None]
    assert [each.facts.system for each in found] == ["sketch_ldm", "text_ldm", "text_ldm"]
    assert found[0].name == "sketch2video 1 (champion)"
    assert found[0].reference == "models:/sketch2video/1"
    named = find_models("models:/sketch2video/2", None)
    assert [(each.id, each.version) for each in named] == [("chosen", "2"), ("text_ldm", None)]
    with pytest.raises(UserError, match="models:/other@champion is not in the registry"):
        find_models("models:/other@champion", None)


def test_damaged_folders_are_left_out(
    project: Path, tiny_pipeline_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for system in ("sketch_ldm", "long_video"):
        shutil.copytree(tiny_pipeline_folder, project / f"models/{system}/pipeline")
    index = project / "models/long_video/pipeline/model_index.json"
    index.write_text(json.dumps({"_class_name": "Other"}))
    assert [each.id for each in find_models(None, None)] == ["sketch_ldm"]
    assert "models/long_video/pipeline is not offered" in caplog.text
    assert not (project / "mlruns").exists()


def test_models_are_loaded_once_and_two_are_kept(tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(module, "load_pipeline", lambda folder: loaded.append(folder.name))
    monkeypatch.setattr(module, "content_hash", lambda folder: "hash")
    offers = []
    for name in "abc":
        one = offer(name, tiny_pipeline_folder)
        offers.append(Offer(name, name, name, Path(name), None, one.facts))
    models = Models(lambda: offers)
    for index in (0, 1, 0, 2, 0, 1, 2):
        models.load(offers[index])
    assert loaded == ["a", "b", "c", "b", "c"]
    assert [each.loaded for each in models.listed()] == [False, True, True]


def test_a_folder_that_was_made_again_is_loaded_again(
    tiny_pipeline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(module, "load_pipeline", lambda folder: loaded.append(folder.name))
    monkeypatch.setattr(module, "content_hash", lambda folder: "hash")
    one = Offer("a", "a", "a", tmp_path, None, offer("a", tiny_pipeline_folder).facts)
    models = Models(lambda: [one])
    for made in (1, 1, 2):
        (tmp_path / "model_index.json").touch()
        os.utime(tmp_path / "model_index.json", (made, made))
        models.load(one)
    assert len(loaded) == 2


def test_the_list_is_made_again_after_some_seconds(tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offers: list[Offer] = []
    models = Models(lambda: list(offers))
    assert models.offers() == []
    offers.append(offer("a", tiny_pipeline_folder))
    assert models.offers() == []
    monkeypatch.setattr(module, "FRESH", 0.0)
    assert models.find("a").id == "a"
    with pytest.raises(UserError, match="no such model"):
        models.find("b")
