"""One experiment on the limits of the sketch system: data, trainings, painted held-out clips, and their scores.

Networks are trained by the code of the stages. Held-out clips are painted over the curves that were fitted to them, so
no curve VAE is needed. Finished parts are kept in the experiment's folder, and a killed training continues from its
checkpoint.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from benchmarks.drawing_control import DRAWING, drawing_registered
from benchmarks.limit_experiments import Experiment
from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.network import load_autoencoder
from sketch2video.autoencoder.training import train_autoencoder
from sketch2video.controls import Control, find_control
from sketch2video.controls.sketch import fitted_curves
from sketch2video.curves.fitting.stage import fit
from sketch2video.data.clips.shards import ShardReader, read_table, write_table
from sketch2video.data.ingest.stage import ingest
from sketch2video.diffusion.samplers import default_scheduler
from sketch2video.diffusion.training import train_video_ldm
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.evaluate import Data, evaluated_rows
from sketch2video.evaluation.fidelity_scores import AskedDrawings, Drawn, fidelity_scores, measured
from sketch2video.evaluation.provenance import provenance
from sketch2video.evaluation.scores import (
    Score,
    mean_score,
    peak_signal_to_noise,
    spread_evenly,
    steadiness_scores,
)
from sketch2video.files import read_json, replacing, sha256_of_value, write_json
from sketch2video.generation.seeded import ClipSampling, GeneratedClips, generate_clips, row_batches
from sketch2video.networks.loading import load_frozen
from sketch2video.networks.precision import device_name
from sketch2video.params import DiffusionSampling, Params
from sketch2video.scoring.fidelity import lines_of_ink
from sketch2video.sketches.extract import draw_lines
from sketch2video.sketches.stage import sketch
from sketch2video.systems.latent_diffusion import drawn_sampling
from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline
from sketch2video.text.encoder import load_text_encoder
from sketch2video.text.training import train_text_encoder
from sketch2video.training.loop import RunLogger, SilentLogger

RESULT, SHOWN, PARTS = "result.json", "shown.safetensors", "parts.json"
"""Files of an experiment's folder: scores, clips for the sheet, finished parts with their seconds and metrics."""
SHOWN_CLIPS, SHOWN_FRAMES = 4, 2
FIT = ("strokes", "num_parameters", "ink_to_curve_px", "curve_to_ink_px")
"""Measurements of the fit, columns of ``curves.parquet``."""


def prepare(experiment: Experiment, params: Params, folder: Path, made: set[Path]) -> Data:
    """Make an experiment's clips, drawings and curves; what experiments share is made once.

    Held-out clips are the same in all experiments: the split is determined by the videos.

    Args:
        experiment: its ``share`` is read.
        params: its parameters.
        folder: of the data of all experiments.
        made: folders that are not made again; those that are made are added.

    Raises:
        UserError: the videos cannot be read.
    """
    sections = params.base.deciding(), params.ingest.model_dump(), params.sketch.model_dump()
    shared = folder / f"{params.base.size}px-{sha256_of_value(sections)[:8]}"
    curves = shared / f"curves-{sha256_of_value(params.fit.model_dump())[:8]}"
    data = Data(shared / "clips", shared / "sketches", curves)
    if shared not in made:
        ingest(params, data.clips)
        sketch(params, data.clips, data.sketches, sheet=shared / "sketches.png")
    if curves not in made:
        fit(params, data.clips, data.sketches, data.curves, report=curves.with_suffix(".json"))
    made |= {shared, curves}
    if experiment.share == 1:
        return data
    return subset(data, experiment.share, curves.with_name(f"{curves.name}-{experiment.name}"))


def subset(data: Data, share: float, folder: Path) -> Data:
    """A copy of the data with a share of the training clips, evenly over labels; shards are hard links.

    A smaller share is a part of a larger one.
    """
    table = read_table(data.clips / "clips.parquet")
    train = table[table["split"] == "train"]
    chosen = spread_evenly(train, max(round(share * len(train)), 1))["clip_id"]
    left_out = set(train["clip_id"]) - set(chosen)
    made = Data(folder / "clips", folder / "sketches", folder / "curves")
    for source, target in zip(asdict(data).values(), asdict(made).values(), strict=True):
        with replacing(target) as partial:
            shutil.copytree(source, partial, copy_function=os.link)
            for path in partial.glob("*.parquet"):
                rows = read_table(path)
                write_table(rows[~rows["clip_id"].isin(left_out)].reset_index(drop=True), path)
    return made


