"""Response of the metrics to corruptions of real clips at increasing levels: ``python -m benchmarks.metrics [CLIPS]``.

The clips are the embedded scenes, one of each of 54 combinations at the size of ``params.yaml``, or videos of the
user's. Spoiled clips of one half of the captions are compared with unspoiled ones of the other half, as generated
clips are in ``evaluation/``, so that a curve of ``fvd_embedded`` or ``kvd_embedded`` starts at its floor. Randomness is
nested: what is spoiled at one level is spoiled at the next one, too.

``SHOULD`` has the expected direction of each curve. A curve that should be flat shows a corruption to which a metric is
invariant: only faithfulness reads captions. Flicker *falls* with blur and with frozen frames, which is why sharpness
and motion are reported with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy.stats
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.clips import videos_of
from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.errors import UserError
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.scores import LEAST_CLIPS, distance_scores, halves, inception_scores
from sketch2video.files import replacing
from sketch2video.judges.faithfulness import JOINT, can_be_judged, faithfulness
from sketch2video.judges.shipped import judge_path, load_judge
from sketch2video.judges.verdict import ATTRIBUTES, Verdict, judge_clips
from sketch2video.media.codec import read_clip
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES, Combination, caption_of, render_scene, sample_scene

MOST_CLIPS = 54

Spoil = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""Takes a clip, uint8 (T, S, S, 3), a level and the clip's own randomness."""


class Corruption(NamedTuple):
    """One way to spoil clips.

    Attributes:
        levels: how much, from nothing on.
        unit: of the levels.
        spoil: does it to a clip; None where captions are spoiled.
    """

    levels: tuple[float, ...]
    unit: str
    spoil: Spoil | None


class Spoiled(NamedTuple):
    """What is known of clips at one level."""

    verdict: Verdict
    steady: Steadiness


