"""A judge of videos with random weights, as the stage ``train_judge`` stores one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from sketch2video.files import sha256_of_file, write_json
from sketch2video.judges.faithfulness import Share
from sketch2video.judges.label_judge import LabelJudge
from sketch2video.judges.shipped import HASH_DIGITS, WEIGHTS
from sketch2video.judges.trained.description import DESCRIPTION, JudgeDescription, LabelAccuracy


def untrained_judge(folder: Path, words: Mapping[str, Sequence[str]], usable: Sequence[str]) -> str:
    """Write a judge of labels into a folder, some of which are usable; returns its name."""
    torch.manual_seed(0)
    network = LabelJudge(3, {label: list(known) for label, known in words.items()}, 32, 8, 16, frames=3, edges=True)
    network.save_pretrained(folder)
    name = f"judge-{sha256_of_file(folder / WEIGHTS)[:HASH_DIGITS]}"
    share = Share(98, 100)
    labels = {label: LabelAccuracy(*share, *share.interval, label in usable) for label in words}
    write_json(folder / DESCRIPTION, JudgeDescription(True, "", name, 0.9, labels).as_json())
    return name
