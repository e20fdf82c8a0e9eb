"""Quality against steps, and against guidance: ``python -m benchmarks.samplers [MODEL ...]``.

Every sampler that a pipeline's objective allows makes the same held-out clips in more and more steps, from the same
noise: over the curves that were fitted to the real clips where the system draws, over their control videos where it
follows these, and otherwise from text alone. So what differs is the sampler's doing. A step of ``heun`` is two passes
through the network, all others are one; compare the seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.command import run as run_command
from benchmarks.pipeline_bench import PipelineBench
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.evaluate import Data
from sketch2video.evaluation.judged import OTHER_DOMAIN
from sketch2video.evaluation.scores import LEAST_CLIPS, distance_scores, halves
from sketch2video.files import replacing
from sketch2video.generation.seeded import ClipSampling
from sketch2video.judges.faithfulness import JOINT, can_be_judged, faithfulness
from sketch2video.judges.verdict import Verdict
from sketch2video.params import load_params
from sketch2video.systems.loading import content_hash, load_pipeline

STEPS = (1, 2, 4, 8, 16, 32)
GUIDANCE = (1.0, 1.5, 2.5, 4.0)
CONTROL_GUIDANCE = (0.0, 0.5, 1.0, 1.5, 2.5)

COLUMNS = {
    "faithfulness_joint": "shape, colour and motion correct",
    "fvd_embedded": "fvd_embedded",
    "flicker": "flicker",
    "seconds": "seconds a clip",
}
"""What is measured, and what tables and plots call it."""

LOGARITHMIC = ("fvd_embedded", "seconds")

Row = dict[str, Any]
"""How clips were made, and what is measured of them; None where the clips do not allow a measure."""


class SamplerBench(PipelineBench):
    """Held-out clips, and the quality of those that a pipeline makes.

    Args:
        data: folders of the outputs of the data stages.
        number: number of clips.
    """

    def __init__(self, data: Data, number: int) -> None:
        super().__init__(data, number)
        self.steady = steadiness(self.real_frames())

    def measure(self, pipeline: Any, sampling: ClipSampling) -> dict[str, float | None]:
        """The numbers of ``COLUMNS`` for clips that are made now."""
        with self.generated(pipeline, sampling) as clips:
            steady = Steadiness.concatenate([steadiness(frames) for frames, _ in clips.with_curves()])
            return self._numbers(self.judged(clips), steady) | {"seconds": sum(clips.seconds.values())}

    def real_numbers(self) -> dict[str, float | None]:
        """The same of the real clips; their distance is the floor, between two halves of them."""
        return self._numbers(self.real, self.steady) | {"seconds": None}

    def _numbers(self, verdict: Verdict, steady: Steadiness) -> dict[str, float | None]:
        rows: pd.DataFrame = self.rows
        joint = faithfulness(verdict, rows)[JOINT].value if can_be_judged(rows) else None
        distance = None
        if len(rows) >= LEAST_CLIPS:
            distance = distance_scores(verdict, self.real, halves(rows), 0, {})["fvd_embedded"].value
        flicker = steady.means()["flicker"]
        return {"faithfulness_joint": joint, "fvd_embedded": distance, "flicker": flicker}


def over_steps(bench: SamplerBench, pipeline: Any, sampling: ClipSampling, steps: Sequence[int]) -> list[Row]:
    """Every sampler that the pipeline's objective allows, in more and more steps."""
    settings = [(sampler, count) for sampler in pipeline.samplers for count in steps]
    rows = []
    for sampler, count in tqdm(settings, desc="samplers", unit="setting"):
        changed = sampling.model_copy(update={"sampler": sampler, "num_inference_steps": count})
        rows.append({"sampler": sampler, "steps": count, **bench.measure(pipeline, changed)})
    return rows


def over_guidance(
    bench: SamplerBench, pipeline: Any, sampling: ClipSampling, text: Sequence[float], control: Sequence[float]
) -> list[Row]:
    """Every pair of the two guidance scales; of a system without control pictures, those for text alone."""
    scales = [(c, t) for c in (control if pipeline.control.channels else [1.0]) for t in text]
    rows = []
    for control_scale, text_scale in tqdm(scales, desc="guidance", unit="setting"):
        changed = sampling.model_copy(update={"guidance_scale": text_scale, "control_guidance_scale": control_scale})
        made = bench.measure(pipeline, changed)
        rows.append({"guidance_scale": text_scale, "control_guidance_scale": control_scale, **made})
    return rows


