from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel

from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.scenes.synthetic import Combination, caption_of, render_scene, sample_scene
from sketch2video.text.training import train_tokenizer

SIZE, FRAMES, STROKES, HARMONICS, CLIPS = 32, 4, 2, 16, 24


def as_one_stroke(outlines: np.ndarray) -> np.ndarray:
    """Cosine series of closed outlines (T, P, 2): (T, STROKES, 2, HARMONICS), the second stroke unused."""
    closed = np.concatenate([outlines, outlines[:, :1]], axis=1)
    basis = np.cos(np.pi * np.outer(np.linspace(0, 1, closed.shape[1]), np.arange(HARMONICS)))
    coefficients = np.zeros((len(outlines), STROKES, 2, HARMONICS), np.float32)
    coefficients[:, 0] = (
        np.linalg.lstsq(basis, closed.transpose(1, 0, 2).reshape(len(basis), -1), rcond=None)[0]
        .reshape(HARMONICS, -1, 2)
        .transpose(1, 2, 0)
    )
    return coefficients


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``clips`` and ``curves`` of 24 small scenes in two shards, and an untrained encoder in ``text``."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    rows, arrays = [], []
    for i in range(CLIPS):
        shape, colour = ("circle", "red") if i % 2 else ("square", "blue")
        scene = sample_scene(rng, [Combination(shape, colour, "left to right")], frames=FRAMES)
        rendered = render_scene(scene, SIZE, FRAMES)
        visibility = np.zeros((FRAMES, STROKES), np.float32)
        visibility[:, 0] = 1
        arrays.append((rendered.frames, as_one_stroke(rendered.outlines[:, 0]), visibility))
        split = "test" if i % 6 == 5 else "train"
        rows.append({"clip_id": f"clip{i:02d}", "caption": caption_of(scene, rng), "split": split, "fps": scene.fps})
    table = pd.DataFrame(rows).assign(shard=np.arange(CLIPS) // 12, row=np.arange(CLIPS) % 12)
    for shard, part in table.groupby("shard"):
        frames, coefficients, visibility = map(np.stack, zip(*(arrays[i] for i in part.index), strict=True))
        ids = part["clip_id"].tolist()
        write_shard(shard_path(folder / "clips", int(shard)), {"frames": frames}, ids, f"clips {shard}")
        curves = {"coefficients": coefficients, "visibility": visibility}
        write_shard(shard_path(folder / "curves", int(shard)), curves, ids, f"curves {shard}")
    write_table(table, folder / "clips" / "clips.parquet")
    write_table(table.assign(slots=1), folder / "curves" / "curves.parquet")

    tokenizer = train_tokenizer(table["caption"].tolist(), 320, 24)
    tokenizer.save_pretrained(folder / "text")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False).save_pretrained(folder / "text")
    return folder
