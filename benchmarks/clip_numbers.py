"""Numbers of a clip against error: ``python -m benchmarks.clip_numbers [CLIPS]``.

The strokes of each clip are fitted frame by frame, and the equation of the whole clip is solved from them at several
tolerances and budgets, and with the widest tolerance with which its ink is at most so much further away. Clips are
those of :mod:`benchmarks.clips`. Between frames: the equation is solved from every second frame, and compared with the
ink of the frames that were left out; frame by frame, coefficients are interpolated linearly. Strokes count there in
which both neighbouring frames have them: others are born or die at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.clips import Clip, chosen_clips
from benchmarks.clock import clocked
from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.curves import CurveSequence, fit_clip, fit_curves
from sketch2video.curves.equation.measure import distances
from sketch2video.curves.equation.stroke_keys import resampled
from sketch2video.params import FitParams, load_params

POINTS = 192
"""Pen positions per stroke at which curves are compared."""

TOLERANCES = 0.15, 0.3, 0.5, 1.0
"""Root mean square distances to the strokes of the frames, px."""

MORE = 0.3, 0.5
"""Growth in px of the distances from ink to curve and back."""

LOOSER = np.geomspace(1, 8, 13)
"""Tolerances, in units of such a growth, that are tried in this order."""

BUDGETS = 300, 1000
"""Numbers of a clip; as many are used as there are, without a tolerance."""

COLUMNS = {
    "numbers": "numbers",
    "numbers_p90": "p90",
    "numbers_most": "most",
    "apart_px": "apart px",
    "ink_to_curve_px": "ink→curve px",
    "curve_to_ink_px": "curve→ink px",
    "more_px": "more px, worst clip",
    "between_there_px": "between: ink→curve px",
    "between_back_px": "between: curve→ink px",
    "cpu_ms": "CPU ms/frame",
}


def settings(width: int) -> dict[str, dict[str, Any]]:
    """Arguments of :func:`fit_clip` for the rows of the table that are the same for all clips."""
    near = {f"{pixels:g} px apart": {"tolerance": pixels / width} for pixels in TOLERANCES}
    within = {f"{budget} numbers": {"budget": budget, "tolerance": 0.0} for budget in BUDGETS}
    return near | within


def apart(curves: CurveSequence, other: CurveSequence, width: int) -> float:
    """Root mean square distance in px of points at the same pen position, over all lines that are drawn.

    Args:
        curves: T frames.
        other: the same strokes in the same frames and slots.
        width: of the frames, px.
    """
    shown, slots = curves.visible, other.visibility.shape[1]
    if not (np.array_equal(other.visible, shown[:, :slots]) and not shown[:, slots:].any()):
        raise ValueError("the strokes that are compared are not the same")
    ours, theirs = (one.points(POINTS)[shown[:, :slots].nonzero()] * width for one in (curves, other))
    lengths = np.linalg.norm(np.diff(ours, axis=1), axis=-1).sum(-1)
    squares = ((ours - theirs) ** 2).sum(-1).mean(-1)
    return float(np.sqrt((lengths * squares).sum() / max(lengths.sum(), 1e-9)))


def numbers_of(curves: CurveSequence) -> int:
    """Non-zero coefficients of the visible strokes of all frames."""
    return int(np.count_nonzero(curves.coefficients[curves.visible]))


def measure(clip: Clip, curves: CurveSequence) -> dict[str, dict[str, float]]:
    """The measures of one clip for each row; ``apart_px`` and ``cpu_ms`` are of clips' equations alone."""
    frames, _, width = clip.ink.shape
    left_out = np.arange(1, frames - 1, 2)
    half = CurveSequence(curves.coefficients[::2], curves.visibility[::2])

    def compared(drawn: CurveSequence, between: CurveSequence, stays: np.ndarray) -> dict[str, float]:
        there, back = distances(drawn.points(POINTS) * width, drawn.visible, clip.ink)
        pair = distances(between.points(POINTS) * width, between.visible & stays, clip.ink[left_out])
        names = ("ink_to_curve_px", "curve_to_ink_px", "between_there_px", "between_back_px")
        return dict(zip(names, (there, back, *pair), strict=True))

    linear = resampled(half, 2 * len(half) - 1)
    linear = CurveSequence(linear.coefficients[left_out], linear.visibility[left_out])
    stays = neighbours_have(half)[: len(left_out)]
    by_frame = compared(curves, linear, stays)
    rows = {"frame by frame": by_frame | {"numbers": float(numbers_of(curves))}}

    def near(pixels: float) -> dict[str, float]:
        """The tolerance with which ink and curves are at most this much further apart."""
        chosen = pixels / width
        for tolerance in pixels / width * LOOSER:
            drawn = fit_clip(curves, tolerance=tolerance).sample()
            there, back = distances(drawn.points(POINTS) * width, drawn.visible, clip.ink)
            if max(there - by_frame["ink_to_curve_px"], back - by_frame["curve_to_ink_px"]) > pixels:
                break
            chosen = tolerance
        return {"tolerance": chosen}

    more = {f"{pixels:g} px more": near(pixels) for pixels in MORE}
    for name, setting in (settings(width) | more).items():
        try:
            equation, seconds = clocked(partial(fit_clip, curves, **setting))
            coarse = fit_clip(half, **setting)
        except ValueError:
            continue  # the budget cannot hold the strokes
        drawn = equation.sample()
        between = coarse.at((left_out + 1) / (2 * len(half)))  # half of the frames are at (1, 3, ...) / (2 len(half))
        rows[name] = compared(drawn, between, neighbours_have(coarse.sample())[: len(left_out)]) | {
            "numbers": float(equation.num_parameters),
            "apart_px": apart(curves, drawn, width),
            "cpu_ms": 1e3 * seconds / frames,
        }
    return rows


