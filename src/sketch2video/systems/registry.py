"""Registry of all systems: those of this package, of installed packages, and those that a program registers.

Every folder of ``sketch2video/systems`` is a system. Another package adds one by an entry point of the group
``sketch2video.systems`` that names its spec.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from sketch2video.errors import UserError
from sketch2video.params import SECTIONS
from sketch2video.systems.shared import SHARED_PARTS
from sketch2video.systems.spec import SHARED, Part, SystemSpec

DEFAULT = "sketch_ldm"
"""The system of the project's own ``dvc.yaml``; the others have theirs in ``systems/<name>/``."""

GROUP = "sketch2video.systems"

_registered: dict[str, SystemSpec] = {}


def register_system(spec: SystemSpec) -> None:
    """Register a system.

    Raises:
        ValueError: its name, or the name of one of its sections, is in use.
    """
    if spec.name == SHARED or _registered.get(spec.name, spec) != spec:
        raise ValueError(f"there is a system {spec.name} already; choose another name")
    for name, section in spec.params.items():
        if SECTIONS.setdefault(name, section) is not section:
            raise ValueError(f"there is a section {name} of the parameters already; choose another name")
    _registered[spec.name] = spec


@contextmanager
def registered(spec: SystemSpec) -> Iterator[None]:
    """Register a system within the ``with`` block."""
    register_system(spec)
    try:
        yield
    finally:
        del _registered[spec.name]
        for name in spec.params:
            del SECTIONS[name]


@cache
def _discover() -> None:
    package = Path(__file__).parent
    for module in pkgutil.iter_modules([str(package)]):
        if module.ispkg:
            found = importlib.import_module(f"{__package__}.{module.name}")
            if spec := getattr(found, "SPEC", None):  # an adapted base has no stages of the graph
                register_system(spec)
    for point in entry_points(group=GROUP):
        register_system(point.load())


def system_names() -> list[str]:
    """Names of all systems, the default one first."""
    _discover()
    return sorted(_registered, key=lambda name: (name != DEFAULT, name))


def find_system(name: str) -> SystemSpec:
    """Find a system by its name.

    Raises:
        UserError: there is no such system.
    """
    _discover()
    if name not in _registered:
        raise UserError(f"there is no system {name}; choose one of {', '.join(system_names())}")
    return _registered[name]


def title_of(name: str) -> str:
    """A system's title; empty if there is no such system here, as for reports of another project's systems."""
    return find_system(name).title if name in system_names() else ""


def parts_of(owner: str) -> Sequence[Part]:
    """The parts of a system, or the shared ones.

    Args:
        owner: name of a system, or "shared".

    Raises:
        UserError: there is no such system.
    """
    return SHARED_PARTS if owner == SHARED else find_system(owner).parts


def find_part(owner: str, stage: str) -> Part:
    """Find a part by its name or that of its stage.

    Args:
        owner: name of a system, or "shared".
        stage: such as ``train_autoencoder`` or ``autoencoder``.

    Raises:
        UserError: there is no such system, or it has no such part.
    """
    parts = parts_of(owner)
    for part in parts:
        if stage in (part.stage, part.name):
            return part
    raise UserError(f"{owner} has no part {stage}; choose one of {', '.join(part.name for part in parts)}")


def is_shared(stage: str) -> bool:
    """Whether a part, named by itself or its stage, is shared by several systems."""
    return any(stage in (part.stage, part.name) for part in SHARED_PARTS)


def system_of_class(name: str) -> SystemSpec | None:
    """The system whose pipeline has a class of this name; None if there is none."""
    return next((spec for spec in map(find_system, system_names()) if spec.class_name == name), None)
