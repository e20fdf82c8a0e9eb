"""The MLflow registered model: versions of the assembled pipeline, and the aliases ``challenger`` and ``champion``."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mlflow
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.utils.uri import is_local_uri

from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.params import RequestParams
from sketch2video.systems.loading import INDEX, content_hash, pipeline_folder
from sketch2video.systems.registry import find_system, system_names
from sketch2video.systems.spec import named_file
from sketch2video.tracking import pyfunc_model
from sketch2video.tracking.requirements import requirements_of
from sketch2video.tracking.runs import TrackedRun
from sketch2video.tracking.store import store_errors, tracking_uri

CHALLENGER = "challenger"
"""Alias of the latest version."""
CHAMPION = "champion"
"""Alias of the best version, as decided by the gate."""

CONTENT_HASH = "content_hash"
"""Tag of a version: hash of the pipeline's files."""

_PACKAGE = Path(__file__).parents[1]
_MODELS_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def register_version(folder: Path, name: str, settings: RequestParams, run: TrackedRun) -> str:
    """Register a pipeline as a version of a registered model, with the alias ``challenger``.

    The version holds the pipeline, this package's code, a signature, an input example and pinned requirements. A
    pipeline that is a version already is not registered again.

    Args:
        folder: folder of the assembled pipeline.
        name: name of the registered model.
        settings: defaults of the served model's parameters; the pipeline's own guidance, if they have none.
        run: the MLflow run of a new version.

    Returns:
        The version's number.

    Raises:
        UserError: the folder holds no pipeline, or the registry is not available.
    """
    folder = pipeline_folder(folder)
    content = content_hash(folder)
    settings = settings.completed(read_json(folder / INDEX).get("sampling", {}))
    version = find_version(name, content)
    with registry_errors():
        if version is None:
            with mlflow.start_run(run.run_id):
                logged = mlflow.pyfunc.log_model(
                    name=name,
                    python_model=pyfunc_model.__file__,
                    artifacts={"pipeline": folder.resolve().as_uri()},  # special characters of a path would be decoded
                    code_paths=[str(_PACKAGE)],
                    signature=signature(settings),
                    input_example=pd.DataFrame({"caption": ["a red circle moves left to right"], "seed": [0]}),
                    pip_requirements=requirements_of(Path(pyfunc_model.__file__), *_pipelines()),
                    model_config=RequestParams.options(settings),
                )
            version = mlflow.register_model(logged.model_uri, name, tags={CONTENT_HASH: content})
        client().set_registered_model_alias(name, CHALLENGER, version.version)
    return str(version.version)


def _pipelines() -> list[Path]:
    """Files of the pipelines of all systems, any of which the served model may load."""
    return [named_file(find_system(name).pipeline) for name in system_names()]


def find_version(name: str, content: str) -> ModelVersion | None:
    """The latest version of a registered model with this content hash; None if there is none."""
    with registry_errors():
        try:
            known = client().search_model_versions(f"name = '{name}' and tags.{CONTENT_HASH} = '{content}'")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
    return max(known, key=lambda version: int(version.version), default=None)


class Version(NamedTuple):
    """A version of a registered model: its number, and its aliases in alphabetical order."""

    number: int
    aliases: tuple[str, ...]


def list_versions(name: str) -> list[Version]:
    """All versions of a registered model that are ready, by their numbers; none if there is no such model.

    Raises:
        UserError: the registry is not available.
    """
    with registry_errors():
        try:
            versions = client().search_model_versions(f"name = '{name}'")
            aliases: dict[str, list[str]] = {}
            for alias, number in client().get_registered_model(name).aliases.items() if versions else ():
                aliases.setdefault(str(number), []).append(alias)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
    ready = (str(version.version) for version in versions if version.status == "READY")
    return [Version(int(number), tuple(sorted(aliases.get(number, ())))) for number in sorted(ready, key=int)]


def aliased_version(name: str, alias: str) -> ModelVersion | None:
    """The version of a registered model that has an alias; None if there is none."""
    with registry_errors():
        try:
            return client().get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise


def locate_version(reference: str) -> tuple[Path, str]:
    """Find the pipeline of ``models:/name@alias`` or ``models:/name/version``.

    Returns:
        The pipeline's folder and the version's number.

    Raises:
        UserError: there is no such model or version, or the registry is not available.
    """
    match = _MODELS_URI.fullmatch(reference)
    if match is None:
        raise UserError(f"{reference} is not of the form models:/name@alias or models:/name/version; correct it")
    name, alias, number = match["name"], match["alias"], match["version"]
    with registry_errors(f"{reference} is not in the registry; run `sketch2video register`, or name a folder"):
        if alias:
            number = client().get_model_version_by_alias(name, alias).version
        folder = _downloaded(name, str(number))
        described = yaml.safe_load((folder / MLMODEL_FILE_NAME).read_text(encoding="utf-8"))
    artifact = described["flavors"]["python_function"]["artifacts"]["pipeline"]["path"]
    return folder / artifact, str(number)


def _downloaded(name: str, number: str) -> Path:
    """The folder of a version: in a local store the original, else a copy that is removed at the end of the process."""
    copy = None
    if not is_local_uri(client().get_model_version_download_uri(name, number)):
        copy = tempfile.mkdtemp(prefix="sketch2video-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
    uri = f"models:/{name}/{number}"
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=copy, tracking_uri=tracking_uri()))


def signature(settings: RequestParams) -> ModelSignature:
    """Inputs, outputs and parameters of the served model; see :mod:`sketch2video.tracking.pyfunc_model`."""
    types = {str: "string", int: "long", float: "double"}
    settable = [ParamSpec(name, types[type(value)], value) for name, value in settings.deciding().items()]
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec("string", "caption"),
                ColSpec("long", "seed", required=False),
                ColSpec("long", "num_frames", required=False),
            ]
        ),
        outputs=Schema([ColSpec("string", "video"), ColSpec("string", "sketch"), ColSpec("long", "seed")]),
        params=ParamSchema(settable),
    )


def client() -> MlflowClient:
    """A client of the tracking store and its registry; also sets the store of MLflow's own functions."""
    mlflow.set_tracking_uri(tracking_uri())
    return MlflowClient()


@contextmanager
def registry_errors(missing: str | None = None) -> Iterator[None]:
    """Turn MLflow's errors into a :class:`UserError`; see :func:`~sketch2video.tracking.store.store_errors`."""
    with store_errors(registry=True):
        client()
    with store_errors(missing, registry=True):
        yield
