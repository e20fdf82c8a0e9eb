"""MLflow runs: parameters, metrics and outputs of a training."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Metric, Param, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_USER,
)

from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value
from sketch2video.git import git
from sketch2video.inputs.yaml_files import read_yaml
from sketch2video.networks.processes import process_state
from sketch2video.tracking.store import STORE, is_own_store, store_errors, tracking_uri

EXPERIMENT = "sketch2video"
SECONDS = "wall_seconds"


class TrackedRun:
    """A :class:`~sketch2video.training.loop.RunLogger` that writes to MLflow; created by :func:`tracked_run`.

    The run starts with :meth:`begin`, because the checkpoint determines whether an earlier run is resumed. The client
    is used and not the fluent ``mlflow.start_run(run_id=...)``, which refuses a run that was deleted, ends one only as
    finished or failed, and makes it the active run of the whole process.

    Args:
        name: name of the run, that of the stage.
        params: parameters by section; nested keys are joined by dots.
        project: folder with DVC's lock files, whose hashes of data are recorded.
        description: text that MLflow's pages show for the run.
    """

    def __init__(self, name: str, params: Mapping[str, Any], project: Path = Path(), *, description: str = "") -> None:
        self.name = name
        self.description = description
        self.params = flatten(params)
        self.project = project
        self._client: MlflowClient | None = None
        self._run_id: str | None = None
        self._started = time.monotonic()

    @property
    def run_id(self) -> str:
        """The id of the run, which is started if necessary."""
        return self._run_id or self.begin(None)

    @property
    def client(self) -> MlflowClient:
        """The client of the tracking store."""
        if self._client is None:
            if is_own_store():
                STORE.mkdir(exist_ok=True)
            self._client = MlflowClient(tracking_uri())
        return self._client

    def begin(self, run_id: str | None) -> str:
        """Resume the run ``run_id``, or start a new one if that is None or was deleted.

        Raises:
            UserError: the tracking store cannot be reached.
        """
        with store_errors():
            if run_id is not None and self._is_there(run_id):
                self.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
            else:
                run = self.client.create_run(_experiment(self.client), tags=self._tags())
                run_id = run.info.run_id
                recorded = [Param(key, str(value)) for key, value in self.params.items()]
                self.client.log_batch(run_id, params=recorded)
        self._run_id = run_id
        return run_id

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record values after ``step`` steps."""
        now = int(time.time() * 1000)
        recorded = [Metric(key, float(value), now, step) for key, value in values.items()]
        with store_errors(patient=True):
            self.client.log_batch(self.run_id, metrics=recorded)

    def figure(self, path: Path) -> None:
        """Log a copy of a picture, under ``previews``."""
        with store_errors(patient=True):
            self.client.log_artifact(self.run_id, str(path), "previews")

    def folder(self, path: Path, name: str) -> None:
        """Log a copy of a folder, such as a finished model, under ``name``."""
        with store_errors(patient=True):
            self.client.log_artifacts(self.run_id, str(path), name)

    def finish(self, status: int) -> None:
        """Record the wall time, including earlier parts, and the status; nothing if the run never began."""
        if self._run_id is None:
            return
        with store_errors(patient=status == RunStatus.FINISHED):
            before = self.client.get_run(self._run_id).data.metrics.get(SECONDS, 0.0)
            self.client.log_metric(self._run_id, SECONDS, before + time.monotonic() - self._started, step=0)
            self.client.set_terminated(self._run_id, RunStatus.to_string(status))

    def _is_there(self, run_id: str) -> bool:
        try:
            return self.client.get_run(run_id).info.lifecycle_stage == LifecycleStage.ACTIVE
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _tags(self) -> dict[str, str]:
        data = data_hashes(self.project)
        return {
            MLFLOW_RUN_NAME: self.name,
            MLFLOW_SOURCE_NAME: source_name(),
            MLFLOW_USER: os.environ.get("USER", ""),
            "device": hardware_name(),
            **({MLFLOW_RUN_NOTE: self.description} if self.description else {}),
            **({"data": sha256_of_value(data)} if data else {}),
            **data,
            **git_state(),
        }


class _OtherProcess(TrackedRun):
    """The run of a process that is not the main one; it records nothing."""

    def begin(self, run_id: str | None) -> str:
        """See :class:`TrackedRun`."""
        return run_id or ""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`TrackedRun`."""

    def figure(self, path: Path) -> None:
        """See :class:`TrackedRun`."""

    def folder(self, path: Path, name: str) -> None:
        """See :class:`TrackedRun`."""


@contextmanager
def tracked_run(
    name: str, params: Mapping[str, Any], project: Path = Path(), *, description: str = ""
) -> Iterator[TrackedRun]:
    """Record the ``with`` block as one MLflow run: finished, failed, or killed by Ctrl-C or SIGTERM.

    See :class:`TrackedRun` for the arguments. In distributed training, only the main process records.

    Raises:
        UserError: the tracking store cannot be reached.
    """
    kind = TrackedRun if process_state().is_main_process else _OtherProcess
    run = kind(name, params, project, description=description)
    try:
        yield run
    except BaseException as error:
        with suppress(UserError):  # the exception of the block takes precedence
            run.finish(RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED)
        raise
    run.finish(RunStatus.FINISHED)


def prepare_store() -> None:
    """Create the tracking store and its experiment, for processes in other folders that receive its URI.

    Raises:
        UserError: the store cannot be reached.
    """
    if is_own_store():
        STORE.mkdir(exist_ok=True)
    with store_errors():
        _experiment(MlflowClient(tracking_uri()))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def data_hashes(project: Path) -> dict[str, str]:
    """DVC's hash of every output below ``data/`` in the project's ``dvc.lock`` and those of its systems.

    By path relative to the project's folder; empty without such files.
    """
    hashes: dict[str, str] = {}
    for lock in sorted([*project.glob("dvc.lock"), *project.glob("systems/*/dvc.lock")]):
        stages = (read_yaml(lock) or {}).get("stages", {})
        outputs = [output for stage in stages.values() for output in stage.get("outs", [])]
        hashes |= {out["path"]: out["md5"] for out in outputs if out["path"].startswith("data/") and "md5" in out}
    return hashes


def source_name() -> str:
    """The running script, relative to the current folder if it is below it, such as ``flows/train_curve_vae.py``."""
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0])
    with suppress(ValueError):
        return script.resolve().relative_to(Path.cwd()).as_posix()
    return script.name


def git_state() -> dict[str, str]:
    """The commit of the current folder and whether files differ from it, as tags; empty outside a repository."""
    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return {}
    return {MLFLOW_GIT_COMMIT: commit, "git.changed": str(bool(changes)).lower()}


def hardware_name() -> str:
    """The accelerator's name, or the processor and its number of threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def _experiment(client: MlflowClient) -> str:
    """The id of the project's experiment; created if needed, with its artifacts beside the project's database."""
    known: Experiment | None = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        return known.experiment_id
    artifacts = (STORE / "artifacts").resolve().as_uri() if is_own_store() else None
    return client.create_experiment(EXPERIMENT, artifacts)
