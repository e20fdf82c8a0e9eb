"""Accuracy of a small curve VAE on fitted and on true strokes: ``python -m benchmarks.probe``.

One small curve VAE of fixed size is trained on the same embedded scenes, with a few seeds each, on the strokes that
this project fits to their drawings and on their true outlines as canonical strokes: one closed stroke an outline,
started at its top, clockwise, by arc length. The frozen sketch judge measures how often drawings for held-out
captions have the requested shape and motion. The ratio of the two shares is the loss by the fit; the ceiling is the
judge's result for the strokes themselves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.controls.sketch import fitted_curves
from sketch2video.curve_vae import CurveVAE, sample_curves
from sketch2video.curve_vae.training import train_curve_vae
from sketch2video.curves import CurveSequence
from sketch2video.curves.fitting.series import project, resample, start_canonically
from sketch2video.curves.fitting.stage import fit
from sketch2video.data.clips.shards import clip_ids_of, read_shard, read_table, shard_path, write_shard, write_table
from sketch2video.data.ingest.stage import ingest
from sketch2video.judges.faithfulness import JOINT, Share, faithfulness
from sketch2video.judges.shipped import load_judge
from sketch2video.judges.verdict import Verdict, judge_clips
from sketch2video.params import Params, load_params, parse_params
from sketch2video.sketches.stage import sketch
from sketch2video.text.encoder import encode_text, load_text_encoder
from sketch2video.text.training import train_text_encoder
from sketch2video.training.loop import SilentLogger

# The probe must be the same for everybody: it does not follow the sizes and trainings of params.yaml, only the
# seeds, the fit and the drawing of lines.
FIXED: dict[str, dict[str, Any]] = {
    "base": {"size": 64, "frames": 16},
    "ingest": {
        "source": "synthetic",
        "shards": 4,
        "synthetic": {
            "clips_per_combination": 2,
            "held_out_combinations": 36,
            "objects": 1,
            "moving_ground": False,
            "in_front": False,
            "control": False,
            "images": 0,
        },
    },
    "text_encoder": {"pretrained": None, "vocabulary": 512, "max_length": 32, "width": 64, "layers": 1, "heads": 2},
    "curve_vae": {
        "strokes": 8,
        "latent_dim": 16,
        "hidden": 128,
        "time_terms": 16,
        "kl_weight": 1.0e-4,
        "width": 96,
        "layers": 3,
        "heads": 4,
        "caption_dropout": 0.1,
        "augmentation": 0.0,
        "known": 0.0,
        "time_shift": 2.0,
        "num_inference_steps": 20,
        "guidance_scale": 1.0,
        "temperature": 1.0,
        "stroke_quantile": None,
    },
}
ALIKE = {"learning_rate": 2.0e-3, "weight_decay": 0.01, "gradient_clip": 1.0, "gradient_accumulation": 1}
# The curve VAE's batches count strokes; 544 tokens are 32 clips of one stroke.
TRAINING: dict[str, dict[str, Any]] = {
    "text_encoder": {"steps": 300, "batch_size": 64, "warmup_steps": 30, "ema_decay": 0.99},
    "curve_vae": {"steps": 600, "batch_size": 256, "warmup_steps": 50, "ema_decay": 0.99},
    "curve_prior": {"steps": 1000, "batch_size": 544, "warmup_steps": 50, "ema_decay": 0.995},
}
CAPTIONS = 216
"""Drawings that are judged; the held-out captions come again and again, with other noise."""

SEEDS = (0, 1, 2)
"""Of the trainings, and of what is drawn: added to ``base.seed``."""

SAMPLES = 256


def small(params: Params) -> Params:
    """The parameters of the probe; what does not decide about it is left as it is."""
    values = params.model_dump(by_alias=True)
    for name, changes in FIXED.items():
        values[name] |= changes
    for name, changes in TRAINING.items():
        section, key = ("curve_vae", "prior_training") if name == "curve_prior" else (name, "training")
        values[section][key] |= {**ALIKE, **changes, "checkpoint_every": 10000, "preview_every": 0}
    return parse_params(values)


def probe(params: Params, folder: Path) -> dict[str, Any]:
    """Train on fitted strokes and on true outlines, and judge both; all files are made in ``folder``.

    Returns:
        For ``fitted`` and ``true outlines``: the share of drawings with the requested attributes (``shape``,
        ``motion``, ``joint``), mean over the trainings, the joint one of each (``by_seed``), its ``ceiling``, and the
        wall ``seconds`` of all trainings; ``ratio`` of the two joint shares.
    """
    params = small(params)
    clips, sketches, text = folder / "clips", folder / "sketches", folder / "text_encoder"
    curves = {"fitted": folder / "curves", "true outlines": folder / "outlines"}
    ingest(params, clips)
    sketch(params, clips, sketches, sheet=folder / "sketches.png")
    fit(params, clips, sketches, curves["fitted"], folder / "fit.json")
    write_true_curves(clips, curves["fitted"], curves["true outlines"], params.fit.strokes, params.fit.harmonics)
    train_text_encoder(params, SilentLogger(), text, clips=clips, checkpoints=folder / "checkpoints")
    results: dict[str, Any] = {}
    table = read_table(clips / "clips.parquet")
    held_out = table[table["split"] == "test"]
    for name, data in curves.items():
        begin, judged = time.perf_counter(), []
        for seed in SEEDS:
            base = params.base.model_copy(update={"seed": params.base.seed + seed})
            seeded, model = params.model_copy(update={"base": base}), folder / f"{name} {seed}"
            train_curve_vae(
                seeded, SilentLogger(), model, curves=data, text_encoder=text, checkpoints=folder / "checkpoints"
            )
            judged.append(_judged(seeded, model, text, held_out))
        results[name] = {
            **{attribute: float(np.mean([shares[attribute].value for shares in judged])) for attribute in judged[0]},
            "by_seed": [shares[JOINT].value for shares in judged],
            "ceiling": ceiling(data, held_out, params.base.size),
            "seconds": time.perf_counter() - begin,
        }
    fitted, true = (results[name]["joint"] for name in curves)
    results["ratio"] = fitted / true if true else None
    return results


def write_true_curves(clips: Path, table: Path, output: Path, strokes: int, harmonics: int) -> None:
    """Write the true outlines of ingested scenes as fitted ones would be written: shards and ``curves.parquet``."""
    write_table(read_table(table / "curves.parquet"), output / "curves.parquet")
    for path in sorted((clips / "shards").glob("*.safetensors")):
        outlines = read_shard(path)["outlines"]
        coefficients = np.zeros((*outlines.shape[:2], strokes, 2, harmonics), np.float32)
        visibility = np.zeros(coefficients.shape[:3], np.float32)
        for index in np.ndindex(outlines.shape[:3]):
            coefficients[index] = true_stroke(outlines[index], harmonics)
            visibility[index] = 1.0
        arrays = {"coefficients": coefficients, "visibility": visibility}
        write_shard(shard_path(output, int(path.stem)), arrays, clip_ids_of(path), key="true outlines")


def true_stroke(outline: np.ndarray, harmonics: int) -> np.ndarray:
    """An outline (P, 2) as a canonical closed stroke: (2, harmonics), in the outline's unit."""
    samples = resample(start_canonically(outline.astype(np.float64)), SAMPLES, closed=True)
    return project(samples, harmonics, closed=True)


