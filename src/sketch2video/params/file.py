"""Read and check ``params.yaml``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief, shown
from sketch2video.inputs.yaml_files import read_yaml
from sketch2video.params.data import BaseParams, FitParams, IngestParams, SketchParams, ValidateParams
from sketch2video.params.networks import (
    SAMPLERS,
    AutoencoderParams,
    CurveVAEParams,
    JudgeParams,
    SketcherParams,
    TextEncoderParams,
    TokenTransformerParams,
    VideoLDMParams,
    VQGANParams,
)
from sketch2video.params.section import Section
from sketch2video.params.systems import (
    AdaptedVideoParams,
    EvaluateParams,
    GenerateParams,
    LongVideoParams,
    RegisterParams,
    TextLDMParams,
)

_FAULTS = 10
"""Largest number of faults of a file that are reported."""

SECTIONS: dict[str, type[Section]] = {}
"""Sections that systems define (``SystemSpec.params``), by name; ``params.yaml`` may have them."""


class Params(Section):
    """The whole of ``params.yaml``; sections that systems define are attributes, too."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    base: BaseParams
    ingest: IngestParams
    sketch: SketchParams
    fit: FitParams
    validate_: ValidateParams = Field(alias="validate")
    sketcher: SketcherParams
    judge: JudgeParams
    text_encoder: TextEncoderParams
    curve_vae: CurveVAEParams
    autoencoder: AutoencoderParams
    video_ldm: VideoLDMParams
    text_ldm: TextLDMParams
    vqgan: VQGANParams
    token_transformer: TokenTransformerParams
    long_video: LongVideoParams
    adapted_video: AdaptedVideoParams
    evaluate: EvaluateParams
    register_: RegisterParams = Field(alias="register")
    generate: GenerateParams

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        factor = 2**self.autoencoder.halvings * self.video_ldm.patch
        if self.base.size % factor:
            raise ValueError(
                f"base.size: {self.base.size} cannot be halved {self.autoencoder.halvings} times (autoencoder.halvings)"
                f" and cut into patches of {self.video_ldm.patch} (video_ldm.patch); choose a multiple of {factor}"
            )
        factor = 2 ** (self.vqgan.halvings + self.vqgan.levels - 1)
        if self.base.size % factor:
            raise ValueError(
                f"base.size: {self.base.size} cannot be halved {self.vqgan.halvings} times (vqgan.halvings)"
                f" and once more for each further one of {self.vqgan.levels} grids (vqgan.levels);"
                f" choose a multiple of {factor}"
            )
        for name in ("text_encoder", "curve_vae", "video_ldm", "token_transformer"):
            section = getattr(self, name)
            if section.width % section.heads:
                raise ValueError(f"{name}.width: {section.width} is not a multiple of {name}.heads ({section.heads})")
        return self

    @model_validator(mode="after")
    def _samplers_fit_the_objective(self) -> Self:
        objective = self.video_ldm.objective
        for name in ("evaluate", "generate"):
            sampler, allowed = getattr(self, name).sampler, SAMPLERS[objective]
            if sampler not in allowed:
                raise ValueError(
                    f"{name}.sampler: {sampler} cannot sample what video_ldm.objective: {objective} trains;"
                    f" choose {', '.join(allowed[:-1])} or {allowed[-1]}"
                )
        return self


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises:
        UserError: the file is missing or not YAML, or a key is unknown, missing, of a wrong type or of an impossible
            value; the message names the key.
    """
    return parse_params(read_yaml(path), str(path))


def find_params(path: Path | str = "params.yaml") -> Params | None:
    """The parameters where the current folder is a project's; None where it has no such file, or another program's.

    Raises:
        UserError: as :func:`load_params`, if the file has a section ``fit``.
    """
    if not Path(path).exists():
        return None
    values = read_yaml(path)
    return parse_params(values, str(path)) if isinstance(values, dict) and "fit" in values else None


def parse_params(values: Any, source: str = "params") -> Params:
    """Check already loaded values; see :func:`load_params`."""
    own, brought, errors = _split(values)
    sections = {}
    for name, value in brought.items():
        try:
            sections[name] = SECTIONS[name].model_validate(value)
        except ValidationError as error:
            errors += [{**e, "loc": (name, *e["loc"])} for e in error.errors()]
    try:
        params = Params.model_validate(own | sections if isinstance(own, dict) else own)
    except ValidationError as error:
        errors += error.errors()
    if errors:
        faults = [_one_line(e) for e in errors]
        more = [f"and {len(faults) - _FAULTS} more"] if len(faults) > _FAULTS else []
        raise UserError(f"{source}: {'; '.join(faults[:_FAULTS] + more)}")
    return params


def _split(values: Any) -> tuple[Any, dict[str, Any], list[Any]]:
    """Values of the sections that all projects have, of those that systems define, and errors for unknown ones."""
    if not isinstance(values, dict):
        return values, {}, []
    known = {field.alias or name for name, field in Params.model_fields.items()}
    if values.keys() - known:
        # Systems define which sections they have; imported by name, as they import this module.
        importlib.import_module("sketch2video.systems.registry").system_names()
    others = {name: value for name, value in values.items() if name not in known}
    unknown = [{"type": "extra_forbidden", "loc": (name,)} for name in others if name not in SECTIONS]
    own = {name: value for name, value in values.items() if name in known}
    return own, {name: value for name, value in others.items() if name in SECTIONS}, unknown


def _one_line(error: Any) -> str:
    key = brief(".".join(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}; remove it or correct its spelling"
    if error["type"] == "missing":
        return f"missing key {key}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return message  # our own checks name their key
    return f"{key}: {message[0].lower()}{message[1:]} (got {shown(error['input'])})"
