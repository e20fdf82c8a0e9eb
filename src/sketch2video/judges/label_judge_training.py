"""Training of a judge of labels on drawings of the curves that were fitted to training clips.

It is trained on all labels first, then again on those alone that it can classify: a label that drawings do not show,
such as a colour, would lead to overfitting and worse features for the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sketch2video.code import code_digest
from sketch2video.controls.sketch import fitted_curves
from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.data.clips.shards import label_columns
from sketch2video.errors import UserError
from sketch2video.files import read_json, replacing, sha256_of_value, write_json
from sketch2video.judges.faithfulness import JOINT, Share, faithfulness
from sketch2video.judges.label_judge import LabelJudge
from sketch2video.judges.label_judge_scenes import scenes_of_two, shows_two_objects
from sketch2video.judges.labels import (
    TESTED_CLIPS,
    Examples,
    label_losses,
    learnable,
    moved,
    some_clips,
    targets_of,
    words_of,
)
from sketch2video.judges.scenes_judge import Judge
from sketch2video.judges.shipped import HASH_DIGITS, judge_path, load_judge
from sketch2video.judges.verdict import judge_clips, spread_of_features
from sketch2video.params import TrainingParams
from sketch2video.systems.loading import content_hash
from sketch2video.training.loop import Batch, SilentLogger, Task, train

TRAINING = TrainingParams(
    steps=600,
    batch_size=32,
    learning_rate=4e-3,
    warmup_steps=50,
    weight_decay=0.02,
    gradient_clip=1.0,
    gradient_accumulation=1,
    ema_decay=0.98,
    checkpoint_every=600,
    preview_every=0,
)
"""Not in params.yaml, like the training of the frozen judges."""

SIZE = 64
"""Side of the drawings, px: curves can be drawn at any size."""
TRAINED_CLIPS = 4096
"""Maximum number of clips for training."""
SCENES = 4096
"""Number of generated scenes with two objects, in addition to the training clips."""
SEEN = 0.9
"""Minimum accuracy on real drawings; labels below it are not judged."""
SKETCH_LABELS = ("shape", "motion")
"""Attributes of the frozen sketch judge."""
ACCURACY = "accuracy.json"


class TrainedJudge(NamedTuple):
    """A judge of drawings and its accuracy.

    Attributes:
        judge: in evaluation mode; None if no label can be classified by drawings.
        accuracy: accuracy on held-out real drawings, for every label of the judge and for all at once (``joint``).
        unseen: accuracy of the labels that cannot be classified by drawings; they are not judged.
        name: name of the judge for reports.
    """

    judge: LabelJudge | Judge | None
    accuracy: dict[str, Share]
    unseen: dict[str, Share]
    name: str


def drawings_of(curves: Path, rows: pd.DataFrame, size: int = SIZE) -> np.ndarray:
    """Drawings of the curves that were fitted to clips: uint8 (N, T, size, size), 255 ink on 0."""
    return np.concatenate(
        [
            np.stack([one.render(size, size) for one in fitted_curves(curves, rows.iloc[start : start + 64])])
            for start in range(0, len(rows), 64)
        ]
    )


class LabelTask(Task):
    """Training of a judge of labels: cross-entropy of every label.

    Args:
        network: the judge.
    """

    module: LabelJudge

    def __init__(self, network: LabelJudge) -> None:
        super().__init__(network)

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :class:`~sketch2video.training.loop.Task`; the batch holds ``ink`` uint8 (N, T, S, S) and targets."""
        ink = moved(batch["ink"].float() / 255, generator)
        logits, _ = self.module(ink[:, :, None])
        terms = label_losses(logits, batch)
        return torch.stack(list(terms.values())).sum(), {label: term.detach() for label, term in terms.items()}


