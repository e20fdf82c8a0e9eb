"""Scores of how clips follow their drawings: the system's own, those of fitted curves, or line drawings as control."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.controls import Control
from sketch2video.controls.sketch import fitted_curves
from sketch2video.data.clips.shards import ShardReader
from sketch2video.evaluation.consistency import mean
from sketch2video.evaluation.scores import Score, mean_score
from sketch2video.generation.seeded import GeneratedClips, row_batches
from sketch2video.params import SketchParams
from sketch2video.scoring.fidelity import (
    HIGH,
    MEASURES,
    REACH,
    Fidelity,
    Lines,
    fidelity,
    lines_of_curves,
    lines_of_ink,
)
from sketch2video.sketches.agreement import TOLERANCE
from sketch2video.sketches.extract import draw_lines, made_by

NO_DRAWING = "needs a control of line drawings"
NO_LINES = "needs drawings with lines, and for distances lines of the video near them"
"""Reasons why scores are left out."""

Drawn = Iterable[tuple[np.ndarray, list[list[Lines]]]]
"""Batches of frames uint8 (N, T, S, S, 3), and the lines of each clip's drawing, frame by frame."""


@dataclass(frozen=True)
class AskedDrawings:
    """The drawings that clips were to follow.

    Attributes:
        control: the system's control; line drawings.
        rows: the N evaluated clips.
        clips, curves: folders of the real clips and their curves.
        batch_size: number of clips in a batch.
    """

    control: Control
    rows: pd.DataFrame
    clips: Path
    curves: Path
    batch_size: int

    def real(self) -> Drawn:
        """The real clips with the drawings that belong to them."""
        reader = ShardReader(self.clips)
        for batch in row_batches(self.rows, self.batch_size):
            frames = reader.batch("frames", batch)
            yield frames, self._of_rows(batch, frames.shape[2])

    def generated(self, clips: GeneratedClips) -> Drawn:
        """Generated clips with the drawings that they were made after."""
        for batch, (frames, curves) in zip(row_batches(self.rows, self.batch_size), clips.with_curves(), strict=True):
            size = frames.shape[2]
            own = [lines_of_curves(sequence, size, size) for sequence in curves]
            yield frames, own or self._of_rows(batch, size)

    def _of_rows(self, rows: pd.DataFrame, size: int) -> list[list[Lines]]:
        """The lines of the control pictures of real clips."""
        if self.control.draws:
            return [lines_of_curves(sequence, size, size) for sequence in fitted_curves(self.curves, rows)]
        pictures = self.control.pictures_of_clips(rows, self.clips, self.curves, size)
        assert pictures is not None
        return [lines_of_ink(ink, size) for ink in (255 * pictures[:, :, 0]).round().byte().numpy()]


def fidelity_scores(
    drawings: AskedDrawings,
    generated: Mapping[str, GeneratedClips],
    sketch: SketchParams,
    bootstrap: int,
    protocol: dict[str, Any],
) -> tuple[dict[str, Score], dict[str, str]]:
    """Scores of several ways to generate with drawings, and the names of undefined ones with the reason.

    Args:
        drawings: the drawings.
        generated: the clips of each way, by the suffix of its scores.
        sketch: the extractor of lines.
        bootstrap, protocol: see :func:`control_scores`.

    Raises:
        UserError: the extractor is a network that was not trained.
    """
    if not (drawings.control.draws or drawings.control.lines):
        return {}, {f"{name}{suffix}": NO_DRAWING for suffix in generated for name in MEASURES}
    extract, about = partial(draw_lines, sketch=sketch), protocol | {"lines": made_by(sketch)}
    real = measured(drawings.real(), extract)
    scores: dict[str, Score] = {}
    left_out: dict[str, str] = {}
    for suffix, clips in generated.items():
        found = control_scores(measured(drawings.generated(clips), extract), real, bootstrap, about)
        scores |= {f"{name}{suffix}": score for name, score in found.items()}
        left_out |= {f"{name}{suffix}": NO_LINES for name in MEASURES if name not in found}
    return scores, left_out


def measured(clips: Drawn, extract: Callable[[np.ndarray], np.ndarray]) -> Fidelity:
    """How clips follow their drawings.

    Args:
        clips: at least one batch.
        extract: from frames uint8 (T, S, S, 3) to their lines, uint8 (T, S, S).
    """
    parts = []
    for frames, asked in clips:
        size = frames.shape[3]
        parts.append(fidelity(asked, [lines_of_ink(extract(clip), size) for clip in frames], size))
    return Fidelity.concatenate(parts)


def control_scores(generated: Fidelity, real: Fidelity, bootstrap: int, protocol: dict[str, Any]) -> dict[str, Score]:
    """The scores :data:`~sketch2video.scoring.fidelity.MEASURES` that are defined; the floor is that of real clips.

    Args:
        generated, real: measures of N clips each.
        bootstrap: number of resamples of clips for the interval; below 2 there is none.
        protocol: protocol of the scores.
    """
    facts = {
        "control_px": {"unit": "px", "reach_frame_widths": REACH} | _directions(generated),
        "control_found": {"unit": "share of length", "reach_frame_widths": REACH},
        "control_f1": {"unit": "share of length", "tolerance_px": TOLERANCE}
        | {"precision": _mean_of_drawn(generated, "precision"), "recall": _mean_of_drawn(generated, "recall")},
    }
    scores = {}
    for name, measure in MEASURES.items():
        score = mean_score(measure(generated), measure(real), bootstrap, protocol | facts[name])
        if score is not None:
            scores[name] = score
    return scores


def _directions(found: Fidelity) -> dict[str, dict[str, float]]:
    """Distances of all lines in each direction, px: means over clips of the mean and of the 95th percentile."""
    high = f"p{100 * HIGH:.0f}"
    return {
        f"{name}_px": {"mean": _mean_of_drawn(found, f"{side}_px"), high: _mean_of_drawn(found, f"{side}_high")}
        for name, side in {"asked_to_found": "asked", "found_to_asked": "found"}.items()
    }


def _mean_of_drawn(found: Fidelity, name: str) -> float:
    """The mean of a measure over the clips whose drawings have lines."""
    return mean(np.asarray(getattr(found, name))[found.asked_length > 0])
