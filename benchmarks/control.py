"""Is the drawing followed? Fidelity against ``control_guidance_scale``: ``python -m benchmarks.control [MODEL ...]``.

A pipeline that follows line drawings makes the same held-out clips over the drawings of the real ones, from the same
noise, with more and more guidance of the drawing. A scale of 0 takes the drawing from the denoiser, but not from the
autoencoder's decoder. Real clips, beside their own drawings, are as near as a video can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.command import run as run_command
from benchmarks.pipeline_bench import PipelineBench
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.errors import UserError
from sketch2video.evaluation.evaluate import Data
from sketch2video.evaluation.fidelity_scores import AskedDrawings, control_scores, measured
from sketch2video.evaluation.scores import LEAST_CLIPS, Score, distance_scores, halves, share_scores
from sketch2video.files import replacing
from sketch2video.generation.seeded import ClipSampling
from sketch2video.judges.faithfulness import can_be_judged
from sketch2video.judges.verdict import Verdict
from sketch2video.params import Params, load_params
from sketch2video.sketches.extract import draw_lines
from sketch2video.systems.loading import content_hash, load_pipeline

SCALES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)

COLUMNS = {
    "control_px": "px off the drawing",
    "control_found": "lines found",
    "control_f1": "F1 within 1 px",
    "faithfulness_joint": "all correct",
    "fvd_embedded": "fvd_embedded",
}
"""Scores, and what tables and plots call them."""

SHARES = {"control_found", "faithfulness_joint"}
"""Those that are written as percentages."""
DIGITS = {"control_px": 3, "control_f1": 3, "fvd_embedded": 1}
"""Digits after the point of the others."""

Scores = dict[str, Score]


class ControlBench(PipelineBench):
    """Held-out clips, and how a pipeline follows their drawings.

    Args:
        params: all parameters; ``sketch`` names the extractor, ``evaluate.bootstrap`` the number of resamples.
        data: folders of the outputs of the data stages.
        number: number of clips.
    """

    def __init__(self, params: Params, data: Data, number: int) -> None:
        super().__init__(data, number)
        self.bootstrap = params.evaluate.bootstrap
        self.extract = partial(draw_lines, sketch=params.sketch)

    def drawings(self, pipeline: Any, batch_size: int) -> AskedDrawings:
        """The drawings of the real clips, of the kind that a pipeline follows.

        Raises:
            UserError: it follows no line drawings.
        """
        control = pipeline.control
        if not (control.draws or control.lines):
            raise UserError(f"the control of this pipeline, {control.name}, is no line drawing; name another pipeline")
        return AskedDrawings(control, self.rows, self.data.clips, self.data.curves, batch_size)

    def measure(self, pipeline: Any, sampling: ClipSampling) -> Scores:
        """The scores of clips that are made now."""
        drawings = self.drawings(pipeline, sampling.batch_size)
        real = measured(drawings.real(), self.extract)
        with self.generated(pipeline, sampling) as clips:
            followed = measured(drawings.generated(clips), self.extract)
            judged = self.judged(clips)
        return control_scores(followed, real, self.bootstrap, {}) | self._of_verdicts(judged)

    def real_scores(self, pipeline: Any, batch_size: int) -> Scores:
        """The scores of the real clips, beside their own drawings."""
        real = measured(self.drawings(pipeline, batch_size).real(), self.extract)
        return control_scores(real, real, self.bootstrap, {}) | self._of_verdicts(self.real)

    def _of_verdicts(self, verdict: Verdict) -> Scores:
        scores: Scores = {}
        if can_be_judged(self.rows):
            scores |= share_scores("faithfulness", verdict, self.rows, {})
        if len(self.rows) >= LEAST_CLIPS:
            scores |= distance_scores(verdict, self.real, halves(self.rows), self.bootstrap, {})
        return scores


def over_scales(
    bench: ControlBench, pipeline: Any, sampling: ClipSampling, scales: Sequence[float]
) -> list[dict[str, Any]]:
    """``scale`` and ``scores`` for each scale of the drawing's guidance."""
    rows = []
    for scale in tqdm(scales, desc="control_guidance_scale", unit="scale"):
        scores = bench.measure(pipeline, sampling.model_copy(update={"control_guidance_scale": scale}))
        rows.append({"scale": scale, "scores": _kept(scores)})
    return rows


