from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from sketch2video.media.codec import read_clip
from sketch2video.params import load_params
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.runs import tracked_run
from sketch2video.tracking.store import tracking_uri


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path) -> Path:
    """A project's folder in whose registry the tiny pipeline is the challenger."""
    folder = tmp_path_factory.mktemp("project")
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    settings = params.generate.model_copy(update={"num_inference_steps": 2, "batch_size": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        with tracked_run("register", {}) as run:
            register_version(tiny_pipeline_folder, "sketch2video", settings, run)
    return folder


@pytest.fixture
def model(registered: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(registered)
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.pyfunc.load_model("models:/sketch2video@challenger")


def frames_of(video: str, folder: Path) -> Any:
    (folder / "answer.mp4").write_bytes(base64.b64decode(video))
    return read_clip(folder / "answer.mp4", 4, 32)


def test_a_row_is_a_video(model: Any, tmp_path: Path) -> None:
    asked = pd.DataFrame({"caption": ["a red circle", "a star", "a heart"], "seed": [3, 4, 5], "num_frames": [8, 6, 8]})
    answer = model.predict(asked)
    assert answer["seed"].tolist() == [3, 4, 5]
    assert [frames_of(video, tmp_path).source_frames for video in answer["video"]] == [8, 6, 8]
    assert all(svg.startswith("<svg") for svg in answer["sketch"])


def test_a_system_that_draws_nothing_answers_with_an_empty_sketch(
    registered: Path, tiny_text_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(registered)
    settings = load_params(Path(__file__).parents[2] / "params.yaml").generate
    with tracked_run("register", {}) as run:
        version = register_version(tiny_text_pipeline_folder, "text2video", settings, run)
    model = mlflow.pyfunc.load_model(f"models:/text2video/{version}")
    answer = model.predict(pd.DataFrame({"caption": ["a red circle"], "seed": [3]}), params={"num_inference_steps": 1})
    assert answer["sketch"].tolist() == [""]
    assert frames_of(answer["video"][0], tmp_path).source_frames == 8


def test_requests_at_the_same_time_are_answered_one_after_another(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = model.unwrap_python_model()
    inside, together = [], []

    def generate(prompts: list[Any], settings: Any) -> list[Any]:
        inside.append(None)
        time.sleep(0.05)
        together.append(len(inside))
        inside.pop()
        return []

    monkeypatch.setattr(served, "_generate", generate)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: model.predict(pd.DataFrame({"caption": ["a star"]})), range(4)))
    assert together == [1] * 4


def test_seeds_are_free_and_repeatable(model: Any) -> None:
    asked = pd.DataFrame({"caption": ["a red circle", "a red circle"]})
    first, again = model.predict(asked), model.predict(asked)
    assert first.equals(again)
    assert first["video"][0] != first["video"][1]


def test_parameters_reach_the_pipeline(model: Any, tmp_path: Path) -> None:
    asked = pd.DataFrame({"caption": ["a red circle"], "seed": [1]})
    answer = model.predict(asked, params={"fps": 4.0})
    assert frames_of(answer["video"][0], tmp_path).source_fps == pytest.approx(4.0)
    with pytest.raises(MlflowException, match="num_inference_steps"):
        model.predict(asked, params={"num_inference_steps": 0})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("caption", " ", "row 1: the caption is empty"), ("seed", -1, "seed is -1"), ("num_frames", 1, "num_frames is 1")],
)
def test_a_wrong_row_is_named(model: Any, column: str, value: Any, message: str) -> None:
    with pytest.raises(MlflowException, match=message):
        model.predict(pd.DataFrame({"caption": ["a star"], column: [value]}))


def test_videos_longer_than_the_model_makes_are_a_wrong_request(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model.unwrap_python_model().pipeline), "longest", 16)
    asked = pd.DataFrame({"caption": ["a star", "a heart"], "num_frames": [16, 17]})
    with pytest.raises(MlflowException, match=r"row 2 of the request has num_frames 17, but this model makes 16"):
        model.predict(asked)


def ask(port: int, request: dict[str, Any]) -> tuple[int, Any]:
    data = json.dumps(request).encode()
    url = f"http://127.0.0.1:{port}/invocations"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"})) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_mlflow_serves_it(registered: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["models", "serve", "-m", "models:/sketch2video@challenger", "--env-manager", "local", "-p", str(port)]
    log = tmp_path / "log"
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command, "-h", "127.0.0.1"],
        cwd=registered,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{registered / 'mlruns' / 'mlflow.db'}"},
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
        rows = [{"caption": "a red circle", "seed": 7}, {"caption": "a star", "seed": 0}]
        status, answer = ask(port, {"dataframe_records": rows})
        assert status == 200, answer
        assert [row["seed"] for row in answer["predictions"]] == [7, 0]
        assert frames_of(answer["predictions"][0]["video"], tmp_path).source_frames == 8
        status, answer = ask(port, {"inputs": {"caption": [""]}, "params": {"fps": 4.0}})
        assert status == 400
        assert "the caption is empty" in json.dumps(answer)
    finally:
        server.terminate()
        server.wait(30)