def run_experiment(experiment: Experiment, params: Params, data: Data, folder: Path, small: int) -> dict[str, Any]:
    """Train on the training clips, paint the held-out clips, and score them.

    Writes ``result.json``, and ``shown.safetensors`` with ``real``, ``drawing`` and ``painted``, uint8
    (clips, frames, S, S, 3).

    Args:
        experiment: its ``control`` is read.
        params: its parameters.
        data: see :func:`prepare`.
        folder: of this experiment, parameters, clips and code.
        small: side, px, at which experiments of different sizes are compared, too.

    Returns:
        The content of ``result.json``.

    Raises:
        UserError: a training fails.
    """
    rows, split = evaluated_rows(read_table(data.clips / "clips.parquet"), params.evaluate.clips)
    with drawing_registered():
        control = find_control(experiment.control)
        parts = train_parts(params, control, data, folder)
        begin = time.monotonic()
        painted = paint(params, control, rows, data, folder)
        scores, small_psnr = score_painted(painted, control, rows, data, params, small)
    save_shown(folder / SHOWN, painted, rows, data, control)
    fitted = read_table(data.curves / "curves.parquet").merge(rows[["clip_id"]], on="clip_id")
    seconds = {name: part["seconds"] for name, part in parts.items()} | {"painting": time.monotonic() - begin}
    result = {
        "experiment": asdict(experiment),
        "training_clips": int((read_table(data.clips / "clips.parquet")["split"] == "train").sum()),
        "clips": len(rows),
        "split": split,
        "size": params.base.size,
        "fit": {name: float(fitted[name].mean()) for name in FIT} if control is not DRAWING else {},
        "autoencoder": parts["autoencoder"]["metrics"],
        "scores": {name: asdict(score) for name, score in scores.items()},
        "psnr_small_of_clips": dict(zip(rows["clip_id"], small_psnr.tolist(), strict=True)),
        "seconds": seconds,
        "made": provenance(),
    }
    write_json(folder / RESULT, result)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return result


def train_parts(params: Params, control: Control, data: Data, folder: Path) -> dict[str, Any]:
    """Train text encoder, autoencoder and video LDM; the seconds and metrics of each part. Finished ones are kept."""
    path = folder / PARTS
    parts: dict[str, Any] = read_json(path) if path.exists() else {}
    for name, make in stages(params, control, data, folder, SilentLogger()).items():
        if name not in parts:
            begin = time.monotonic()
            made = make()
            parts[name] = {"seconds": time.monotonic() - begin, "metrics": getattr(made, "metrics", {})}
            write_json(path, parts)
    return parts


def stages(
    params: Params, control: Control, data: Data, folder: Path, logger: RunLogger
) -> dict[str, Callable[[], Any]]:
    """The stages that painting depends on, by name in their order: functions that make their output in ``folder``."""
    checkpoints = folder / "checkpoints"
    text, frames, latents = folder / "text_encoder", folder / "autoencoder", folder / "latents"
    drawn: dict[str, Any] = {
        "control": control.name,
        "clips": data.clips,
        "curves": data.curves,
        "checkpoints": checkpoints,
    }
    return {
        "text_encoder": partial(train_text_encoder, params, logger, text, clips=data.clips, checkpoints=checkpoints),
        "autoencoder": partial(train_autoencoder, params, logger, frames, **drawn),
        "latents": partial(encode_latents, latents, autoencoder=frames, clips=data.clips),
        "video_ldm": partial(
            train_video_ldm,
            params,
            logger,
            folder / "video_ldm",
            latents=latents,
            text_encoder=text,
            autoencoder=frames,
            **drawn,
        ),
    }


def paint(params: Params, control: Control, rows: pd.DataFrame, data: Data, folder: Path) -> GeneratedClips:
    """Paint the clips of ``rows`` by the networks in ``folder``, over what their control gives."""
    given = partial(control.given, clips=data.clips, curves=data.curves, size=params.base.size)
    pipeline = pipeline_of(params, control, folder).to(device_name())
    return generate_clips(pipeline, rows, ClipSampling.of(params), folder / "painted", "painted", given)


