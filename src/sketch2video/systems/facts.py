"""What a saved pipeline can do, from its configs alone: its weights are not loaded."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sketch2video.controls import control_of_network
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.systems.loading import INDEX, pipeline_folder, system_of_index
from sketch2video.systems.spec import named


@dataclass(frozen=True)
class PipelineFacts:
    """Properties of a saved pipeline.

    Attributes:
        system: name of the system.
        title: its description for users.
        draws: whether it generates a drawing first, or takes the user's.
        frames: T of the training clips.
        longest: maximum number of frames of a video; None: unlimited.
        size: S, px.
        samplers: names of the samplers, the default one first; empty if there are none.
        sampling: settings of the sampling that it was saved with, by name.
    """

    system: str
    title: str
    draws: bool
    frames: int
    longest: int | None
    size: int
    samplers: tuple[str, ...]
    sampling: dict[str, Any]


def pipeline_facts(folder: Path | str) -> PipelineFacts:
    """Read the configs of a pipeline.

    Args:
        folder: of the pipeline, or of a system.

    Raises:
        UserError: the folder is missing or damaged, or holds a pipeline of no known system.
    """
    folder = pipeline_folder(folder)
    index = read_json(folder / INDEX)
    spec = system_of_index(folder, index)
    try:
        network = _config(folder, *index["transformer"])
        kind = spec.pipeline_class
        saved = index.get("sampling") or {
            name: index[name] for name in kind.sampling_type.model_fields if name in index
        }
        return PipelineFacts(
            system=spec.name,
            title=spec.title,
            draws=control_of_network(network.get("control"), network.get("control_channels", 0)).draws,
            frames=int(network["sample_frames"]),
            longest=kind.longest_of(network),
            size=int(network["sample_size"]),
            samplers=tuple(kind.samplers_of(network)),
            sampling=kind.sampling_type.checked({}, saved).model_dump(),
        )
    except (KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise UserError(f"{folder} cannot be read ({error}); run `dvc repro` or name another model") from error


def _config(folder: Path, module: str, name: str) -> dict[str, Any]:
    """The config of the transformer, with the class's defaults where an older version has not written a value."""
    from sketch2video.pipelines.video_pipeline import MOVED

    parameters = inspect.signature(named(f"{MOVED.get(module, module)}:{name}")).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    return defaults | read_json(folder / "transformer" / "config.json")
