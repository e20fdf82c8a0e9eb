"""The limits of the sketch system on a user's videos: one experiment for each, in which that limit alone is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sketch2video.files import replacing
from sketch2video.params import Params, load_params
from sketch2video.profiles import apply_profile, edit_params, source_params

TIMES = 4
"""Factor of the numbers and strokes of a frame."""
LONGER = 3
"""Factor of the steps of the trainings that painting depends on."""


@dataclass(frozen=True)
class Experiment:
    """One changed limit.

    Attributes:
        name: of the experiment.
        title: what is changed, in terms of the parameters.
        share: of the training clips that are used.
        profile: of ``profiles/``, whose differences are applied; None: none.
        differences: of ``params.yaml``, nested as in the file.
        fit: values of ``fit`` beyond what ``params.yaml`` accepts.
        control: name of the control that the networks are trained with.
    """

    name: str
    title: str
    share: float = 1.0
    profile: str | None = None
    differences: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, int] = field(default_factory=dict)
    control: str = "sketch"

    def written_params(self, path: Path, clips: Path, profile: str | None = None) -> Params:
        """Write the experiment's parameters: those of ``params.yaml`` with its changes, on the clips.

        Args:
            path: the file that is written, without the values of ``fit`` that it would not accept.
            clips: a CSV of captions.
            profile: a profile that all experiments share; None: none.

        Raises:
            UserError: the CSV cannot be read, there is no such profile, or the result is not valid.
        """
        with replacing(path) as draft:
            draft.write_bytes(Path("params.yaml").read_bytes())
            for each in (profile, self.profile):
                if each is not None:
                    apply_profile(each, draft)
            edit_params({"ingest": source_params(str(clips))}, draft, source=str(clips))
            edit_params(self.differences, draft, source=self.name)
            params = load_params(draft)
        return params.model_copy(update={"fit": params.fit.model_copy(update=dict(self.fit))})


def experiments(params: Params) -> dict[str, Experiment]:
    """All experiments by name, the unchanged one first.

    Args:
        params: those that the experiments change.
    """
    fit = {"budget": TIMES * params.fit.budget, "strokes": TIMES * params.fit.strokes}
    steps = {name: LONGER * getattr(params, name).training.steps for name in ("autoencoder", "video_ldm")}
    uncorrupted = partial(Experiment, differences={"video_ldm": {"sketch_corruption": 0.0}})
    found = (
        Experiment("default", "`params.yaml`"),
        Experiment("half", "half of the training clips", share=0.5),
        Experiment("quarter", "a quarter of the training clips", share=0.25),
        Experiment("numbers", " and ".join(f"`fit.{name}: {value}`" for name, value in fit.items()), fit=fit),
        uncorrupted("sure", "`video_ldm.sketch_corruption: 0`"),
        uncorrupted("drawing", "… and the drawing instead of its curves", control="drawing"),
        Experiment("fine", "profile `fine`", profile="fine"),
        Experiment(
            "longer",
            " and ".join(f"`{name}.training.steps: {value}`" for name, value in steps.items()),
            differences={name: {"training": {"steps": value}} for name, value in steps.items()},
        ),
    )
    return {experiment.name: experiment for experiment in found}
