"""The data stage ``fit``: line drawings → curves, shard by shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.curves.measure import fit_error
from sketch2video.curves.sequence import CurveSequence
from sketch2video.curves.track import fit_curves
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_value, write_json
from sketch2video.params import FitParams, Params
from sketch2video.videos.shards import (
    clip_ids_of,
    map_jobs,
    read_shard,
    read_table,
    shard_key,
    shard_path,
    sweep,
    write_shard,
    write_table,
)

VERSION = 1
"""Raised whenever the same drawings and parameters would give other curves."""

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

    A shard whose drawings and parameters are unchanged is left alone.

    Raises:
        UserError: clips or drawings are missing or damaged.
    """
    table = read_table(clips / "clips.parquet")[["clip_id", "caption", "label", "split", "fps", "shard", "row"]]
    shards = sorted(int(shard) for shard in table["shard"].unique())
    sweep(curves, shards)
    jobs = [(shard_path(sketches, shard), shard_path(curves, shard), params.fit) for shard in shards]
    measured = map_jobs(fit_shard, jobs, params.base.workers, "fit")
    if measured:
        table = table.merge(pd.concat(measured), on="clip_id", validate="one_to_one")
    write_table(table.sort_values("clip_id", ignore_index=True), curves / "curves.parquet")
    write_json(report, summary(table))


def fit_shard(source: Path, target: Path, params: FitParams) -> pd.DataFrame:
    """Fit the drawings of one shard, unless that is done; returns the measured columns of ``curves.parquet``."""
    made_of = shard_key(source)
    if made_of is None:
        raise UserError(f"{source} is missing or damaged; run `dvc repro` to make it")
    key = sha256_of_value({"sketches": made_of, "params": params.model_dump(), "version": VERSION})
    clip_ids = clip_ids_of(source)
    drawings = read_shard(source)["ink"]
    if shard_key(target) == key:
        arrays = read_shard(target)
        sequences = [CurveSequence(*both) for both in zip(arrays["coefficients"], arrays["visibility"], strict=True)]
    else:
        sequences = [fit_curves(ink, **params.model_dump()) for ink in drawings]
        arrays = {name: np.stack([getattr(s, name) for s in sequences]) for name in ("coefficients", "visibility")}
        write_shard(target, arrays, clip_ids, key)
    rows = []
    for ink, sequence in zip(drawings, sequences, strict=True):
        error = fit_error(sequence, ink)
        rows.append(
            {
                "num_parameters": sequence.num_parameters,
                "strokes": float(sequence.visible.sum(1).mean()),
                "ink_coverage": float((ink > 127).mean()),
                "ink_to_curve_px": error.ink_to_curve,
                "curve_to_ink_px": error.curve_to_ink,
                "rendered_discrepancy": error.rendered_discrepancy,
            }
        )
    return pd.DataFrame(rows).assign(clip_id=clip_ids)


def summary(table: pd.DataFrame) -> dict[str, dict[str, float] | float]:
    """Mean and 90th percentile over clips of what was measured, and the most numbers that a frame takes."""
    if not len(table):
        return {"clips": 0}
    about: dict[str, dict[str, float] | float] = {
        "clips": len(table),
        "num_parameters": int(table["num_parameters"].max()),
    }
    for name in MEASURED:
        about[name] = {"mean": float(table[name].mean()), "p90": float(table[name].quantile(0.9))}
    return about