def pipeline_of(params: Params, control: Control, folder: Path) -> Any:
    """The pipeline of an experiment's networks; without a curve VAE, so that drawings must be given."""
    tokenizer, encoder = load_text_encoder(folder / "text_encoder")
    transformer = load_frozen(VideoTransformer, folder / "video_ldm", "train_video_ldm")
    kind: Any = SketchToVideoPipeline if control.draws else TextToVideoPipeline
    return kind(
        tokenizer=tokenizer,
        text_encoder=encoder,
        autoencoder=load_autoencoder(folder / "autoencoder"),
        transformer=transformer,
        scheduler=default_scheduler(transformer.config.objective, transformer.config.time_shift),
        sampling=drawn_sampling(params) if control.draws else DiffusionSampling.options(params.evaluate),
        **({"curve_vae": None} if control.draws else {}),
    )


def score_painted(
    painted: GeneratedClips, control: Control, rows: pd.DataFrame, data: Data, params: Params, small: int
) -> tuple[dict[str, Score], np.ndarray]:
    """Scores of N painted clips by name, and the values of one of them.

    Returns:
        The scores ``psnr`` and ``psnr_small``, at ``small`` px, in dB; those of :func:`steadiness_scores`;
        ``control_px``, ``control_found`` and ``control_f1`` against what was painted over; ``drawing_f1`` against the
        drawing of the real clip in every experiment. And (N,), ``psnr_small`` of each clip.
    """
    size, bootstrap = params.evaluate.batch_size, params.evaluate.bootstrap
    reader = ShardReader(data.clips)
    real = [reader.batch("frames", batch) for batch in row_batches(rows, size)]
    made = [frames for frames, _ in painted.batches()]
    steady, true = (Steadiness.concatenate([steadiness(clips) for clips in side]) for side in (made, real))
    found = steadiness_scores(steady, true, bootstrap, {})
    asked = AskedDrawings(control, rows, data.clips, data.curves, size)
    found |= fidelity_scores(asked, {"": painted}, params.sketch, bootstrap, {})[0]
    extract = partial(draw_lines, sketch=params.sketch)
    painted_f1, real_f1 = (measured(_with_ink(clips, rows, data, size), extract).f1 for clips in (made, real))
    scores: dict[str, Score | None] = {
        **found,
        "drawing_f1": mean_score(painted_f1, real_f1, bootstrap, {"unit": "share of length"}),
    }
    for name, side in (("psnr", params.base.size), ("psnr_small", small)):
        pairs = [[shrunk(clips, side) for clips in pair] for pair in zip(made, real, strict=True)]
        values = np.concatenate([peak_signal_to_noise(*pair) for pair in pairs])
        scores[name] = mean_score(values, np.array([]), bootstrap, {"unit": "dB", "side": side})
    return {name: score for name, score in scores.items() if score is not None}, values


def shrunk(clips: np.ndarray, side: int) -> np.ndarray:
    """Clips uint8 (..., S, S, 3), averaged over areas: (..., side, side, 3)."""
    if clips.shape[-2] == side:
        return clips
    frames = clips.reshape(-1, *clips.shape[-3:])
    small = np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames])
    return small.reshape(*clips.shape[:-3], side, side, 3)


def save_shown(path: Path, painted: GeneratedClips, rows: pd.DataFrame, data: Data, control: Control) -> None:
    """Write a few frames of a few clips for the sheet; see :func:`run_experiment`."""
    which = np.unique(np.linspace(0, len(rows) - 1, SHOWN_CLIPS).round().astype(int))
    table = rows.iloc[which]
    real = ShardReader(data.clips).batch("frames", table)
    if control is DRAWING:
        ink = ShardReader(data.sketches).batch("ink", table)
    else:
        ink = np.stack([curves.render(*real.shape[2:4]) for curves in fitted_curves(data.curves, table)])
    made = np.stack([frames for frames, _ in painted.pick(which.tolist())])
    times = np.linspace(0, real.shape[1] - 1, SHOWN_FRAMES + 2).round().astype(int)[1:-1]
    shown = {"real": real, "drawing": 255 - np.repeat(ink[..., None], 3, -1), "painted": made}
    with replacing(path) as partial:
        save_file({name: np.ascontiguousarray(clips[:, times]) for name, clips in shown.items()}, partial)


def _with_ink(clips: list[np.ndarray], rows: pd.DataFrame, data: Data, size: int) -> Drawn:
    """Batches of clips with the lines of the real clips' drawings."""
    reader = ShardReader(data.sketches)
    for frames, batch in zip(clips, row_batches(rows, size), strict=True):
        yield frames, [lines_of_ink(ink, frames.shape[3]) for ink in reader.batch("ink", batch)]
