"""Does a base learn to follow drawings? ``python -m benchmarks.adapted [--steps 500]``.

The base, by default the text-only system's model, has never seen a drawing. It is adapted on the project's clips by the
code that adapts bases from the hub, and judged before and after on the same held-out clips: from the caption alone,
over the curves that were fitted to the real clips, and over curves that the curve VAE draws.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from safetensors.torch import load_file

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.bases.adapted_transformer import WEIGHTS
from sketch2video.bases.encoded_clips import encode_clips
from sketch2video.bases.training import train_adapters
from sketch2video.controls import find_control
from sketch2video.evaluation.evaluate import Data, evaluate
from sketch2video.evaluation.scores import Evaluation
from sketch2video.files import read_json
from sketch2video.params import DiffusionSampling, Params, load_params, parse_params
from sketch2video.systems.adapted_video.pipeline import assemble
from sketch2video.systems.loading import INDEX, system_of_index
from sketch2video.systems.spec import CURVE_VAE, TEXT_ENCODER
from sketch2video.training.loop import SilentLogger

COLUMNS = {
    "faithfulness_shape": "shape",
    "faithfulness_colour": "colour",
    "faithfulness_motion": "motion",
    "faithfulness_joint": "all three",
    "fvd_embedded": "fvd_embedded",
}
"""Scores, and what the table calls them."""


def changed(params: Params, steps: int | None, clips: int | None) -> Params:
    """The parameters with another number of training steps, or of clips to judge."""
    values = params.model_dump(by_alias=True)
    if steps is not None:
        values["adapted_video"]["training"]["steps"] = steps
    if clips is not None:
        values["evaluate"]["clips"] = clips
    return parse_params(values)


def adapt(params: Params, folder: Path, data: Data, checkpoints: Path) -> dict[str, Any]:
    """Encode, train and assemble in a folder; what is finished is kept.

    Returns:
        Losses of held-out clips, the number of trained weights, and the minutes of encoding and training.
    """
    begin = time.perf_counter()
    encode_clips(folder / "latents", params=params, clips=data.clips, curves=data.curves)
    encoded = time.perf_counter()
    where = {"latents": folder / "latents", "checkpoints": checkpoints}
    result = train_adapters(params, SilentLogger(), folder / "adapters", **where)
    trained = time.perf_counter()
    assemble(
        folder / "pipeline",
        adapters=folder / "adapters",
        curve_vae=CURVE_VAE if find_control(params.adapted_video.control).draws else None,
        text_encoder=TEXT_ENCODER,
        sampling=DiffusionSampling.options(params.evaluate),
    )
    weights = sum(weight.numel() for weight in load_file(folder / "adapters" / WEIGHTS).values())
    minutes = {"encoding": (encoded - begin) / 60, "training": (trained - encoded) / 60}
    return {"metrics": result.metrics, "trained_weights": weights, "minutes": minutes}


def judged(params: Params, data: Data, folder: Path, checkpoints: Path) -> dict[str, Evaluation]:
    """The reports of the base and of the adapted pipeline in a folder."""
    base = Path(params.adapted_video.base)
    system = system_of_index(base, read_json(base / INDEX)).name
    models = {"before": (system, base), "after": ("adapted_video", folder / "pipeline")}
    return {
        name: evaluate(
            params, data=data, system=kind, model=model, reports=folder / "reports" / name, checkpoints=checkpoints
        )
        for name, (kind, model) in models.items()
    }


def table_rows(before: Evaluation, after: Evaluation, way: str) -> list[list[str]]:
    """Rows of the table: the base from captions, the adapted one over real and over generated control pictures."""
    ways = {"the base, from the caption": (before, ""), f"adapted, {way}": (after, "")}
    prefix = "faithfulness_joint"
    for suffix in [name.removeprefix(prefix) for name in after.scores if name.startswith(f"{prefix}_")]:
        ways[f"adapted, {suffix.strip('_')}"] = (after, suffix)
    return [
        [name, *(_shown(evaluation, column + suffix) for column in COLUMNS)]
        for name, (evaluation, suffix) in ways.items()
    ]


def _shown(evaluation: Evaluation, name: str) -> str:
    score = evaluation.scores.get(name)
    if score is None:
        return "–"
    return f"{score.value:.3g}" if name.startswith("fvd") else f"{100 * score.value:.0f}%"


def markdown(rows: list[list[str]], about: dict[str, Any], steps: int) -> str:
    """The table with its notes."""
    metrics = about["metrics"]
    notes = (
        f"{steps} steps, {about['trained_weights']:,} trained weights; held-out loss with the drawing"
        f" {metrics['loss_test']:.4f}, without {metrics['loss_test_without_control']:.4f}"
    )
    return f"{as_table(['', *COLUMNS.values()], rows)}\n\n{notes}.\n"


def main(
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; default: adapted_video.training")] = None,
    clips: Annotated[int | None, typer.Option(min=8, help="Held-out clips; default: evaluate.clips")] = None,
    folder: Annotated[Path, typer.Option(help="Latents, adapters, pipeline and reports")] = Path(
        "reports/bench/adapted"
    ),
    checkpoints: Annotated[Path, typer.Option(help="Checkpoints, from which it goes on")] = Path("checkpoints"),
    write: Write = False,
) -> None:
    """Adapt the base of params.yaml, and show its scores before and after."""
    page = page_of("adapted", write)
    params, data = changed(load_params(), steps, clips), Data()
    about = adapt(params, folder, data, checkpoints)
    reports = judged(params, data, folder, checkpoints)
    draws = find_control(params.adapted_video.control).draws
    rows = table_rows(reports["before"], reports["after"], "over generated curves" if draws else "from the caption")
    text = markdown(rows, about, params.adapted_video.training.steps)
    scores = {name: evaluation.metrics() for name, evaluation in reports.items()}
    publish("adapted", text, {**about, "scores": scores}, folder, page)
    print(f"minutes: {', '.join(f'{name} {value:.1f}' for name, value in about['minutes'].items())}")


if __name__ == "__main__":
    run_command(main)