def neighbours_have(curves: CurveSequence) -> np.ndarray:
    """Strokes that two neighbouring frames show: (T - 1, S) bool."""
    return np.asarray(curves.visible[:-1] & curves.visible[1:])


def summary(measured: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Means over the clips that have a row, and over which clips the error grows most."""
    out: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for rows in measured for name in rows):
        having = [rows for rows in measured if name in rows]
        means = {key: float(np.mean([rows[name][key] for rows in having])) for key in having[0][name]}
        numbers = [rows[name]["numbers"] for rows in having]
        more = [
            rows[name][key] - rows["frame by frame"][key]
            for rows in having
            for key in ("ink_to_curve_px", "curve_to_ink_px")
        ]
        out[name] = means | {
            "clips": len(having),
            "numbers_p90": float(np.quantile(numbers, 0.9)),
            "numbers_most": max(numbers),
            "more_px": max(more),
        }
    return out


def markdown(rows: dict[str, dict[str, float]], about: str) -> str:
    """The table, a setting a row."""
    everywhere = max(row["clips"] for row in rows.values())
    lines = []
    for name, row in rows.items():
        cells = [
            "–" if key not in row else f"{row[key]:.0f}" if key.startswith("numbers") else f"{row[key]:.2f}"
            for key in COLUMNS
        ]
        lines.append([name if row["clips"] == everywhere else f"{name} ({row['clips']:.0f} clips)", *cells])
    return f"{about}\n\n{as_table(['', *COLUMNS.values()], lines)}\n"


def compare(clips: Sequence[Clip], fit: FitParams) -> list[dict[str, dict[str, float]]]:
    """:func:`measure` of each clip, fitted frame by frame."""
    return [measure(clip, fit_curves(clip.ink, **fit.tracking())) for clip in clips]


def main(
    clips: Annotated[
        Path | None, typer.Argument(help="A CSV of captions or a folder of videos; none: the embedded scenes.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure numbers of a clip against error."""
    name = "clip_numbers" if clips is None else f"clip_numbers_{clips.stem}"
    page = page_of(name, write)
    params = load_params()
    chosen = chosen_clips(clips, params)
    measured = compare(chosen, params.fit)
    rows, names = summary(measured), [clip.name for clip in chosen]
    frames, height, width = chosen[0].ink.shape
    about = f"{len(chosen)} clips of {frames} frames of {width} x {height} px."
    results = {"rows": rows, "clips": dict(zip(names, measured, strict=True))}
    publish(name, markdown(rows, about), results, output, page)


if __name__ == "__main__":
    run_command(main)