def compare(
    models: Sequence[Path],
    bench: SamplerBench,
    sampling: ClipSampling,
    steps: Sequence[int] = STEPS,
    text: Sequence[float] = GUIDANCE,
    control: Sequence[float] = CONTROL_GUIDANCE,
) -> dict[str, Any]:
    """All pipelines over steps and over guidance, with what everything was measured by."""
    results: dict[str, Any] = {}
    for model in models:
        pipeline = load_pipeline(model)
        own = sampling.suiting(pipeline)
        results[str(model)] = {
            "model": content_hash(model)[:12],
            "objective": pipeline.transformer.config.objective,
            "way": bench.way(pipeline)[0],
            "sampling": own.model_dump(),
            "steps": over_steps(bench, pipeline, own, steps),
            "guidance": over_guidance(bench, pipeline, own, text, control),
        }
    protocol = bench.protocol
    if not can_be_judged(bench.rows):
        protocol["domain"] = OTHER_DOMAIN
    return {"protocol": protocol, "real": bench.real_numbers(), "models": results}


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of all models: over steps, and over guidance."""
    parts = [f"{results['protocol']['clips']} clips of the {results['protocol']['split']} split\n"]
    if "domain" in results["protocol"]:
        parts.append(f"fvd_embedded is out of its domain: these are {results['protocol']['domain']}.\n")
    for name, found in results["models"].items():
        about = found["sampling"]
        scales = f"guidance {about['guidance_scale']:g}, of control {about['control_guidance_scale']:g}"
        parts.append(f"**{name}** ({found['objective']}, from {found['way']}), over steps, {scales}:\n")
        parts.append(_table(("sampler", "steps"), found["steps"], results["real"]))
        parts.append(f"The same over guidance, {about['sampler']} in {about['num_inference_steps']} steps:\n")
        parts.append(_table(("guidance_scale", "control_guidance_scale"), found["guidance"], results["real"]))
    return "\n".join(parts)


def _table(keys: Sequence[str], rows: Sequence[Row], real: Row) -> str:
    lines = []
    for row in [*rows, dict.fromkeys(keys, "") | {keys[0]: "real clips"} | real]:
        numbers = ("–" if row[name] is None else f"{row[name]:.3g}" for name in COLUMNS)
        lines.append([*(str(row[key]) for key in keys), *numbers])
    return as_table([*keys, *COLUMNS.values()], lines) + "\n"


def save_steps(path: Path, results: Mapping[str, Any]) -> None:
    """Quality against steps, PNG: a row a model, a column a measure, a line a sampler; dotted what real clips have."""
    models = results["models"]
    figure = Figure(figsize=(3.4 * len(COLUMNS), 3 * len(models) + 0.3), layout="constrained")
    grid = figure.subplots(len(models), len(COLUMNS), squeeze=False)
    for axes, (name, found) in zip(grid, models.items(), strict=True):
        table = pd.DataFrame(found["steps"])
        axes[0].set_ylabel(f"{name}\n({found['objective']})")
        for axis, (column, title) in zip(axes, COLUMNS.items(), strict=True):
            for sampler, part in table.groupby("sampler", sort=False):
                axis.plot(part["steps"], part[column].astype(float), "o-", markersize=3, linewidth=1.3, label=sampler)
            if results["real"][column] is not None:
                axis.axhline(results["real"][column], color="0.3", linewidth=1, linestyle=":")
            axis.set(title=title, xlabel="steps", xscale="log", yscale="log" if column in LOGARITHMIC else "linear")
            axis.set_xticks(sorted(set(table["steps"])), sorted(set(table["steps"])))
            axis.minorticks_off()
            axis.grid(alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].legend(fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def save_guidance(path: Path, results: Mapping[str, Any]) -> None:
    """Joint faithfulness, or without labels fvd_embedded, over the two guidance scales; PNG, a panel a model."""
    models = results["models"]
    column = "fvd_embedded" if results["real"]["faithfulness_joint"] is None else "faithfulness_joint"
    figure = Figure(figsize=(4.6 * len(models), 4.2), layout="constrained")
    for axis, (name, found) in zip(figure.subplots(1, len(models), squeeze=False)[0], models.items(), strict=True):
        table = pd.DataFrame(found["guidance"]).pivot_table(
            index="control_guidance_scale", columns="guidance_scale", values=column
        )
        values = table.to_numpy(float)
        axis.imshow(values, origin="lower", cmap="cividis", aspect="auto")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (y, x), value in np.ndenumerate(values):
            axis.text(x, y, f"{value:.3g}", ha="center", va="center", color="k" if value > middle else "w")
        axis.set_xticks(range(len(table.columns)), [f"{scale:g}" for scale in table.columns])
        axis.set_yticks(range(len(table.index)), [f"{scale:g}" for scale in table.index])
        axis.set(xlabel="guidance_scale", ylabel="control_guidance_scale", title=f"{name}\n{COLUMNS[column]}")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def main(
    models: Annotated[list[Path] | None, typer.Argument(help="Pipeline folders; default: models/sketch_ldm")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Held-out clips a setting")] = 72,
    data: Annotated[Path, typer.Option(help="Folder with clips and curves of the project")] = Path("data"),
    output: Annotated[Path, typer.Option(help="Folder of the results")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Quality against steps for every sampler that the models allow, and faithfulness against both guidance scales."""
    page = page_of("samplers", write)
    bench = SamplerBench(Data(data / "clips", data / "sketches", data / "curves"), clips)
    results = compare(models or [Path("models/sketch_ldm")], bench, ClipSampling.of(load_params()))
    publish("samplers", markdown(results), results, output, page)
    save_steps(output / "samplers.png", results)
    save_guidance(output / "guidance.png", results)
    print(f"written to {output}/samplers.png and guidance.png")


if __name__ == "__main__":
    run_command(main)
