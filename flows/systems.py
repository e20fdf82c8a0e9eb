"""The systems of the graph: which pictures their networks see, and where their parts lie.

Latent diffusion systems differ by what stands here and in no other way: the same stages, called with a system's name,
make all of them. The hierarchical VQGAN has training stages of its own, and the system of long videos tunes a network
of the sketch system; both share the stages that assemble and judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from flows.common import MODELS, REPORTS
from sketch2video.controls import check_controls
from sketch2video.errors import UserError
from sketch2video.params import MixtureParams, Params, SystemName

DEFAULT = "sketch_ldm"
"""The system of the graph in the project's own ``dvc.yaml``; the others have theirs in ``systems/<name>/``."""
SYSTEMS: tuple[str, ...] = get_args(SystemName)
VQGAN = "hierarchical_vqgan"
LONG_VIDEO = "long_video"
DIFFUSION = tuple(name for name in SYSTEMS if name not in (VQGAN, LONG_VIDEO))


@dataclass(frozen=True)
class System:
    """A system.

    Attributes:
        name: of the pipeline's folder in ``models``.
        control: name of the pictures that its networks see.
        parts: folder of its own networks: autoencoder and video LDM, VQGAN and token transformer, or a tuned video LDM.
        latents: folder of the clips as its autoencoder or its VQGAN encodes them, or as it makes them steady.
        images: folder of the captioned images that it learns from; None: it learns from clips alone.
        mixture: what its video LDM is trained on beside whole clips; None: nothing.
        reports: where its metrics and its report go.
    """

    name: str
    control: str
    parts: Path
    latents: Path
    reports: Path
    images: Path | None = None
    mixture: MixtureParams | None = None

    @property
    def pipeline(self) -> Path:
        """Folder of the assembled pipeline."""
        return MODELS / self.name

    def run_name(self, stage: str) -> str:
        """How a stage's runs are called: by the stage's name, with the system's before it unless it is the default."""
        return stage if self.name == DEFAULT else f"{self.name}_{stage}"


def find_system(name: str, params: Params) -> System:
    """A system by its name.

    Raises:
        UserError: there is no such system, or the parameters name a control that there is not.
    """
    check_controls(params)
    if name == DEFAULT:
        return System(name, "sketch", MODELS, Path("data/latents"), REPORTS)
    if name == "text_ldm":
        return System(
            name,
            params.text_ldm.control,
            MODELS / "text",
            Path("data/text/latents"),
            REPORTS / name,
            Path("data/images"),
            params.text_ldm,
        )
    if name == VQGAN:
        return System(
            name,
            params.token_transformer.control,
            MODELS / "hierarchical",
            Path("data/hierarchical/tokens"),
            REPORTS / name,
        )
    if name == LONG_VIDEO:
        return System(name, "sketch", MODELS / "long", Path("data/long_video/steadied"), REPORTS / name)
    raise UserError(f"there is no system {name}; choose one of {', '.join(SYSTEMS)}")


def asked_system(description: str | None, systems: Sequence[str] = SYSTEMS) -> str:
    """The one of ``systems`` that the command line names: the default one if none."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("system", nargs="?", default=DEFAULT, choices=systems, help="(%(default)s)")
    return str(parser.parse_args().system)
