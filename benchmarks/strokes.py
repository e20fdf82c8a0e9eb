"""Quality of generated drawings with many strokes: ``python -m benchmarks.strokes --model models/shared/curve_vae``.

The curve VAE draws held-out captions, once from the captions alone and once with the first and the last drawing of the
real clip given. Compared with the fitted drawings of the real clips are: the accuracy by a judge that was trained on
real drawings (:mod:`sketch2video.judges.label_judge_training`), and how far its features are from those of
real drawings; how many strokes there are, how long they are and how fast they move; and, of the frames between the two
that were given, how far strokes and ink are from the real ones. What linear interpolation between the two drawings
would be is the baseline of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.command import run as run_command
from benchmarks.plots import save_distributions
from benchmarks.stroke_errors import DISTRIBUTIONS, distributions
from benchmarks.stroke_sheets import Tile, save_sheets
from benchmarks.stroke_ways import GENERATED, INTERPOLATED, REAL, HeldOutDrawings, Sampling, about, measured
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.curve_vae import CurveVAE
from sketch2video.data.clips.shards import read_table
from sketch2video.evaluation.evaluate import evaluated_rows
from sketch2video.evaluation.scores import halves
from sketch2video.files import write_json
from sketch2video.judges.faithfulness import JOINT
from sketch2video.judges.label_judge_training import TRAINING, judge_of_drawings
from sketch2video.networks.loading import load_frozen
from sketch2video.params import TrainingParams, load_params
from sketch2video.systems.loading import content_hash
from sketch2video.text.encoder import encode_text, load_text_encoder

SHOWN = 24
"""Clips on the sheets."""

Model = Annotated[Path, typer.Option(help="Folder of the curve VAE")]
Curves = Annotated[Path, typer.Option(help="Folder of the fitted curves")]
Clips = Annotated[Path, typer.Option(help="Folder of the clips, for their labels")]
TextEncoder = Annotated[Path, typer.Option(help="Folder of the text encoder")]
ClipsCount = Annotated[int, typer.Option(min=1, help="Held-out clips, spread evenly over their labels")]
Labels = Annotated[
    str, typer.Option(help="Columns to judge by, label.action,label.direction; empty: all that drawings show")
]
Output = Annotated[Path, typer.Option(help="Folder of the results")]


def markdown(found: Mapping[str, Any]) -> str:
    """What was found, as a table, a row a measure and a column a way to draw; and notes to it."""
    ways, protocol = found["ways"], found["protocol"]
    rows = [["strokes after encoder and decoder, px", "", f"{found['reconstruction_px']:.2f}"]]
    for label in _labels(ways[REAL]["as_asked"]):
        name = "all of these" if label == JOINT else label
        rows.append([f"{name} correct", *(percent(way["as_asked"].get(label)) for way in ways.values())])
    if ways[REAL]["frechet"] is not None:
        distances = (f"{way['frechet']:.3g}{' (floor)' * (way is ways[REAL])}" for way in ways.values())
        rows.append(["Fréchet distance", *distances])
    for key, name in DISTRIBUTIONS.items():
        rows.append([name, *(_spread(way["distributions"][key]) for way in ways.values())])
    for key, name in (("strokes_px", "strokes between, px"), ("unmatched", "unmatched"), ("ink_px", "ink between, px")):
        rows.append(
            [name, *("" if way["between"] is None else two_decimals(way["between"][key]) for way in ways.values())]
        )
    rows.append(["seconds a clip", "", *(f"{seconds:.3f}" for seconds in found["seconds"].values())])
    title = f"{found['model']['name']}: {protocol['clips']} held-out captions, {protocol['frames']} frames"
    return f"{title}\n\n{as_table(['', *ways], rows)}\n\n{notes(found)}"


def _labels(shares: Mapping[str, Any]) -> list[str]:
    """The labels of shares; all at once only where there are several."""
    return [name for name in shares if name != JOINT or len(shares) > 2]


def percent(share: Mapping[str, float] | None) -> str:
    """A share with its interval, for a table; empty where there is none."""
    return f"{share['value']:.1%} [{100 * share['low']:.0f}, {100 * share['high']:.0f}]" if share else ""


def _spread(summary: Mapping[str, float] | None) -> str:
    if summary is None:
        return "–"
    mean, low, middle, high = summary.values()
    return f"{mean:.3g} ({low:.3g}, {middle:.3g}, {high:.3g})"


def two_decimals(value: float | None) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def labelled_clips(curves: Path, clips: Path) -> pd.DataFrame:
    """``curves.parquet`` with the columns of ``clips.parquet`` that it lacks, such as ``shape`` and ``motion``.

    Raises:
        UserError: a table is missing or damaged.
    """
    table, further = read_table(curves / "curves.parquet"), read_table(clips / "clips.parquet")
    new = [name for name in further.columns if name not in table.columns]
    return table.merge(further[["clip_id", *new]], on="clip_id", how="left", validate="one_to_one")


def about_model(folder: Path, vae: CurveVAE, training_seconds: float | None = None) -> dict[str, Any]:
    """What is recorded of a network: its name, its hash, its parameters, and seconds of training where known."""
    return {
        "name": folder.name,
        "sha256": content_hash(folder)[:12],
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
        "training_seconds": training_seconds,
    }


def compare(
    vae: CurveVAE,
    model: Mapping[str, Any],
    curves: Path,
    clips: Path,
    text_encoder: Path,
    output: Path,
    *,
    number: int,
    labels: Sequence[str] | None = None,
    sampling: Sampling,
    size: int,
    judges: Path | None = None,
    settings: TrainingParams = TRAINING,
) -> dict[str, Any]:
    """Measure a model, and write ``strokes.json``, ``strokes.png`` and the two sheets into ``output``.

    Args:
        vae: the network.
        model: what is recorded of it; see :func:`about_model`.
        curves, clips: folders of shards.
        text_encoder: folder of the text encoder.
        output: folder of the results.
        number: of held-out clips.
        labels: columns to judge by; see :func:`~sketch2video.judges.label_judge_training.judge_of_drawings`.
        sampling: how drawings are sampled.
        size: of the frames, px.
        judges: folder of trained judges; None: ``output``.
        settings: of the judge's training.

    Returns:
        What :func:`measured` found, with ``protocol``, ``judge`` and ``model``.

    Raises:
        UserError: an input is missing or damaged, or there is no such label.
    """
    vae.to("cuda" if torch.cuda.is_available() else "cpu")
    table = labelled_clips(curves, clips)
    rows, split = evaluated_rows(table, number)
    text = encode_text(*load_text_encoder(text_encoder), rows["caption"].tolist()).to(vae.device)
    judge = judge_of_drawings(curves, table, labels, judges or output, settings=settings)
    held_out = HeldOutDrawings(vae, text, curves, rows, sampling, size)
    found, drawings = measured(held_out, judge)
    drawn_with = {name: vae.config[name] if value is None else value for name, value in sampling._asdict().items()}
    found["protocol"] = {
        "split": split,
        "clips": len(rows),
        "frames": len(held_out.real[0]),
        "size": size,
        "frechet_clips_a_side": [int(side.sum()) for side in (halves(rows), ~halves(rows))],
        **drawn_with,
    }
    found["judge"] = {
        "name": judge.name,
        "held_out": {label: about(share) for label, share in judge.accuracy.items()},
        "cannot_be_seen": {label: about(share) for label, share in judge.unseen.items()},
    }
    found["model"] = dict(model)
    write_json(output / "strokes.json", found)
    samples = {name: distributions(clips, size) for name, clips in drawings.items() if name != INTERPOLATED}
    apart = {name: np.array(way["between"]["ink_px_by_frame"]) for name, way in found["ways"].items() if name != REAL}
    save_distributions(output / "strokes.png", samples, DISTRIBUTIONS, apart)
    tiles = [
        Tile(pair, caption) for *pair, caption in zip(drawings[REAL], drawings[GENERATED], rows["caption"], strict=True)
    ]
    save_sheets(output / "strokes_sheet.gif", output / "strokes_sheet.png", tiles[:SHOWN])
    return found


def main(
    model: Model = Path("models/shared/curve_vae"),
    curves: Curves = Path("data/curves"),
    clips: Clips = Path("data/clips"),
    text_encoder: TextEncoder = Path("models/shared/text_encoder"),
    clips_count: ClipsCount = 144,
    labels: Labels = "",
    steps: Annotated[int | None, typer.Option(min=1, help="Of sampling; default: that of the model")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: that of the model")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="Of the noise; default: that of the model")] = None,
    stroke_quantile: Annotated[float | None, typer.Option(min=0, max=1, help="Default: that of the model")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips that are drawn at once")] = 24,
    training_seconds: Annotated[float | None, typer.Option(help="That the model took, for the record")] = None,
    output: Output = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure drawings of many strokes beside those that were fitted to real clips."""
    page = page_of("strokes", write)
    base = load_params().base
    vae = load_frozen(CurveVAE, model, "train_curve_vae")
    found = compare(
        vae,
        about_model(model, vae, training_seconds),
        curves,
        clips,
        text_encoder,
        output,
        number=clips_count,
        labels=names_in(labels),
        sampling=Sampling(steps, guidance, batch_size, base.seed, temperature, stroke_quantile),
        size=base.size,
    )
    show("strokes", markdown(found), page)
    print(f"written to {output}/strokes.json, strokes.png, strokes_sheet.gif and strokes_sheet.png")


def names_in(labels: str) -> list[str] | None:
    """The columns that the option names; None if it is empty."""
    return [name.strip() for name in labels.split(",") if name.strip()] or None


def notes(found: Mapping[str, Any]) -> str:
    """Notes to the table: the judge's accuracy, labels that it cannot classify, and sizes."""
    judge, protocol, model = found["judge"], found["protocol"], found["model"]
    shares = judge["held_out"]
    held_out = ", ".join(f"{name} {percent(shares[name])} of {shares[name]['of']}" for name in _labels(shares))
    lines = [f"judge {judge['name']}" + (f", right on held-out real drawings: {held_out}" if held_out else "")]
    if unseen := judge["cannot_be_seen"]:
        lines.append("cannot be seen in drawings: " + ", ".join(f"{n} ({s['value']:.0%})" for n, s in unseen.items()))
    sides = " and ".join(str(side) for side in protocol["frechet_clips_a_side"])
    lines.append(f"Fréchet distances and their floor: {sides} drawings; other numbers: mean (10%, 50%, 90%)")
    if model["training_seconds"] is not None:
        lines.append(f"trained in {model['training_seconds']:.0f} s")
    return "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    run_command(main)
