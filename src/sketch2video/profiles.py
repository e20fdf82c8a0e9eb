"""Edits of ``params.yaml`` that keep its comments: profiles, and where the videos come from.

A profile (``profiles/gpu.yaml``) holds only what differs from the defaults. Applying one writes the differences into
``params.yaml``, where git shows them and DVC sees them; there is no second layer of configuration at run time.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.representer import RoundTripRepresenter

from sketch2video.controls import check_controls
from sketch2video.data.sources.captions import read_captions
from sketch2video.data.sources.hashable import refuse_unhashable
from sketch2video.data.sources.layouts import data_set_of
from sketch2video.errors import UserError, printable
from sketch2video.files import replacing
from sketch2video.inputs.texts import brief, read_text
from sketch2video.inputs.yaml_files import UNFIT, naming_fault, read_yaml, unfit
from sketch2video.params import parse_params

SYNTHETIC = "synthetic"
"""The name of the embedded source, in prefix of a CSV's path."""


def profile_names(profiles: Path | str = "profiles") -> list[str]:
    """Names of the profiles in a folder, sorted."""
    return sorted(path.stem for path in Path(profiles).glob("*.yaml"))


def apply_profile(name: str, params: Path | str = "params.yaml", profiles: Path | str = "profiles") -> None:
    """Write a profile's differences into a parameter file; see :func:`edit_params`.

    Raises:
        UserError: there is no such profile, or its values are not valid.
    """
    path = Path(profiles) / f"{name}.yaml"
    if name not in profile_names(profiles):
        raise UserError(
            f"there is no profile {name!r} in {profiles}; known: {', '.join(profile_names(profiles)) or 'none'}"
            " (the defaults come back with `git checkout params.yaml`)"
        )
    differences = _load(path)
    if not isinstance(differences, Mapping):
        raise UserError(f"{path}: a profile is a mapping like params.yaml, this is {type(differences).__name__}")
    edit_params(differences, params, source=str(path))


def source_params(source: str) -> dict[str, str]:
    """The values of the section ``ingest`` for a source.

    Args:
        source: path of a CSV with the columns ``path_to_video,caption[,label][,split][,path_to_control]``, a folder of
            UCF-101, MSR-VTT or Sprites, or ``synthetic``.

    Raises:
        UserError: the CSV is missing or cannot be read, see
            :func:`~sketch2video.data.sources.captions.read_captions`; the folder is none of these data sets; or it
            holds files that DVC cannot hash.
    """
    if source == SYNTHETIC:
        return {"source": SYNTHETIC}
    path = Path(source)
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{printable(source)} is no UTF-8 name, which params.yaml needs; rename it") from error
    if path.is_dir():
        kind = data_set_of(path)
        refuse_unhashable(path)
        return {"source": kind, "folder": path.as_posix()}
    read_captions(path.parent, path.name)
    refuse_unhashable(path.parent)
    return {"source": "folder", "folder": path.parent.as_posix(), "captions": path.name}


def edit_params(differences: Mapping[str, Any], params: Path | str = "params.yaml", source: str = "edit") -> None:
    """Merge ``differences`` into a parameter file: comments and order are kept; checked and atomic.

    Args:
        differences: nested as in the file; every key must exist there.
        params: the file.
        source: named in error messages.

    Raises:
        UserError: a key is unknown, or the result would not be valid; the file is then unchanged.
    """
    values = _load(Path(params))
    if not isinstance(values, Mapping):
        raise UserError(f"{params} is not a mapping of sections; restore it with `git checkout {params}`")
    _merge(values, differences, source)
    check_controls(parse_params(_plain(values), source), source)
    text = io.StringIO()
    _yaml().dump(values, text)
    with replacing(params) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def _merge(values: Any, differences: Mapping[str, Any], source: str, prefix: str = "") -> None:
    for key, value in differences.items():
        if key not in values:
            raise UserError(f"{source}: unknown key {brief(f'{prefix}{key}')}; remove it or correct its spelling")
        if isinstance(values[key], Mapping) and isinstance(value, Mapping):
            _merge(values[key], value, source, f"{prefix}{key}.")
        else:
            values[key] = value


def _plain(value: Any) -> Any:
    """The same values in Python's own types, which strict models require."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _load(path: Path) -> Any:
    read_yaml(path)  # first, since its messages name the fault
    with naming_fault(path):
        return _yaml().load(read_text(path))


class _Representer(RoundTripRepresenter):
    """Writes ``null`` as the word, and 0.00005 as 5.0e-05: without the point it is a string in YAML 1.1."""

    def represent_none(self, data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")

    def represent_float(self, data: float) -> Any:
        text = repr(data)
        return self.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text.replace("e", ".0e"))


_Representer.add_representer(type(None), _Representer.represent_none)
_Representer.add_representer(float, _Representer.represent_float)


class _Constructor(RoundTripConstructor):
    """Reports the position of a value that does not fit its tag."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except UNFIT as error:
            raise ConstructorError(None, None, unfit(node), node.start_mark) from error


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.preserve_quotes = True
    yaml.width = 4096  # long lines stay lines
    yaml.Representer = _Representer
    return yaml
