"""Summary of captioned videos without decoding: usable rows, durations, sizes, frame rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sketch2video.data.sources.rows import Rejection, Source, SourceRow
from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief
from sketch2video.media.codec import VideoInfo, probe_video
from sketch2video.media.containers import RejectedVideo

MOST_HEADERS = 500
"""Largest number of videos whose headers are read; if there are more, they are chosen evenly."""
_ROWS_SHOWN = 10
_KINDS_SHOWN = 4


def preview(source: Source, min_frames: int, max_rejected: int) -> list[str]:
    """Describe a source in lines of text.

    The existence of every file is checked; headers of at most ``MOST_HEADERS`` videos are read, and nothing is decoded.
    Damage after the header is only found by ``ingest``.

    Args:
        source: of videos.
        min_frames: a video whose header promises fewer is rejected.
        max_rejected: largest number of rejected rows with which ``ingest`` succeeds.

    Raises:
        UserError: no row can be used.
    """
    rows_of: dict[str, list[SourceRow]] = {}
    for row in source.rows:
        rows_of.setdefault(row.path, []).append(row)
    faults = {path: fault for path in rows_of if (fault := _missing(source.base / path))}
    infos: dict[str, VideoInfo] = {}
    there = [path for path in rows_of if path not in faults]
    chosen = np.unique(np.linspace(0, len(there) - 1, min(len(there), MOST_HEADERS)).round().astype(int))
    for path in tqdm([there[i] for i in chosen], desc="headers", unit="video", leave=False, disable=None):
        try:
            infos[path] = probe_video(source.base / path)
        except RejectedVideo as error:
            faults[path] = error.reason
            continue
        if (infos[path].frames or min_frames) < min_frames:
            faults[path] = f"is too short: {infos.pop(path).frames} frames, at least {min_frames} are needed"
    rejected = source.rejected + _rejections(source, faults)
    usable = len(source.rows) + len(source.rejected) - len(rejected)
    rejected.sort(key=lambda one: one.row)
    lines = [f"rows      {usable + len(rejected)}, {usable} usable", f"videos    {len(rows_of) - len(faults)}"]
    lines += _rejected_lines(source, rejected, max_rejected)
    if not usable:
        one = rejected[0]
        raise UserError(
            f"none of the {len(rejected)} rows of {source.name} can be used; the first, {source.unit} {one.row}"
            f" ({brief(one.path)}): {one.reason}"
        )
    if len(infos) < len(there) and len(there) > MOST_HEADERS:
        lines.append(f"headers   of {len(chosen)} videos, evenly over all {len(there)}")
    return lines + _facts(infos)


def _missing(path: Path) -> str | None:
    try:
        return None if path.is_file() else "is not a file" if path.exists() else "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _rejections(source: Source, faults: dict[str, str]) -> list[Rejection]:
    """The rows that are rejected for a fault of their video, or a missing control."""
    found = []
    for row in source.rows:
        reason = faults.get(row.path)
        if reason is None and row.control and (fault := _missing(source.base / row.control)):
            reason = f"path_to_control {fault}"
        if reason:
            found.append(Rejection(row.row, row.path, row.caption, reason))
    return found


def _rejected_lines(source: Source, rejected: Sequence[Rejection], most: int) -> list[str]:
    lines = [f"rejected  {source.unit} {one.row} ({brief(one.path)}): {one.reason}" for one in rejected[:_ROWS_SHOWN]]
    if len(rejected) > _ROWS_SHOWN:
        lines.append(f"rejected  {len(rejected) - _ROWS_SHOWN} more; `sketch2video ingest` lists them in rejected.csv")
    if len(rejected) > most:
        lines.append(f"rejected  {len(rejected)} in all, and ingest.max_rejected is {most}: correct them or raise it")
    return lines


def _facts(infos: dict[str, VideoInfo]) -> list[str]:
    """Durations, sizes and frame rates by the headers."""
    lines = []
    seconds = {path: info.duration for path, info in infos.items() if info.duration and info.duration > 0}
    if seconds:
        shortest, longest = min(seconds, key=seconds.__getitem__), max(seconds, key=seconds.__getitem__)
        lines.append(f"shortest  {seconds[shortest]:.2f} s ({brief(shortest)})")
        lines.append(f"longest   {seconds[longest]:.2f} s ({brief(longest)})")
    if len(seconds) < len(infos):
        lines.append(f"length    of {len(infos) - len(seconds)} videos is not in their headers")
    lines.append(f"sizes     {_counted(f'{info.width} x {info.height}' for info in infos.values())}")
    rates = [f"{info.fps:.4g} fps" for info in infos.values() if info.fps]
    return [*lines, f"rates     {_counted(rates)}"] if rates else lines


def _counted(kinds: Iterable[str]) -> str:
    """Values with their counts, the most frequent first."""
    counts = Counter(kinds).most_common()
    shown = ", ".join(f"{kind} ({count})" for kind, count in counts[:_KINDS_SHOWN])
    rest = sum(count for _, count in counts[_KINDS_SHOWN:])
    return f"{shown}, others ({rest})" if rest else shown
