import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mlflow import MlflowClient
from torch import nn

from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.errors import UserError
from sketch2video.params import TrainingParams
from sketch2video.tracking import runs
from sketch2video.tracking.runs import data_hashes, flatten, git_state, source_name, tracked_run
from sketch2video.tracking.store import tracking_uri
from sketch2video.training.loop import Task, train

LOCK = """
schema: '2.0'
stages:
  ingest:
    cmd: sketch2video ingest
    outs:
    - {path: data/clips, hash: md5, md5: 0123.dir, size: 10}
  train:
    cmd: python -m flows.train
    outs:
    - {path: models/x, hash: md5, md5: 4567.dir, size: 10}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A project's folder; one database for all tests here, because making one takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dvc.lock").write_text(LOCK)
    return folder


@pytest.fixture(autouse=True)
def project(store, monkeypatch) -> Path:
    monkeypatch.chdir(store)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return store


def run_of(run_id: str):
    return MlflowClient(tracking_uri()).get_run(run_id)


def test_a_run_holds_params_curves_files_and_where_it_came_from(project):
    (project / "model").mkdir()
    (project / "model" / "config.json").write_text("{}")
    (project / "sheet.txt").write_text("a picture")
    params = {"base": {"seed": 3}, "curve_vae": {"training": {"steps": 2}}}
    with tracked_run("curve_vae", params, description="VAE of curves") as run:
        run.metrics({"loss": 2.0}, 1)
        run.metrics({"loss": 1.0}, 2)
        run.figure(project / "sheet.txt")
        run.folder(project / "model", "model")
    recorded = run_of(run.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params == {"base.seed": "3", "curve_vae.training.steps": "2"}
    assert recorded.data.tags["data/clips"] == "0123.dir"
    assert recorded.data.tags["mlflow.note.content"] == "VAE of curves"
    assert "models/x" not in recorded.data.tags
    assert recorded.data.tags["device"]
    assert recorded.data.metrics["wall_seconds"] > 0
    client = MlflowClient(tracking_uri())
    assert [(m.step, m.value) for m in client.get_metric_history(run.run_id, "loss")] == [(1, 2.0), (2, 1.0)]
    artifacts = project / "mlruns" / "artifacts" / run.run_id / "artifacts"
    assert {p.relative_to(artifacts).as_posix() for p in artifacts.rglob("*") if p.is_file()} == {
        "previews/sheet.txt",
        "model/config.json",
    }


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_ends_badly_says_so(error, status):
    run_ids = []

    def fail() -> None:
        with tracked_run("x", {}) as run:
            run_ids.append(run.begin(None))
            raise error

    with pytest.raises(error):
        fail()
    assert run_of(run_ids[0]).info.status == status


class Regression(Task):
    fail_at: int | None = None
    steps = 0

    def loss(self, batch, generator, progress):
        self.steps += 1
        if self.steps == self.fail_at:
            raise RuntimeError("pulled the plug")
        return (self.module(batch["x"]) - batch["x"]).square().mean(), {}


def test_an_interrupted_training_is_one_run(project):
    settings = TrainingParams(
        steps=10,
        batch_size=2,
        learning_rate=0.1,
        warmup_steps=0,
        weight_decay=0.0,
        gradient_clip=1.0,
        gradient_accumulation=1,
        ema_decay=0.5,
        checkpoint_every=3,
        preview_every=0,
    )

    def attempt(fail_at: int | None) -> str:
        torch.manual_seed(0)
        task = Regression(nn.Linear(2, 2))
        task.fail_at = fail_at
        data = TensorDataset({"x": torch.randn(6, 2)})
        with tracked_run("x", {"x": settings.model_dump()}) as run:
            train(task, data, settings, name="x", checkpoint_folder=project / "ck", seed=0, logger=run)
        return run.run_id

    with pytest.raises(RuntimeError, match="pulled the plug"):
        attempt(8)
    run_id = attempt(None)
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("sketch2video")
    runs = client.search_runs([experiment.experiment_id], "params.`x.steps` = '10'")
    assert [run.info.run_id for run in runs] == [run_id]
    assert runs[0].info.status == "FINISHED"
    assert {metric.step for metric in client.get_metric_history(run_id, "loss")} == set(range(1, 11))


def test_a_deleted_run_is_replaced_by_a_new_one():
    with tracked_run("x", {}) as first:
        first.begin(None)
    MlflowClient(tracking_uri()).delete_run(first.run_id)
    with tracked_run("x", {}) as second:
        assert second.begin(first.run_id) != first.run_id
    with tracked_run("x", {}) as third:
        assert third.begin("0" * 32) != "0" * 32


def test_a_run_that_never_began_leaves_nothing():
    with pytest.raises(UserError, match="bad input"), tracked_run("never", {}):
        raise UserError("bad input")
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("sketch2video")
    names = [] if experiment is None else [r.info.run_name for r in client.search_runs([experiment.experiment_id])]
    assert "never" not in names


def test_the_environment_chooses_the_store(monkeypatch, tmp_path):
    assert tracking_uri() == f"sqlite:///{Path.cwd() / 'mlruns' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking_uri() == "http://127.0.0.1:1"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with (
        pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:1 does not respond"),
        tracked_run("x", {}) as run,
    ):
        run.begin(None)


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": [1, 2]}) == {"a.b": 1, "a.c.d": None, "e": [1, 2]}


def test_hashes_come_from_the_lock_files_of_all_systems(tmp_path):
    assert data_hashes(Path()) == {"data/clips": "0123.dir"}
    assert data_hashes(tmp_path) == {}
    for folder in ("", "systems/text_ldm"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "dvc.lock").write_text(LOCK.replace("data/clips", f"data/{folder or 'clips'}"))
    assert data_hashes(tmp_path) == {"data/clips": "0123.dir", "data/systems/text_ldm": "0123.dir"}
    (tmp_path / "dvc.lock").write_text("<<<<<<< HEAD\nstages: {\n")
    with pytest.raises(UserError, match=r"dvc\.lock"):
        data_hashes(tmp_path)


@pytest.mark.parametrize(("where", "named"), [("flows/train_x.py", "flows/train_x.py"), ("/other/run.py", "run.py")])
def test_the_source_of_a_run_is_the_script_that_runs(where, named, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(Path(where).absolute()), raising=False)
    assert source_name() == named


def test_the_commit_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert git_state() == {}
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert git_state() == {"mlflow.source.git.commit": head, "git.changed": "false"}


def test_telemetry_is_off_where_the_libraries_look():
    check = """
