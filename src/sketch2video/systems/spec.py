"""Specification of a system: one frozen object with all properties by which the project handles systems.

To add a system: a folder in ``systems/`` whose ``__init__`` has ``SPEC``, a section of ``params.yaml`` if it has
parameters of its own, and a ``dvc.yaml``. Specs do not import libraries that load slowly: functions and classes are
given by name, and imported when they are called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sketch2video.files import PIPELINE
from sketch2video.params import Params, Section

MODELS, DATA, REPORTS = Path("models"), Path("data"), Path("reports")

SHARED = "shared"
"""Owner of the parts that several systems share."""


def model_folder(owner: str, part: str) -> Path:
    """``models/<owner>/<part>``."""
    return MODELS / owner / part


def data_folder(owner: str, part: str) -> Path:
    """``data/<owner>/<part>``."""
    return DATA / owner / part


def report_folder(owner: str) -> Path:
    """``reports/<owner>``."""
    return REPORTS / owner


TEXT_ENCODER = model_folder(SHARED, "text_encoder")
CURVE_VAE = model_folder(SHARED, "curve_vae")


def named(target: str) -> Any:
    """Import the function or class ``module:name``."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def named_file(target: str) -> Path:
    """The file of the module of ``module:name``, without importing it."""
    spec = find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{target} does not exist")
    return Path(spec.origin)


@dataclass(frozen=True)
class Part:
    """A trained network, or data that a network generates: one stage of the graph.

    Attributes:
        name: name of the part and of its folder.
        title: description of the output for users, in `sketch2video train --list` and MLflow.
        make: ``module:function``. For a network ``f(params, logger, output, **arguments) -> TrainResult``, for data
            ``f(output, **arguments) -> dict`` of metrics; see :mod:`sketch2video.training`. The code of its
            folder, with all its imports, is recorded with the output.
        arguments: further arguments of ``make``, from the parameters.
        sections: sections of the parameters that the stage's run records, in addition to ``base``.
        is_data: whether the output is ``data/<owner>/<name>`` instead of ``models/<owner>/<name>``.
        unneeded: from the parameters to the reason why nothing is trained; None: it is trained.
        note: ``module:function``, called as ``f(folder, False, reason=...)`` instead of an unneeded training.
    """

    name: str
    title: str
    make: str
    arguments: Callable[[Params], Mapping[str, Any]] = lambda params: {}
    sections: Sequence[str] = ()
    is_data: bool = False
    unneeded: Callable[[Params], str | None] = lambda params: None
    note: str | None = None

    @property
    def stage(self) -> str:
        """Name of the stage: ``train_<name>`` or ``encode_<name>``."""
        return f"{'encode' if self.is_data else 'train'}_{self.name}"

    def folder(self, owner: str) -> Path:
        """The output folder."""
        return data_folder(owner, self.name) if self.is_data else model_folder(owner, self.name)


@dataclass(frozen=True)
class SystemSpec:
    """Specification of a system.

    Attributes:
        name: name of the system and of its folders in ``models``, ``data`` and ``reports``.
        title: description for users, in reports, `sketch2video train --list` and MLflow.
        pipeline: ``module:class`` of its :class:`~sketch2video.pipelines.video_pipeline.VideoPipeline`.
        control: name of the control pictures of its networks (:mod:`sketch2video.controls`), from the parameters.
        parts: the parts of this system alone, in the order of their training.
        assemble: ``module:function``, called as ``f(output, **arguments)``; writes the pipeline's folder.
        arguments: arguments of ``assemble``, from the parameters.
        sections: sections of the parameters that the run of ``assemble`` records, in addition to ``base``.
        params: classes of the system's own sections of ``params.yaml``, by name.
    """

    name: str
    title: str
    pipeline: str
    control: Callable[[Params], str]
    parts: Sequence[Part]
    assemble: str
    arguments: Callable[[Params], Mapping[str, Any]]
    sections: Sequence[str] = ()
    params: Mapping[str, type[Section]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the assembled pipeline."""
        return model_folder(self.name, PIPELINE)

    @property
    def class_name(self) -> str:
        """Name of the pipeline's class, by which a saved pipeline is recognised."""
        return self.pipeline.rpartition(":")[2]

    @property
    def pipeline_class(self) -> Any:
        """The pipeline's class, imported."""
        return named(self.pipeline)
