"""The report of an evaluation: one self-contained HTML file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from matplotlib.figure import Figure
from PIL import Image

from sketch2video.controls import Control, Way
from sketch2video.evaluation.class_scores import measures_of, scored_groups
from sketch2video.evaluation.scores import Evaluation, Score
from sketch2video.files import replacing
from sketch2video.judges.faithfulness import JOINT, confusion, in_words
from sketch2video.systems.registry import title_of

FRAME_MILLISECONDS = 125

SYSTEMS_PAGE = "systems.html"
"""The page that compares all systems (``evaluation/compare.py``), in the folder of all reports."""

HEADINGS = {
    "faithfulness": "Generated from the text alone",
    "sketch_faithfulness": "The generated sketches alone",
    "judge_accuracy": "Real clips: accuracy of the judge",
    "sketch_judge_accuracy": "Drawings of fitted curves: accuracy of the sketch judge",
}
"""Headings of the groups of shares, in the report's order; those of a control's way to generate follow the first."""

STEADINESS = {
    "flicker": "Change from frame to frame that optical flow does not explain, as a share of the full range.",
    "background_drift": "How far the background's colours are from the first third of a clip to the last, likewise.",
    "sharpness_ratio": "Strength of gradients, in multiples of the real clips': below 1 is blur, above 1 is noise.",
    "motion_ratio": "Length of the optical flow, in multiples of the real clips': near 0 is frozen; noise adds to it.",
}
"""Measures of steadiness, in the report's order, with their descriptions."""

FOLLOWED = {
    "control_px": "Distance in px of lines that drawing and video both have: the mean of both directions.",
    "control_found": "Share of the drawing's lines near which the video has one, within a sixteenth of the frame.",
    "control_f1": "F1 score of the video's lines as a copy of the drawing, within 1 px.",
}
"""Measures of how a drawing is followed, in the report's order, with their descriptions."""

CLASS_TITLES = {"accuracy": "right", "inception": "inception score", "h_yx": "H(y|x)", "h_y": "H(y)"}
"""Measures of :mod:`~sketch2video.evaluation.class_scores` and their titles, in the report's order."""

WAYS = {"text": "from text", "alone": "from text, alone"}
"""Names of the ways to generate in the table of costs; a control adds its own."""

CONFUSED_WORDS = 24
"""Maximum number of words of a confusion matrix in the report."""

STAGES = ("captions", "curves", "denoising", "tokens", "decoding")
"""Stages of a call with a colour of their own, in order."""


@dataclass(frozen=True)
class Example:
    """A real clip with its drawings and the generated clips.

    Attributes:
        clip_id: id of the real clip.
        caption: the caption.
        tracks: clips by title, uint8 (T, S, S, 3), or ink (T, S, S), which is shown dark on light.
        verdicts: by title of a track, the judged words and whether they are those of the caption.
    """

    clip_id: str
    caption: str
    tracks: dict[str, np.ndarray]
    verdicts: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)


