"""Folders with clips and fitted curves of a few embedded scenes, for benchmarks that read the project's data."""

from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.curves import fit_curves
from sketch2video.data.clips.shards import write_shard, write_table
from sketch2video.evaluation.evaluate import Data
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from sketch2video.sketches import extract_sketches


def scene_data(folder: Path, clips: int, size: int, frames: int) -> Data:
    """Write so many held-out clips of T frames of S x S px, and their curves."""
    scenes = [sample_scene(np.random.default_rng([7, i]), [combinations()[(43 * i) % 216]]) for i in range(clips)]
    pictures = np.stack([render_scene(scene, size, frames).frames for scene in scenes])
    curves = [fit_curves(extract_sketches(clip)) for clip in pictures]
    arrays = {name: np.stack([getattr(c, name) for c in curves]) for name in ("coefficients", "visibility")}
    ids = [f"clip{i}" for i in range(clips)]
    for name, content in (("clips", {"frames": pictures}), ("curves", arrays)):
        write_shard(folder / name / "shards" / "0000.safetensors", content, ids, "key")
    words = pd.DataFrame([scene.combination for scene in scenes], columns=["shape", "colour", "motion"])
    labels = [scene.label for scene in scenes]
    table = words.assign(clip_id=ids, caption=labels, label=labels, split="test", fps=8.0, shard=0, row=range(clips))
    write_table(table, folder / "clips" / "clips.parquet")
    return Data(folder / "clips", folder / "sketches", folder / "curves")
