"""The columns of tables of scores: what each is called, which values are better, how they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sketch2video.evaluation.report import number, percent


@dataclass(frozen=True)
class Column:
    """A metric of the table.

    Attributes:
        name: name of the score or of the cost.
        title: title of the column.
        better: which values are better: higher, lower, or nearest to real clips; None: undefined.
        real: name of the score of real clips; None: the score's own floor.
        write: formats a value.
    """

    name: str
    title: str
    better: Literal["higher", "lower", "real"] | None
    real: str | None = None
    write: Callable[[float], str] = number

    @property
    def mark(self) -> str:
        """The direction as a sign."""
        return {"higher": "↑", "lower": "↓", "real": "≈", None: ""}[self.better]


def _count(value: float) -> str:
    return f"{value:,.0f}"


COLUMNS = (
    Column("faithfulness_joint", "all attributes", "higher", "judge_accuracy_joint", percent),
    Column("faithfulness_shape", "shape", "higher", "judge_accuracy_shape", percent),
    Column("faithfulness_colour", "colour", "higher", "judge_accuracy_colour", percent),
    Column("faithfulness_motion", "motion", "higher", "judge_accuracy_motion", percent),
    Column("fvd_embedded", "fvd_embedded", "lower"),
    Column("kvd_embedded", "kvd_embedded", "lower"),
    Column("fvd_labels", "fvd_labels", "lower"),
    Column("kvd_labels", "kvd_labels", "lower"),
    # Values above that of real clips are not better: they count content that no caption describes.
    Column("is_embedded", "is_embedded", "real", "is_embedded_real"),
    Column("flicker", "flicker", "real"),
    Column("background_drift", "background drift", "real"),
    Column("sharpness_ratio", "sharpness", "real"),
    Column("motion_ratio", "amount of motion", "real"),
    Column("control_px", "px off the drawing", "lower"),
    Column("control_f1", "lines of the drawing, F1", "higher"),
    Column("latent_numbers", "latent numbers a frame", None, write=_count),
    Column("parameters", "parameters", None, write=_count),
    Column("seconds_batch", "seconds in a batch", "lower"),
    Column("seconds_alone", "seconds alone", "lower"),
)
"""Columns of the table, in order; those without any value are left out. Columns of other labels follow the first."""
