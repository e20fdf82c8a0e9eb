"""Reading what the stage ``fit`` found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.data.clips.shards import ShardReader


def fitted_curves(folder: Path, rows: pd.DataFrame) -> list[CurveSequence]:
    """The curves that ``fit`` found for clips."""
    reader = ShardReader(folder)
    both = zip(reader.batch("coefficients", rows), reader.batch("visibility", rows), strict=True)
    return [CurveSequence(coefficients, visibility) for coefficients, visibility in both]