def ceiling(curves: Path, rows: pd.DataFrame, size: int) -> float:
    """Share of clips whose own strokes are judged correctly, an upper bound for models."""
    return faithfulness(_seen(fitted_curves(curves, rows), size), rows)[JOINT].value


@torch.no_grad()
def _judged(params: Params, model: Path, text_encoder: Path, held_out: pd.DataFrame) -> dict[str, Share]:
    """Verdicts of the sketch judge on drawings for held-out captions."""
    vae = CurveVAE.from_pretrained(model, low_cpu_mem_usage=False).eval()
    rows = held_out.iloc[np.arange(CAPTIONS) % len(held_out)]
    text = encode_text(*load_text_encoder(text_encoder), rows["caption"].tolist())
    noise = torch.Generator().manual_seed(params.base.seed)
    fps = torch.tensor(rows["fps"].to_numpy(np.float32))
    drawn = sample_curves(vae, text, params.base.frames, fps, noise)
    both = zip(*(tensor.float().numpy() for tensor in drawn), strict=True)
    return faithfulness(_seen([CurveSequence(*one) for one in both], params.base.size), rows)


def _seen(sequences: Sequence[CurveSequence], size: int) -> Verdict:
    """Verdicts of the sketch judge on drawings of strokes."""
    return judge_clips(load_judge("sketch"), np.stack([one.render(size, size) for one in sequences]))


def main(
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("reports/bench"), write: Write = False
) -> None:
    """Train a small curve VAE on fitted strokes and on true outlines, and let the sketch judge compare them."""
    page = page_of("probe", write)
    with TemporaryDirectory() as folder:
        results = probe(load_params(), Path(folder))
    publish("probe", markdown(results), results, output, page)


def markdown(results: dict[str, Any]) -> str:
    """What :func:`probe` returns, as a table."""
    rows = []
    for name in ("fitted", "true outlines"):
        row = results[name]
        shares = [f"{row[key]:.1%}" for key in ("shape", "motion", "joint")]
        by_seed = ", ".join(f"{share:.1%}" for share in row["by_seed"])
        rows.append([name, *shares, by_seed, f"{row['ceiling']:.1%}", f"{row['seconds']:.0f}"])
    table = as_table(["strokes", "shape", "motion", "both", "by seed", "ceiling", "seconds"], rows)
    ratio = "nothing was learned" if results["ratio"] is None else f"fitted / true: {results['ratio']:.2f}"
    return f"{table}\n\n{ratio}"


if __name__ == "__main__":
    run_command(main)
