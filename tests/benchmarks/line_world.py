"""Folders of a run on clips of a line that moves one way or the other: data, text encoder, untrained curve VAE."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from transformers import BertConfig, BertModel

from sketch2video.curve_vae import CurveVAE
from sketch2video.judges.label_judge_training import TRAINING
from sketch2video.text.training import train_tokenizer
from tests.evaluation.moving_lines import HARMONICS, SLOTS, moving_lines

SHORT = TRAINING.model_copy(update={"steps": 2, "batch_size": 8, "warmup_steps": 1, "ema_decay": 0.5})
"""Training of a judge in a blink."""


def make_line_world(folder: Path, clips: int = 60) -> pd.DataFrame:
    """Write ``curves``, ``clips``, ``text`` and ``model``; the table of the clips."""
    table = moving_lines(folder, clips)
    tokenizer = train_tokenizer(table["caption"].tolist(), 300, 16)
    tokenizer.save_pretrained(folder / "text")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False).save_pretrained(folder / "text")
    shape = {"latent_dim": 4, "hidden": 16, "time_terms": 4, "width": 16, "layers": 1, "heads": 2}
    CurveVAE(strokes=3, slots=SLOTS, harmonics=HARMONICS, text_width=16, **shape).save_pretrained(folder / "model")
    return table
