"""What a system is: one frozen object that everything that handles systems asks.

To add a system: a folder in ``systems/`` whose ``__init__`` has ``SPEC``, a section of ``params.yaml`` if it has
parameters of its own, and a ``dvc.yaml``. Specs import no library that takes long to load: functions and classes are
named, and imported when they are called.
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
"""The owner of parts that several systems use."""


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
    """The function or class that ``module:name`` names, imported."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def named_file(target: str) -> Path:
    """The file of the module that ``module:name`` names, which need not be imported for that."""
    spec = find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{target} does not exist")
    return Path(spec.origin)


@dataclass(frozen=True)
class Part:
    """A network that is trained, or data that a network makes: one stage of the graph.

    Attributes:
        name: of its folder.
        title: what the stage does, for people.
        make: ``module:function``. Of a network ``f(params, logger, output, **arguments) -> TrainResult``, of data
            ``f(output, **arguments) -> dict`` of metrics; see :mod:`sketch2video.training`. The code of its
            folder, with all that this imports, is recorded with what it makes.
        arguments: further ones, from the parameters.
        sections: of the parameters, that the stage's run records beside ``base``.
        is_data: whether it goes to ``data/<owner>/<name>``, and not to ``models/<owner>/<name>``.
        unneeded: why nothing is trained, from the parameters; None: it is trained.
        note: ``module:function``, called as ``f(folder, False, reason=...)`` in place of an unneeded training.
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
        """Where it goes."""
        return data_folder(owner, self.name) if self.is_data else model_folder(owner, self.name)


@dataclass(frozen=True)
class SystemSpec:
    """A system.

    Attributes:
        name: of its folders in ``models``, ``data`` and ``reports``.
        title: what it is, for reports and help.
        pipeline: ``module:class`` of its :class:`~sketch2video.pipelines.video_pipeline.VideoPipeline`.
        control: name of the pictures that its networks see (:mod:`sketch2video.controls`), from the parameters.
        parts: what is made for it alone, in this order.
        assemble: ``module:function``, called as ``f(output, **arguments)``; writes the pipeline's folder.
        arguments: of ``assemble``, from the parameters.
        sections: of the parameters, that the run of ``assemble`` records beside ``base``.
        params: sections of ``params.yaml`` that the system brings, by name.
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
        """Where the assembled pipeline goes."""
        return model_folder(self.name, PIPELINE)

    @property
    def class_name(self) -> str:
        """Name of the pipeline's class, by which a saved pipeline is recognised."""
        return self.pipeline.rpartition(":")[2]

    @property
    def pipeline_class(self) -> Any:
        """The pipeline's class, imported."""
        return named(self.pipeline)