def train_label_judge(
    examples: Examples,
    labels: Sequence[str],
    further: Examples | None = None,
    *,
    settings: TrainingParams = TRAINING,
    seed: int = 0,
) -> LabelJudge:
    """Train a judge of labels from scratch.

    Args:
        examples: real drawings; at least one label has two words or more in their table, which defines all words.
        labels: columns of the table.
        further: further training drawings that are not of real clips; None: none.
        settings: settings of the training.
        seed: random seed of weights and order.

    Returns:
        The judge, in evaluation mode; its features have a standard deviation of one over ``examples``.
    """
    words = words_of(examples.table, labels)
    torch.manual_seed(seed)
    made = LabelJudge(channels=1, labels=words, size=SIZE)
    parts = [part for part in (examples, further) if part is not None]
    targets = [targets_of(part.table, words) for part in parts]
    dataset = TensorDataset(
        {
            "ink": torch.cat([torch.from_numpy(part.ink) for part in parts]),
            **{label: torch.cat([target[label] for target in targets]) for label in words},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            LabelTask(made),
            dataset,
            settings,
            name="label judge",
            checkpoint_folder=Path(folder) / "label_judge",
            seed=seed,
            logger=SilentLogger(),
        )
    made.requires_grad_(False)
    real = examples.ink
    some = np.linspace(0, len(real) - 1, min(TESTED_CLIPS, len(real))).round().astype(int)
    made.feature_scale.mul_(spread_of_features(judge_clips(made, real[some])).to(made.device))
    return made


def judge_of_drawings(
    curves: Path,
    table: pd.DataFrame,
    labels: Sequence[str] | None,
    folder: Path,
    *,
    settings: TrainingParams = TRAINING,
    seed: int = 0,
) -> TrainedJudge:
    """The judge of the drawings of a data set: the frozen one if it has their labels, else one that is trained.

    Args:
        curves: folder of shards.
        table: all clips of ``curves.parquet``, those of both splits, with their labels.
        labels: columns that are judged, whatever the accuracy. None: ``shape`` and ``motion`` of embedded scenes;
            otherwise the columns ``label.*`` that can be classified by drawings, or ``label`` without such columns.
        folder: folder of trained judges, each in a subfolder ``label_judge-<hash of its inputs>``.
        settings: settings of the training.
        seed: random seed of the training.

    Raises:
        UserError: a label does not exist or has fewer than two words, or curves are missing or damaged.
    """
    if labels is None and all(name in table and table[name].notna().all() for name in SKETCH_LABELS):
        rows = some_clips(table, "test", TESTED_CLIPS)
        verdict = judge_clips(load_judge("sketch"), drawings_of(curves, rows))
        return TrainedJudge(load_judge("sketch"), faithfulness(verdict, rows), {}, judge_path("sketch").name)
    own = label_columns(table) or ["label"]
    known = learnable(table, labels or own)
    if labels and (missing := sorted(set(labels) - set(known))):
        raise UserError(
            f"--labels {missing[0]}: there is no such column, or training clips have fewer than two words in it, or"
            f" held-out clips none; name some of {', '.join(learnable(table, own)) or 'label.* of captions.csv'}"
        )
    if not known:
        return TrainedJudge(None, {}, {}, "none: the clips have no labels")
    made_of = {
        "curves": content_hash(curves),
        "labels": table[["clip_id", "split", *known]].astype(str).to_dict("list"),
        "choose": labels is None,
        "settings": settings.model_dump(),
        "seed": seed,
        "code": code_digest(__file__),
    }
    path = folder / f"label_judge-{sha256_of_value(made_of)[:HASH_DIGITS]}"
    if not (path / ACCURACY).is_file():
        with replacing(path) as partial:
            _make(partial, curves, table, known, choose=labels is None, settings=settings, seed=seed)
    return _load(path)


def _make(
    folder: Path,
    curves: Path,
    table: pd.DataFrame,
    labels: list[str],
    *,
    choose: bool,
    settings: TrainingParams,
    seed: int,
) -> None:
    """Train a judge, and write it and its accuracy into a folder; no judge if no label can be classified."""
    chosen = some_clips(table, "train", TRAINED_CLIPS), some_clips(table, "test", TESTED_CLIPS)
    real, held_out = (Examples(drawings_of(curves, rows), rows) for rows in chosen)
    further = None
    if shows_two_objects(table):
        further = Examples(*scenes_of_two(SCENES, SIZE, real.ink.shape[1], seed))

    def trained(names: list[str]) -> tuple[LabelJudge, dict[str, Share]]:
        made = train_label_judge(real, names, further, settings=settings, seed=seed)
        return made, faithfulness(judge_clips(made, held_out.ink), held_out.table)

    made, accuracy = trained(labels)
    unseen = {name: accuracy[name] for name in labels if choose and not _is_seen(accuracy[name], held_out.table[name])}
    seen = [name for name in labels if name not in unseen]
    if unseen and seen:
        made, accuracy = trained(seen)
    folder.mkdir()
    if seen:
        made.save_pretrained(folder)
    write_json(folder / ACCURACY, {"accuracy": accuracy if seen else {}, "unseen": unseen})


def _is_seen(share: Share, words: pd.Series) -> bool:
    """Whether a label can be classified: high accuracy, and at most half the errors of a constant prediction."""
    commonest = float(words.value_counts(normalize=True).iloc[0])
    return share.value >= SEEN and 1 - share.value <= (1 - commonest) / 2


def _load(folder: Path) -> TrainedJudge:
    """Load the output of :func:`_make`."""
    about = read_json(folder / ACCURACY)
    accuracy, unseen = ({name: Share(*share) for name, share in about[key].items()} for key in ("accuracy", "unseen"))
    if not accuracy:
        return TrainedJudge(None, {}, unseen, "none: drawings show no label")
    made = LabelJudge.from_pretrained(folder, low_cpu_mem_usage=False).requires_grad_(False).eval()
    in_order = {name: accuracy[name] for name in [*made.vocabulary, JOINT] if name in accuracy}
    return TrainedJudge(made, in_order, unseen, folder.name)
