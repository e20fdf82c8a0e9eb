"""The sketch: the drawing of curves that were fitted to a clip or generated from its caption."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sketch2video.controls.control import Control, Way
from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.data.clips.shards import ShardReader

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FITTED = Way(
    name="fitted",
    title="painted over fitted",
    heading="Painted over fitted curves",
    short="over fitted curves",
    sentence="over the curves that were fitted to the real clip",
)


class SketchControl(Control):
    """Drawn curves; see :mod:`~sketch2video.curves.equation.corruption` for their corruption in training."""

    name = "sketch"
    channels = 1
    lines = True
    draws = True
    way = FITTED

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        """The curves' coefficients and visibility."""
        return {"coefficients": curves, "visibility": curves}

    def table(self, clips: Path, curves: Path) -> Path:
        """The clips that curves were fitted to."""
        return curves / "curves.parquet"

    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The drawing of the curves, which are corrupted if a generator is given."""
        from sketch2video.curves.equation.corruption import corrupt_curves, draw_ink

        curves = batch["coefficients"], batch["visibility"]
        if generator is not None:
            curves = corrupt_curves(*curves, corruption, generator)
        return draw_ink(*curves, height, width)

    def given(self, rows: pd.DataFrame, clips: Path, curves: Path, size: int) -> dict[str, Any]:
        """The fitted curves, ``curves``."""
        return {"curves": fitted_curves(curves, rows)}


SKETCH = SketchControl()


def fitted_curves(folder: Path, rows: pd.DataFrame) -> list[CurveSequence]:
    """The curves that ``fit`` found for clips."""
    reader = ShardReader(folder)
    both = zip(reader.batch("coefficients", rows), reader.batch("visibility", rows), strict=True)
    return [CurveSequence(coefficients, visibility) for coefficients, visibility in both]