def write_report(
    reports: Path,
    evaluation: Evaluation,
    control: Control,
    pairs_of_words: pd.DataFrame,
    examples: list[Example],
    failures: list[Example],
) -> None:
    """Write ``index.html``.

    Args:
        reports: output folder; its ``plots/*.csv`` with columns ``step`` and ``loss`` are shown as loss curves.
        evaluation: the scores.
        control: the system's control.
        pairs_of_words: see ``faithfulness.word_pairs``; empty if nothing can be judged.
        examples, failures: clips to show.
    """
    ways = WAYS | ({control.way.name: control.way.short} if control.way else {})
    page = render(
        "report.html.j2",
        control=control,
        scores=evaluation.scores,
        asked=asked_labels(evaluation.scores),
        judge=evaluation.judge,
        groups=share_groups(evaluation.scores, control.way),
        distances={n: s for n, s in evaluation.scores.items() if n.startswith(("fvd_", "kvd_"))},
        others={n: s for n, s in evaluation.scores.items() if n.startswith(("is_", "psnr"))},
        classes=class_rows(evaluation.scores, control.way),
        class_titles=CLASS_TITLES,
        steadiness={name: text for name, text in STEADINESS.items() if name in evaluation.scores},
        followed=followed_ways(evaluation.scores, control.way),
        followed_text=FOLLOWED,
        left_out=evaluation.left_out,
        seconds={way: sum(stages.values()) for way, stages in evaluation.seconds_per_clip.items()},
        costs=[(ways[way], in_order(stages)) for way, stages in evaluation.seconds_per_clip.items()],
        size=evaluation.size,
        systems_page=f"../{SYSTEMS_PAGE}" if reports.name == evaluation.protocol["system"] else SYSTEMS_PAGE,
        protocol=evaluation.protocol,
        title=title_of(evaluation.protocol["system"]),
        confusions=readable_confusions(pairs_of_words),
        curves={path.stem: loss_curve(pd.read_csv(path)) for path in loss_tables(reports / "plots")},
        examples=examples,
        failures=failures,
    )
    with replacing(reports / "index.html") as partial:
        partial.write_text(page, encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """Render a template with the filters that the templates use."""
    environment = Environment(
        loader=PackageLoader("sketch2video.evaluation"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        animation=animation, data_uri=data_uri, number=number, percent=percent, sum_values=sum_values
    )
    environment.globals["known_stages"] = STAGES
    return environment.get_template(template).render(**values)


def in_order(stages: dict[str, float]) -> dict[str, float]:
    """Seconds by stage in the order of the stages, which a JSON file does not keep; ``other`` last."""
    known = {stage: stages[stage] for stage in STAGES if stage in stages}
    rest = sorted(stages.items(), key=lambda stage: stage[0] == "other")
    return known | {stage: seconds for stage, seconds in rest if stage not in known}


def share_groups(scores: dict[str, Score], way: Way | None) -> list[tuple[str, dict[str, Score]]]:
    """Heading and scores by attribute of every group of shares.

    Args:
        scores: scores by name.
        way: the control's way to generate; None: there is none.
    """
    kinds, ending = "|".join(sorted(HEADINGS, key=len)), f"(_{way.name})?" if way else "()"
    pattern = re.compile(rf"({kinds})_(.+?){ending}")
    groups: dict[str, dict[str, Score]] = {}
    for name, score in scores.items():
        if match := pattern.fullmatch(name):
            groups.setdefault(match[1] + (match[3] or ""), {})[match[2]] = score
    first = next(iter(HEADINGS))
    headings = {first: HEADINGS[first]} | ({f"{first}_{way.name}": way.heading} if way else {}) | HEADINGS
    return [(heading, groups[name]) for name, heading in headings.items() if name in groups]


def followed_ways(scores: dict[str, Score], way: Way | None) -> dict[str, dict[str, Score]]:
    """Measures of how a drawing is followed, by title of the way to generate and by name; without ways that have none.

    Args:
        scores: scores by name.
        way: the control's way to generate; None: there is none.
    """
    endings = {WAYS["text"]: ""} | ({way.short: f"_{way.name}"} if way else {})
    found = {
        title: {name: scores[f"{name}{end}"] for name in FOLLOWED if f"{name}{end}" in scores}
        for title, end in endings.items()
    }
    return {title: measures for title, measures in found.items() if measures}


def class_rows(scores: dict[str, Score], way: Way | None) -> list[tuple[str, int, list[dict[str, Score]]]]:
    """The labels of each row of the table of classes, the number of classes, and the measures of each way to generate.

    Args:
        scores: scores by name.
        way: the control's way to generate; None: there is none.
    """
    ends = ["", *([f"_{way.name}"] if way else [])]
    return [
        (
            in_words(score.protocol["labels"]),
            int(score.protocol["classes"]),
            [measures_of(scores, name, end) for end in ends],
        )
        for name, score in scored_groups(scores).items()
    ]


def asked_labels(scores: dict[str, Score]) -> str:
    """The scored labels in words, such as "shape, colour and motion"; empty if nothing is judged."""
    return in_words([label for label in judged_labels(scores) if label != JOINT])


def judged_labels(scores: Mapping[str, Score]) -> list[str]:
    """Names of the labels that a judge scores, ``joint`` among them, in the order of the scores."""
    start = "judge_accuracy_"
    return [name.removeprefix(start) for name in scores if name.startswith(start)]


def readable_confusions(pairs_of_words: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Confusion matrices by attribute, without those of more than ``CONFUSED_WORDS`` words."""
    tables = {str(name): confusion(pairs_of_words, str(name)) for name in pairs_of_words["attribute"].unique()}
    return {name: table for name, table in tables.items() if len(table) <= CONFUSED_WORDS}


def loss_tables(folder: Path) -> list[Path]:
    """CSV files of a folder with a loss curve."""
    return [path for path in sorted(folder.glob("*.csv")) if {"step", "loss"} <= set(pd.read_csv(path, nrows=0))]


def loss_curve(table: pd.DataFrame) -> str:
    """An SVG element: the loss and its terms over steps, logarithmic where all of them are positive."""
    terms = [name for name in table.select_dtypes("number") if name not in {"step", "learning_rate"}]
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 8, "font.family": "sans-serif"}
    ):
        figure = Figure(figsize=(4.2, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for name in terms:
            strong = name == "loss"
            axes.plot(
                table["step"], table[name], label=name, linewidth=1.8 if strong else 0.9, zorder=3 if strong else 2
            )
        if ((table[terms] > 0) | table[terms].isna()).all(axis=None):  # a stage of two trainings has gaps
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def animated_webp(clip: np.ndarray) -> bytes:
    """A clip as an animated WebP; ink is shown dark on light."""
    frames = [Image.fromarray(frame) for frame in (255 - clip if clip.ndim == 3 else clip)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=[frame.convert("RGB") for frame in frames[1:]],
        duration=FRAME_MILLISECONDS,
        loop=0,
        quality=80,
        method=4,
    )
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """A WebP as a data URI."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def animation(clip: np.ndarray) -> str:
    """A clip as the data URI of an animated WebP."""
    return data_uri(animated_webp(clip))


def number(value: float | None) -> str:
    """Three significant digits; a dash for None."""
    return "–" if value is None else f"{value:.3g}"


def sum_values(numbers: dict[str, float]) -> float:
    """Sum of a dictionary's values."""
    return sum(numbers.values())


def percent(share: float) -> str:
    """A share as a percentage with one digit."""
    return f"{100 * share:.1f}%"
