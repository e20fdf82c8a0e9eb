"""From the rows of a source to a folder of shards and a list of rejected rows, for clips and images."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from sketch2video.data.clips.jobs import map_jobs
from sketch2video.data.clips.shards import named_labels, shard_of, shard_path, sweep
from sketch2video.data.sources.rows import Rejection, Source, assign_splits
from sketch2video.errors import UserError
from sketch2video.files import replacing, sha256_of_file
from sketch2video.inputs.texts import brief
from sketch2video.params import Params

REJECTED = "rejected.csv"

_REASONS_SHOWN = 3

Rows = list[dict[str, Any]]
"""Rows of a table, a dictionary each."""

logger = logging.getLogger(__name__)


def make_rows(
    make: Callable[..., dict[str, Any]],
    source: Source,
    inputs: Mapping[str, Any],
    settings: dict[str, Any],
    params: Params,
    folder: Path,
) -> Rows:
    """Make the clips or images of a source, see :func:`make_shards`, and list the rows whose files cannot be used.

    Args:
        make: its facts have ``<kind>_sha256``, the hash of the file's bytes.
        source: of videos or images.
        inputs: what each row, by id, is made from.
        settings: the same for all.
        params: number of shards and of processes, share of the test split, most rejected rows.
        folder: of the shards and of ``rejected.csv``.

    Returns:
        Rows of the table: the facts, ``path_to_<kind>``, ``caption``, ``label``, ``split`` and ``label.<name>``.

    Raises:
        UserError: more rows than ``ingest.max_rejected`` cannot be used, or none can.
    """
    row_of = {row.id: row for row in source.rows}
    rows, reasons = make_shards(make, inputs, settings, params, folder)
    for row_id, reason in reasons.items():
        row = row_of[row_id]
        source.rejected.append(Rejection(row.row, row.path, row.caption, reason))
    write_rejected(source.rejected, folder, source.kind)
    _refuse_too_many(source, len(rows), params.ingest.max_rejected, folder / REJECTED)
    found = [row_of[facts["clip_id"]] for facts in rows]
    digests = [facts[f"{source.kind}_sha256"] for facts in rows]
    splits = assign_splits(digests, [row.split for row in found], params.ingest.test_fraction)
    return [
        {
            **facts,
            f"path_to_{source.kind}": row.path,
            "caption": row.caption,
            "label": row.label,
            "split": split,
            **named_labels(row.labels),
        }
        for facts, row, split in zip(rows, found, splits, strict=True)
    ]


def make_shards(
    make: Callable[..., dict[str, Any]],
    inputs: Mapping[str, Any],
    settings: dict[str, Any],
    params: Params,
    folder: Path,
) -> tuple[Rows, dict[str, str]]:
    """Spread clips or images over shards, make these in parallel, and remove those that are empty.

    Args:
        make: called with a shard's path, its part of ``inputs`` as pairs (id, input) sorted by id, and ``settings``.
        inputs: what each clip or image, by id, is made from.
        settings: the same for all.
        params: number of shards and of processes.
        folder: of the shards.

    Returns:
        Rows of the table with the facts in the shards, each with its ``clip_id``, and the reasons of the rejected ones
        by id.
    """
    members: dict[int, list[tuple[str, Any]]] = {}
    for row_id in sorted(inputs):
        members.setdefault(shard_of(row_id, params.ingest.shards), []).append((row_id, inputs[row_id]))
    # Absolute paths, since a cluster's workers have other working directories.
    jobs = [(shard_path(folder.absolute(), shard), part, settings) for shard, part in members.items()]
    all_notes = map_jobs(make, jobs, params.base, f"ingest {folder.name}") if jobs else []
    sweep(folder, members)
    rows: Rows = []
    reasons: dict[str, str] = {}
    for shard, notes in zip(members, all_notes, strict=True):
        rows += [{**facts, "shard": shard, "row": row} for row, facts in enumerate(notes["clips"])]
        reasons |= notes["rejected"]
    return rows, reasons


def write_rejected(rejected: Sequence[Rejection], folder: Path, kind: str) -> None:
    """Write ``rejected.csv``, in the order of the source."""
    with replacing(folder / REJECTED) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["row", f"path_to_{kind}", "caption", "reason"])
        writer.writerows(astuple(one) for one in sorted(rejected, key=lambda one: one.row))


def digest_of(path: Path) -> str | None:
    """Hash of a file's bytes; None if there are none to read."""
    try:
        return sha256_of_file(path)
    except OSError:
        return None


def _refuse_too_many(source: Source, accepted: int, most: int, path: Path) -> None:
    """Raise if too many rows are rejected, or all; mention the others."""
    rejected = sorted(source.rejected, key=lambda one: one.row)
    if not rejected and accepted:
        return
    first = rejected[:_REASONS_SHOWN]
    reasons = "; ".join(f"{source.unit} {one.row} ({brief(one.path)}): {one.reason}" for one in first)
    more = f"; and {len(rejected) - len(first)} more" if len(rejected) > len(first) else ""
    summary = f"{len(rejected)} of {len(rejected) + accepted} rows of {source.name} are rejected: {reasons}{more}"
    if len(rejected) > most:
        raise UserError(f"{summary}; all are in {path}; fix them or raise ingest.max_rejected ({most})")
    if not accepted:
        raise UserError(f"{summary}; no {source.kind} is left")
    logger.warning("%s; all are in %s", summary, path)
