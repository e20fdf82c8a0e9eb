"""Labels of clips as targets of a judge's training, and what the trainings of judges of labels share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from sketch2video.data.clips.shards import evenly_spread
from sketch2video.errors import UserError
from sketch2video.networks.processes import draw

SHIFT, SCALE, TURN = 0.08, 0.12, 0.08
"""Augmentation: maximum shift (frame widths), scale (logarithm) and rotation (radians), which keep the labels."""
TESTED_CLIPS = 1024
"""Maximum number of held-out clips for measuring the accuracy."""
UNKNOWN = -100
"""Target of a clip without a label; ignored in the loss."""


class Examples(NamedTuple):
    """Clips and their labels.

    Attributes:
        ink: drawings uint8 (N, T, S, S), 255 on 0, or videos uint8 (N, T, S, S, 3).
        table: N rows in the same order, with a column of words or null for each label.
    """

    ink: np.ndarray
    table: pd.DataFrame


def words_of(table: pd.DataFrame, labels: Sequence[str]) -> dict[str, list[str]]:
    """The words of each label that the clips of a table have, sorted; labels with fewer than two are left out."""
    words = {label: sorted(table[label].dropna().unique()) for label in labels if label in table}
    return {label: found for label, found in words.items() if len(found) > 1}


def targets_of(table: pd.DataFrame, words: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Index of every clip's word for each label: int64 (N,), ``UNKNOWN`` if the clip has none of these words.

    A label that is no column of the table has no words.
    """
    targets = {}
    for label, known in words.items():
        index: dict[str | None, int] = {word: number for number, word in enumerate(known)}
        column = table[label].tolist() if label in table else [None] * len(table)
        targets[label] = torch.tensor([index.get(word, UNKNOWN) for word in column], dtype=torch.int64)
    return targets


def learnable(table: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """The labels with at least two words in the training clips and one in the held-out clips."""
    held_out = table[table["split"] == "test"]
    known = words_of(table[table["split"] == "train"], labels)
    return [label for label in known if held_out[label].notna().any()]


def some_clips(table: pd.DataFrame, split: str, number: int) -> pd.DataFrame:
    """At most ``number`` clips of a split, evenly spread over the table."""
    rows = table[table["split"] == split]
    if rows.empty:
        raise UserError(f"there is no clip of the {split} split to judge by; add videos or change ingest.test_fraction")
    return evenly_spread(rows, number).reset_index(drop=True)


def label_losses(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean cross-entropy of each label over the clips that have a word: scalars.

    Args:
        logits: of each label, (N, words).
        targets: index of each clip's word, int64 (N,), ``UNKNOWN`` where there is none; more entries are ignored.
    """
    losses = {}
    for label, values in logits.items():
        target = targets[label]
        total = F.cross_entropy(values, target, ignore_index=UNKNOWN, reduction="sum")
        losses[label] = total / (target != UNKNOWN).sum().clamp_min(1)
    return losses


def moved(ink: Tensor, generator: torch.Generator, padding: str = "zeros") -> Tensor:
    """Augment clips by a random shift, scale and rotation, the same for all frames of a clip.

    Args:
        ink: (N, T, H, W); of videos, frames and channels together are T.
        generator: random generator.
        padding: what comes in from outside the frame, "zeros" or "border" (the nearest pixel).
    """
    change = 2 * draw(torch.rand, [4, len(ink)], generator, axis=1) - 1
    scale, angle = torch.exp(SCALE * change[0]), TURN * change[1]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    # affine_grid has coordinates from -1 to 1 over the frame, two for a frame width.
    rows = [cosine, -sine, 2 * SHIFT * change[2], sine, cosine, 2 * SHIFT * change[3]]
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(ink[:, :1].shape), align_corners=False)
    return F.grid_sample(ink, grid, mode="bilinear", padding_mode=padding, align_corners=False)
