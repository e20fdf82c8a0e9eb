"""How pipelines sample: the settings of a call, of the saved pipeline and of ``params.yaml``, each defined once.

A field here is a keyword argument of the pipelines' calls (:class:`SamplingOptions`), an entry of the saved pipeline's
``sampling``, a parameter of the sections ``evaluate`` and ``generate``, and a parameter of the served model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from pydantic import Field, ValidationError

from sketch2video.params.section import Section


class SamplingOptions(TypedDict, total=False):
    """The settings as keyword arguments; None, or left out: the saved pipeline's value.

    ``temperature``, ``top_k`` and ``top_p`` are for pipelines of tokens, ``num_inference_steps`` for all others.
    """

    guidance_scale: float | None
    control_guidance_scale: float | None
    num_inference_steps: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None


DEFAULTS: SamplingOptions = {
    "guidance_scale": 1.5,
    "control_guidance_scale": 1.0,
    "num_inference_steps": 8,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
}
"""Settings of a pipeline that was assembled without any; those of the graph get the section ``evaluate``."""


class Guidance(Section):
    """Classifier-free guidance; see :func:`~sketch2video.networks.flow_matching.guidance_weights`."""

    guidance_scale: float = Field(ge=0, description="of the caption; 1: no guidance")
    control_guidance_scale: float = Field(ge=0, description="of the control pictures; 1: no guidance, 0: ignored")

    @classmethod
    def options(cls, settings: Section) -> dict[str, Any]:
        """The fields of this class that ``settings`` has, by name."""
        return settings.model_dump(include=set(cls.model_fields))

    @classmethod
    def checked(cls, saved: Mapping[str, Any], given: Mapping[str, Any]) -> Self:
        """Settings from what is given (where it is not None), else from what is saved, else from ``DEFAULTS``.

        Args:
            saved, given: settings by name; each may lack some.

        Raises:
            TypeError: there is no such setting.
            ValueError: a value is out of its range.
        """
        unknown = [name for name in given if name not in cls.model_fields]
        if unknown:
            raise TypeError(f"unexpected argument {unknown[0]}; the settings are {', '.join(cls.model_fields)}")
        defaults = {name: value for name, value in DEFAULTS.items() if name in cls.model_fields}
        values = {**defaults, **saved, **{name: value for name, value in given.items() if value is not None}}
        try:
            return cls.model_validate(values, strict=False)
        except ValidationError as error:
            fault = error.errors()[0]
            reason = fault["msg"].removeprefix("Input ")
            raise ValueError(f"{fault['loc'][0]} is {fault['input']}; it {reason}") from error


class DiffusionSampling(Guidance):
    """Sampling of a denoiser."""

    num_inference_steps: int = Field(ge=1, description="steps of the sampler")


class TokenChoice(Section):
    """How a token is chosen among all."""

    temperature: float = Field(ge=0, description="divisor of the logits; 0: the most probable token")
    top_k: int = Field(ge=0, description="choose among the K most probable tokens; 0: among all")
    top_p: float = Field(gt=0, le=1, description="among the most probable tokens of this total probability; 1: all")


class TokenSampling(Guidance, TokenChoice):
    """Sampling of tokens."""
