"""Clips of a ring that moves one way or the other, and parameters small enough to learn them in a test."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import BertConfig, BertModel

from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.params import Params, load_params
from sketch2video.text.training import train_tokenizer

FRAMES, SLOTS, HARMONICS = 6, 3, 8
CAPTIONS = ("a ring moves left to right", "a ring moves right to left")
ROOT = Path(__file__).parents[2]


def ring(caption: str, rng: np.random.Generator) -> np.ndarray:
    """One closed stroke that crosses the frame as the caption says: (T, S, 2, K)."""
    u = np.linspace(0, 1, 200)
    circle = np.stack([np.sin(2 * np.pi * u), -np.cos(2 * np.pi * u)])
    basis = np.cos(np.pi * np.outer(u, np.arange(HARMONICS)))
    coefficients = np.zeros((FRAMES, SLOTS, 2, HARMONICS), np.float32)
    coefficients[:, 0] = rng.uniform(0.1, 0.2) * np.linalg.lstsq(basis, circle.T, rcond=None)[0].T
    path = np.linspace(0.25, 0.75, FRAMES)
    coefficients[:, 0, 0, 0] += path if caption == CAPTIONS[0] else path[::-1]
    coefficients[:, 0, 1, 0] += rng.uniform(0.4, 0.6)
    return coefficients


def write_project(folder: Path) -> None:
    """Fitted curves of 48 clips and an untrained text encoder, in ``curves`` and ``text``."""
    rng = np.random.default_rng(0)
    captions = [CAPTIONS[i % 2] for i in range(48)]
    ids = [f"clip{i:02d}" for i in range(48)]
    visibility = np.zeros((48, FRAMES, SLOTS), np.float32)
    visibility[..., 0] = 1
    arrays = {"coefficients": np.stack([ring(c, rng) for c in captions]), "visibility": visibility}
    write_shard(shard_path(folder / "curves", 0), arrays, ids, "key")
    split = ["train"] * 40 + ["test"] * 8
    table = pd.DataFrame(
        {"clip_id": ids, "caption": captions, "split": split, "fps": 8.0, "shard": 0, "row": range(48), "slots": 1}
    )
    write_table(table, folder / "curves" / "curves.parquet")

    tokenizer = train_tokenizer(captions, 320, 16)
    tokenizer.save_pretrained(folder / "text")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False).save_pretrained(folder / "text")


def params(steps: int, prior_steps: int) -> Params:
    """The project's own parameters with networks of a few thousand weights."""
    real = load_params(ROOT / "params.yaml")
    short = {"batch_size": 16, "warmup_steps": 5, "ema_decay": 0.9, "checkpoint_every": 1000, "preview_every": 0}
    small = {
        "strokes": 3,
        "latent_dim": 4,
        "hidden": 32,
        "time_terms": 6,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "augmentation": 0.0,
    }
    values = real.model_dump(by_alias=True)
    values["curve_vae"] |= small
    values["curve_vae"]["training"] |= short | {"steps": steps, "learning_rate": 5e-3}
    values["curve_vae"]["prior_training"] |= short | {"steps": prior_steps, "learning_rate": 5e-3, "batch_size": 272}
    values["base"] |= {"size": 32, "frames": FRAMES}
    return Params.model_validate(values)