from sketch2video.tracking.environment import quiet
quiet()
import huggingface_hub.constants, mlflow.environment_variables, prefect.settings
from dvc.analytics import is_enabled
from prefect._internal.analytics.enabled import is_telemetry_enabled
assert mlflow.environment_variables.MLFLOW_DISABLE_TELEMETRY.get()
assert not prefect.settings.get_current_settings().server.analytics_enabled
assert not is_telemetry_enabled()
assert not is_enabled()
assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
"""
    kept = ("PATH", "HOME", "VIRTUAL_ENV", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name in kept}
    subprocess.run([sys.executable, "-c", check], check=True, env=environment, timeout=120)


def test_what_the_user_has_set_stays(monkeypatch):
    from sketch2video.tracking.environment import quiet

    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "DEBUG")
    quiet()
    assert os.environ["MLFLOW_LOGGING_LEVEL"] == "DEBUG"


def test_of_several_processes_the_main_one_alone_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "process_state", lambda: SimpleNamespace(is_main_process=False))
    with tracked_run("curve_vae", {}) as run:
        assert run.begin("of the main process") == "of the main process"
        run.metrics({"loss": 2.0}, 1)
        run.figure(tmp_path / "sheet.png")
        run.folder(tmp_path / "model", "model")
    assert list(tmp_path.iterdir()) == []