def with_noise(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Independent normal noise."""
    return _in_bytes(clip + 255 * level * rng.standard_normal(clip.shape, np.float32))


def blurred(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian blur of every frame."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), level * clip.shape[2]) for frame in clip]) if level else clip


def shuffled(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Some frames are swapped, each with the next one of a random order."""
    order = np.arange(len(clip))
    chosen = rng.permutation(len(clip))[: round(level * len(clip))]
    order[chosen] = np.roll(chosen, 1)
    return clip[order]


def frozen(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """The clip is frozen towards its end."""
    return clip[np.minimum(np.arange(len(clip)), round((1 - level) * (len(clip) - 1)))]


def faded(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """All colours move in one direction, steadily, to the other side from where they would leave the range."""
    direction = rng.uniform(0.5, 1, 3) * np.where(clip.mean((0, 1, 2)) > 128, -1, 1)
    return _in_bytes(clip + 255 * level * np.linspace(0, 1, len(clip))[:, None, None, None] * direction)


CORRUPTIONS = {
    "noise": Corruption((0, 0.02, 0.04, 0.08, 0.16, 0.32), "standard deviation, full range 1", with_noise),
    "blur": Corruption((0, 0.01, 0.02, 0.03, 0.045, 0.06), "standard deviation, frame widths", blurred),
    "shuffle": Corruption((0, 0.2, 0.4, 0.6, 0.8, 1), "share of the frames", shuffled),
    "freeze": Corruption((0, 0.2, 0.4, 0.6, 0.8, 1), "share of the clip", frozen),
    "fade": Corruption((0, 0.04, 0.08, 0.12, 0.16, 0.2), "full range 1", faded),
    "captions": Corruption((0, 0.2, 0.4, 0.6, 0.8, 1), "share of the clips", None),
}

SHOULD = {
    "fvd_embedded": "++++.=",
    "kvd_embedded": "++++.=",
    "is_embedded": "----.=",
    "faithfulness_joint": "----.-",
    "flicker": "+-+-+=",
    "background_drift": "....+=",
    "sharpness": "+-...=",
    "motion": "...-.=",
}
"""How each metric should go under each corruption, in their order: rise, fall, stay (=), or not defined (.)."""

MARKS = {True: "tab:green", False: "tab:red", None: "tab:grey"}
"""Colours of curves in the expected direction, in another one, and without an expected one."""
NEARLY = 0.9
"""A curve with this rho goes as it should although it takes a step back, as where it saturates."""


def main(
    clips: Annotated[Path | None, typer.Argument(help="A captions.csv, or a folder of videos")] = None,
    reports: Annotated[Path, typer.Option(help="Where metrics.{json,md,png} go")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Show how each metric goes while clips are spoiled, and whether it goes steadily (Spearman's rho)."""
    name = "metrics" if clips is None else f"metrics_{clips.stem}"
    page = page_of(name, write)
    frames, rows = embedded_clips() if clips is None else clips_of(clips)
    curves = measured(frames, rows)
    rhos = {metric: {spoil: rho(values) for spoil, values in row.items()} for metric, row in curves.items()}
    protocol = {
        "clips": str(clips) if clips else "embedded",
        "number": len(frames),
        "frames": frames.shape[1],
        "size": frames.shape[2],
        "video_judge": judge_path("video").name,
    }
    about = {spoil: {"levels": one.levels, "unit": one.unit} for spoil, one in CORRUPTIONS.items()}
    results = {"protocol": protocol, "corruptions": about, "curves": curves, "spearman_rho": rhos}
    publish(name, markdown(curves), results, reports, page)
    save_curves(reports / f"{name}.png", curves)
    print(f"written to {reports}/{name}.png")


def embedded_clips() -> tuple[np.ndarray, pd.DataFrame]:
    """Embedded scenes uint8 (N, T, S, S, 3), and a row for each with its caption and words."""
    base = load_params().base
    frames, rows = [], []
    for i in range(MOST_CLIPS):
        rng = np.random.default_rng([base.seed, i])
        # All words come equally often, no combination comes twice.
        turn = i // 6
        what = Combination(SHAPES[i % 6], COLOURS[(i + turn) % 6], MOTIONS[(i + 2 * turn + turn // 6) % 6])
        scene = sample_scene(rng, [what], frames=base.frames)
        frames.append(render_scene(scene, base.size, base.frames).frames)
        rows.append({"clip_id": f"{i:03d}", "caption": caption_of(scene, rng), "label": scene.label, **what._asdict()})
    return np.stack(frames), pd.DataFrame(rows)


def clips_of(source: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """At most 54 videos, evenly over those that a source names, at the size of ``params.yaml``.

    Args:
        source: see :func:`~benchmarks.clips.videos_of`.

    Raises:
        UserError: there is no such file or folder, it names fewer than two videos, a row of the CSV cannot be used, or
            a video cannot be read.
    """
    base = load_params().base
    found = videos_of(source)
    if len(found) < 2:
        raise UserError(f"{source} names only one video; give two at least")
    indices = sorted(set(np.linspace(0, len(found) - 1, MOST_CLIPS).round().astype(int).tolist()))
    rows = pd.DataFrame([found[i] for i in indices])
    frames = np.stack([read_clip(path, base.frames, base.size).frames for path in rows["path"]])
    return frames, rows.assign(clip_id=rows.index.map("{:03d}".format))


def measured(frames: np.ndarray, rows: pd.DataFrame) -> dict[str, dict[str, list[float | None]]]:
    """Every metric that the clips allow, by corruption: one number a level, None where there is none.

    Args:
        frames: uint8 (N, T, S, S, 3), N ≥ 2.
        rows: of the N clips; with ``shape``, ``colour`` and ``motion`` where they are known.
    """
    real = _looked_at(frames)
    curves: dict[str, dict[str, list[float | None]]] = {}
    for name, corruption in CORRUPTIONS.items():
        for level in corruption.levels:
            seen, requested = real, rows
            if corruption.spoil is None:
                requested = with_swapped_words(rows, level)
            elif level:
                seen = _looked_at(spoiled(frames, corruption.spoil, level))
            for metric, value in _metrics(seen, real, rows, requested).items():
                curves.setdefault(metric, {}).setdefault(name, []).append(None if np.isnan(value) else value)
    return curves


def spoiled(frames: np.ndarray, spoil: Spoil, level: float) -> np.ndarray:
    """Every clip spoiled by a randomness of its own, the same at every level."""
    return np.stack([spoil(clip, level, np.random.default_rng([1, i])) for i, clip in enumerate(frames)])


def with_swapped_words(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    """A share of the clips gets the words of the next clip of a random order."""
    chosen = np.random.default_rng(1).permutation(len(rows))[: round(level * len(rows))]
    words = [name for name in ATTRIBUTES if name in rows]
    swapped = rows.copy()
    swapped.loc[chosen, words] = rows.loc[np.roll(chosen, 1), words].to_numpy()
    return swapped


def _looked_at(frames: np.ndarray) -> Spoiled:
    return Spoiled(judge_clips(load_judge("video"), frames), steadiness(frames))


def _metrics(seen: Spoiled, real: Spoiled, rows: pd.DataFrame, requested: pd.DataFrame) -> dict[str, float]:
    """In the order of ``SHOULD``."""
    found: dict[str, float] = {}
    if len(rows) >= LEAST_CLIPS:
        distances = distance_scores(seen.verdict, real.verdict, halves(rows), 0, {})
        found |= {name: score.value for name, score in distances.items()}
    if can_be_judged(rows):
        found["is_embedded"] = inception_scores("is", seen.verdict, 0, {})["is"].value
        found["faithfulness_joint"] = faithfulness(seen.verdict, requested)[JOINT].value
    return found | seen.steady.means()


def rho(values: Sequence[float | None]) -> float | None:
    """Spearman's rank correlation of a curve with its levels; None where it is flat, or too short."""
    there = [value for value in values if value is not None]
    if len(there) < 3 or len(set(there)) == 1:
        return None
    return float(scipy.stats.spearmanr(range(len(there)), there).statistic)


def as_it_should(metric: str, corruption: str, values: Sequence[float | None]) -> bool | None:
    """Whether a curve goes as ``SHOULD`` says, steadily or nearly; None if it is not defined."""
    should = SHOULD[metric][list(CORRUPTIONS).index(corruption)]
    if should == ".":
        return None
    found = rho(values)
    if should == "=" or found is None:
        return should == "=" and len(set(values)) == 1
    sign = 1 if should == "+" else -1
    steps = np.diff([value for value in values if value is not None])
    return sign * found >= NEARLY or bool((sign * steps >= 0).all())


def markdown(curves: Mapping[str, Mapping[str, Sequence[float | None]]]) -> str:
    """A table: rho, first and last value, and a mark on what goes as it should or not."""
    signs = {True: " ✓", False: " ✗", None: ""}
    rows = []
    for metric, row in curves.items():
        cells = []
        for name in CORRUPTIONS:
            values, r = row[name], rho(row[name])
            ends = " → ".join("–" if v is None else f"{v:.3g}" for v in (values[0], values[-1]))
            cells.append(f"{'flat' if r is None else f'{r:+.2f}'}{signs[as_it_should(metric, name, values)]} ({ends})")
        rows.append([metric, *cells])
    return (
        f"Spearman's rho with the level (first → last value):\n\n{as_table(['metric', *CORRUPTIONS], rows)}\n\n"
        f"✓ goes as it should: no step back, or rho of {NEARLY} at least; ✗ does not; without a mark: not defined\n"
    )


def save_curves(path: Path, curves: Mapping[str, Mapping[str, Sequence[float | None]]]) -> None:
    """One row a metric, one column a corruption; PNG.

    Each panel has its own scale, but none shows less than a tenth of what the metric's row spans, lest nothing look
    like something.
    """
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(2.3 * len(CORRUPTIONS), 1.6 * len(curves)), layout="constrained")
        grid = figure.subplots(len(curves), len(CORRUPTIONS), squeeze=False, sharex="col")
        for axes, (metric, row) in zip(grid, curves.items(), strict=True):
            axes[0].set_ylabel(metric)
            span = np.ptp([value for values in row.values() for value in values if value is not None] or [0.0])
            for axis, name in zip(axes, CORRUPTIONS, strict=True):
                _draw(axis, metric, name, row[name])
                low, high = axis.get_ylim()
                margin = max(span / 10 - (high - low), 0) / 2
                axis.set_ylim(low - margin, high + margin)
        for name, top, bottom in zip(CORRUPTIONS, grid[0], grid[-1], strict=True):
            top.set_title(name, loc="left")
            bottom.set_xlabel(CORRUPTIONS[name].unit)
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format="png")


def _draw(axis: Axes, metric: str, corruption: str, values: Sequence[float | None]) -> None:
    colour = MARKS[as_it_should(metric, corruption, values)]
    numbers = [float("nan") if value is None else value for value in values]
    axis.plot(CORRUPTIONS[corruption].levels, numbers, "o-", color=colour, markersize=3, linewidth=1.3)
    r = rho(values)
    axis.set_title("flat" if r is None else f"ρ = {r:+.2f}", loc="right", color=colour, fontsize=8)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _in_bytes(clip: np.ndarray) -> np.ndarray:
    return np.clip(clip, 0, 255).round().astype(np.uint8)


if __name__ == "__main__":
    run_command(main)
