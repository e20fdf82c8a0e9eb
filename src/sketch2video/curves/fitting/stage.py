"""The data stage ``fit``: line drawings → curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sketch2video.code import code_digest
from sketch2video.curves.equation import measure
from sketch2video.curves.fitting import refine, time_harmonics, track
from sketch2video.data.clips.derive import Arrays, derive_shards, shards_of
from sketch2video.data.clips.shards import label_columns, read_table, write_table
from sketch2video.files import write_json
from sketch2video.params import Params

MEASURED = ("strokes", "ink_coverage", "ink_to_curve_px", "curve_to_ink_px", "rendered_discrepancy")
"""Columns that the report summarises."""


def fit(
    params: Params,
    clips: Path = Path("data/clips"),
    sketches: Path = Path("data/sketches"),
    curves: Path = Path("data/curves"),
    report: Path = Path("reports/fit.json"),
) -> None:
    """Fit every drawing: shards with ``coefficients`` and ``visibility``, ``curves.parquet`` and a JSON report.

    A clip is not fitted again while its drawing and parameters are unchanged.

    Raises:
        UserError: clips or drawings are missing or damaged.
    """
    table = read_table(clips / "clips.parquet")
    labels = label_columns(table)
    table = table[["clip_id", "caption", "label", "split", "fps", "shard", "row", *labels]]
    measured = derive_shards(
        fit_clip,
        ("ink", "cuts"),
        sketches,
        curves,
        shards_of(clips),
        {
            "tracking": params.fit.tracking(),
            "refinement_steps": params.fit.refinement_steps,
            "time_tolerance": params.fit.time_tolerance,
        },
        code_digest(track, refine, time_harmonics, measure),
        params.base,
        "fit",
    )
    table = table.merge(measured, on="clip_id", validate="one_to_one")
    table = table[[name for name in table.columns if name not in labels] + labels]
    write_table(table.sort_values("clip_id", ignore_index=True), curves / "curves.parquet")
    write_json(report, summary(table))


def fit_clip(drawing: Arrays, settings: dict[str, Any]) -> tuple[Arrays, dict[str, float]]:
    """Fit one drawing, ``ink`` uint8 (T, S, S) and ``cuts`` bool (T,): its curves and their measurements."""
    ink = drawing["ink"]
    curves = track.fit_curves(ink, drawing["cuts"], **settings["tracking"])
    curves = refine.refine_curves(curves, ink, steps=settings["refinement_steps"])
    if settings["time_tolerance"]:
        curves = time_harmonics.smooth_in_time(curves, drawing["cuts"], tolerance=settings["time_tolerance"])
    error = measure.fit_error(curves, ink)
    facts = {
        "num_parameters": curves.num_parameters,
        "strokes": float(curves.visible.sum(1).mean()),
        "slots": curves.num_slots,
        "ink_coverage": float((ink > 127).mean()),
        "ink_to_curve_px": error.ink_to_curve,
        "curve_to_ink_px": error.curve_to_ink,
        "rendered_discrepancy": error.rendered_discrepancy,
    }
    return {"coefficients": curves.coefficients, "visibility": curves.visibility}, facts


def summary(table: pd.DataFrame) -> dict[str, dict[str, float] | float]:
    """Mean and 90th percentile of the measurements over clips, and the largest number of parameters of a frame."""
    if not len(table):
        return {"clips": 0}
    about: dict[str, dict[str, float] | float] = {
        "clips": len(table),
        "num_parameters": int(table["num_parameters"].max()),
    }
    for name in MEASURED:
        about[name] = {"mean": float(table[name].mean()), "p90": float(table[name].quantile(0.9))}
    return about