def compare(
    models: Sequence[Path], bench: ControlBench, sampling: ClipSampling, scales: Sequence[float] = SCALES
) -> dict[str, Any]:
    """All pipelines over the scales, with what everything was measured by."""
    results: dict[str, Any] = {}
    for model in models:
        pipeline = load_pipeline(model)
        own = sampling.suiting(pipeline)
        results[str(model)] = {
            "model": content_hash(model)[:12],
            "sampling": own.model_dump(),
            "real": _kept(bench.real_scores(pipeline, own.batch_size)),
            "scales": over_scales(bench, pipeline, own, scales),
        }
    return {"protocol": bench.protocol, "models": results}


def _kept(scores: Scores) -> dict[str, Any]:
    return {name: asdict(scores[name]) for name in COLUMNS if name in scores}


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of all models over the scales."""
    parts = [f"{results['protocol']['clips']} clips of the {results['protocol']['split']} split, over real drawings.\n"]
    for name, found in results["models"].items():
        about = found["sampling"]
        parts.append(
            f"**{Path(name).name}**, {about['sampler']} in {about['num_inference_steps']} steps, guidance"
            f" {about['guidance_scale']:g}:\n"
        )
        rows = [["real clips", *_cells(found["real"])]]
        rows += [[f"{row['scale']:g}", *_cells(row["scores"])] for row in found["scales"]]
        parts.append(as_table(["control_guidance_scale", *COLUMNS.values()], rows) + "\n")
    return "\n".join(parts)


def _cells(scores: Mapping[str, Any]) -> list[str]:
    return [_cell(name, scores[name]) if name in scores else "–" for name in COLUMNS]


def _cell(name: str, score: Mapping[str, Any]) -> str:
    """A value with its interval."""
    values = [score["value"], *(score["interval"] or ())]
    first, *ends = (f"{100 * value:.1f}" if name in SHARES else f"{value:.{DIGITS[name]}f}" for value in values)
    return f"{first}{'%' * (name in SHARES)}" + (f" [{', '.join(ends)}]" if ends else "")


def save_curves(path: Path, results: Mapping[str, Any]) -> None:
    """Each score against the scale, PNG: a panel a score, a line a model with intervals; real clips dotted."""
    figure = Figure(figsize=(3.2 * len(COLUMNS), 3.1), layout="constrained")
    for axis, (column, title) in zip(figure.subplots(1, len(COLUMNS)), COLUMNS.items(), strict=True):
        for number, (name, found) in enumerate(results["models"].items()):
            rows = [(row["scale"], row["scores"][column]) for row in found["scales"] if column in row["scores"]]
            colour = f"C{number}"
            axis.plot(
                [scale for scale, _ in rows],
                [score["value"] for _, score in rows],
                "o-",
                color=colour,
                markersize=3,
                linewidth=1.3,
                label=Path(name).name,
            )
            spans = [(scale, *score["interval"]) for scale, score in rows if score["interval"]]
            for scale, low, high in spans:
                axis.plot([scale, scale], [low, high], color=colour, linewidth=0.8)
            if column in found["real"]:
                axis.axhline(found["real"][column]["value"], color=colour, linewidth=1, linestyle=":")
        axis.set(title=title, xlabel="control_guidance_scale")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, frameon=False)
    with replacing(path) as partial_path:
        figure.savefig(partial_path, dpi=110, format="png")


def main(
    models: Annotated[list[Path] | None, typer.Argument(help="Pipeline folders; default: models/sketch_ldm")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Held-out clips a scale")] = 96,
    data: Annotated[Path, typer.Option(help="Folder with clips and curves of the project")] = Path("data"),
    output: Annotated[Path, typer.Option(help="Folder of the results")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """How far generated videos are from the drawings that they are made after, against the drawing's guidance."""
    page = page_of("control", write)
    params = load_params()
    bench = ControlBench(params, Data(data / "clips", data / "sketches", data / "curves"), clips)
    results = compare(models or [Path("models/sketch_ldm")], bench, ClipSampling.of(params))
    publish("control", markdown(results), results, output, page)
    save_curves(output / "control.png", results)
    print(f"written to {output}/control.png")


if __name__ == "__main__":
    run_command(main)
