"""The file beside a trained judge of videos: its name, what it judges, and how far it can be trusted.

This module loads no large library, so that the stage ``train_judge`` takes no time where no judge is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sketch2video.errors import UserError
from sketch2video.files import read_json, write_json

DESCRIPTION = "judge.json"
"""File beside the weights, or alone."""


@dataclass(frozen=True)
class LabelAccuracy:
    """How well a judge classifies a label of held-out real clips.

    Attributes:
        right, total: number of held-out clips with the right word, and of all that have a word.
        low, high: the 95% Wilson interval of the accuracy.
        usable: whether the label is scored.
    """

    right: int
    total: int
    low: float
    high: float
    usable: bool

    @property
    def value(self) -> float:
        """The accuracy, in [0, 1]."""
        return self.right / self.total


@dataclass(frozen=True)
class JudgeDescription:
    """A judge's description.

    Attributes:
        trained: whether the folder holds a judge.
        reason: why there is none; empty if there is one.
        name: ``judge-<hash of its weights>``, its name in reports; empty if there is none.
        least_accuracy: least lower end of the interval of a usable label.
        labels: accuracy on held-out real clips by label, a column of ``clips.parquet``.
    """

    trained: bool
    reason: str = ""
    name: str = ""
    least_accuracy: float = 0.0
    labels: Mapping[str, LabelAccuracy] = field(default_factory=dict)

    @property
    def usable(self) -> list[str]:
        """The labels that are scored."""
        return [label for label, accuracy in self.labels.items() if accuracy.usable]

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return asdict(self)


def write_description(folder: Path, trained: bool, *, reason: str) -> None:
    """Record in a judge's folder that there is no judge, and why; the stage calls it where none is needed."""
    write_json(folder / DESCRIPTION, JudgeDescription(trained, reason).as_json())


def read_description(folder: Path) -> JudgeDescription:
    """The description of the judge in a folder.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise UserError(f"{folder} holds no {DESCRIPTION}; run `dvc repro train_judge`")
    try:
        values = read_json(path)
        labels = {label: LabelAccuracy(**accuracy) for label, accuracy in values.pop("labels").items()}
        return JudgeDescription(**values, labels=labels)
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not as this version writes it; run `dvc repro train_judge`") from error
