"""How a judge of labels is trained: on drawings of the curves that were fitted to training clips.

It is asked for all labels that it might see, then trained again for those alone that it does see: a label that no
drawing shows, such as a colour, can only be learned by heart, and would spoil the features for the others.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from sketch2video.curves import render
from sketch2video.errors import UserError
from sketch2video.evaluation import judge, label_judge
from sketch2video.evaluation.faithfulness import JOINT, Share, faithfulness
from sketch2video.evaluation.generation import fitted_curves
from sketch2video.evaluation.judge import HASH_DIGITS, Judge, judge_clips, judge_path, load_judge
from sketch2video.evaluation.label_judge import LabelJudge
from sketch2video.files import code_digest, read_json, replacing, sha256_of_value, write_json
from sketch2video.params import TrainingParams
from sketch2video.systems.loading import content_hash
from sketch2video.training.data import TensorDataset
from sketch2video.training.loop import Batch, SilentLogger, Task, train
from sketch2video.videos.shards import label_columns

TRAINING = TrainingParams(
    steps=400,
    batch_size=32,
    learning_rate=4e-3,
    warmup_steps=40,
    weight_decay=0.02,
    gradient_clip=1.0,
    gradient_accumulation=1,
    ema_decay=0.98,
    checkpoint_every=400,
    preview_every=0,
)
"""Not in params.yaml, as that of the frozen judges."""

SIZE = 64
"""Side of the drawings, px: curves can be drawn at any size."""
SHIFT = 3
"""Pixels by which training drawings are moved at most: a shape is what it is wherever it stands."""
TRAINED_CLIPS, TESTED_CLIPS = 4096, 1024
"""The most clips that are drawn for training, and for finding out how often a judge is right."""
SEEN = 0.9
"""A label that a judge finds in a smaller share of real drawings is taken for one that drawings do not show."""
SKETCH_LABELS = ("shape", "motion")
"""What the frozen sketch judge tells apart."""
UNKNOWN = -100
"""Target of a clip without a label; no loss comes from it."""
ACCURACY = "accuracy.json"


class TrainedJudge(NamedTuple):
    """A judge of drawings, and how far it is to be believed.

    Attributes:
        judge: in evaluation mode; None where drawings show no label.
        accuracy: for every label that it judges and for all at once (``joint``), how many of the held-out real drawings
            it is right about.
        unseen: the same of the labels that cannot be seen in drawings; it does not judge them.
        name: for reports.
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


def words_of(table: pd.DataFrame, labels: Sequence[str]) -> dict[str, list[str]]:
    """The words of each label that the clips of a table have, sorted; labels with fewer than two are left out."""
    words = {label: sorted(table[label].dropna().unique()) for label in labels if label in table}
    return {label: found for label, found in words.items() if len(found) > 1}


def targets_of(table: pd.DataFrame, words: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Index of every clip's word for each label: int64 (N,), ``UNKNOWN`` where the clip has none of these words."""
    indices = {label: {word: index for index, word in enumerate(known)} for label, known in words.items()}
    return {label: torch.tensor([of.get(word, UNKNOWN) for word in table[label]]) for label, of in indices.items()}


class LabelTask(Task):
    """Teaches a judge the labels of drawings: cross-entropy of every label's word.

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
        ink = batch["ink"].float() / 255
        down, right = torch.randint(2 * SHIFT + 1, (2,), generator=generator, device=generator.device).tolist()
        height, width = ink.shape[-2:]
        ink = F.pad(ink, (SHIFT,) * 4)[..., down : down + height, right : right + width]
        logits, _ = self.module(ink[:, :, None])
        terms = {}
        for label, values in logits.items():
            target = batch[label]
            total = F.cross_entropy(values, target, ignore_index=UNKNOWN, reduction="sum")
            terms[label] = total / (target != UNKNOWN).sum().clamp_min(1)
        return torch.stack(list(terms.values())).sum(), {label: term.detach() for label, term in terms.items()}


def train_label_judge(
    ink: np.ndarray,
    table: pd.DataFrame,
    labels: Sequence[str],
    *,
    settings: TrainingParams = TRAINING,
    seed: int = 0,
) -> LabelJudge:
    """Train a judge of labels from scratch.

    Args:
        ink: uint8 (N, T, S, S), drawings.
        table: N rows in the same order with the columns ``labels``, of words or null.
        labels: at least one of them has two words or more.
        settings: of the training.
        seed: of weights and order.

    Returns:
        The judge, in evaluation mode; its features have a standard deviation of one over ``ink``.
    """
    words = words_of(table, labels)
    torch.manual_seed(seed)
    made = LabelJudge(channels=1, labels=words, size=SIZE)
    dataset = TensorDataset({"ink": torch.from_numpy(ink), **targets_of(table, words)})
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
    some = np.linspace(0, len(ink) - 1, min(TESTED_CLIPS, len(ink))).round().astype(int)
    scale = judge_clips(made, ink[some]).features.std(0)
    # A feature that hardly changes is noise: it must not count as much as the others.
    made.feature_scale.mul_(torch.from_numpy(np.maximum(scale, 0.02)).to(made.device))
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
    """The judge of the drawings of a data set: the frozen one where it knows what they show, else one that is trained.

    Args:
        curves: folder of shards.
        table: all clips of ``curves.parquet``, those of both splits, with their labels.
        labels: columns that are judged, however well. None: ``shape`` and ``motion`` of embedded scenes; otherwise
            those of the columns ``label.*`` that drawings show, or of ``label`` where there are no such columns.
        folder: keeps trained judges, each in a folder ``label_judge-<hash of all that it was trained from>``.
        settings: of the training.
        seed: of the training.

    Raises:
        UserError: a label is not there or has fewer than two words, or curves are missing or damaged.
    """
    if labels is None and all(name in table and table[name].notna().all() for name in SKETCH_LABELS):
        rows = _some(table, "test", TESTED_CLIPS)
        verdict = judge_clips(load_judge("sketch"), drawings_of(curves, rows))
        return TrainedJudge(load_judge("sketch"), faithfulness(verdict, rows), {}, judge_path("sketch").name)
    own = label_columns(table) or [name for name in ("label",) if name in table]
    known = words_of(table[table["split"] == "train"], labels or own)
    if labels and (missing := sorted(set(labels) - set(known))):
        raise UserError(
            f"--labels {missing[0]}: training clips have no such column, or it has fewer than two words there;"
            f" name some of {', '.join(words_of(table, own)) or 'the columns label.* of captions.csv'}"
        )
    if not known:
        return TrainedJudge(None, {}, {}, "none: the clips have no labels")
    made_of = {
        "curves": content_hash(curves),
        "labels": table[["clip_id", "split", *known]].astype(str).to_dict("list"),
        "choose": labels is None,
        "settings": settings.model_dump(),
        "seed": seed,
        "code": code_digest(judge, label_judge, render, sys.modules[__name__]),
    }
    path = folder / f"label_judge-{sha256_of_value(made_of)[:HASH_DIGITS]}"
    if not (path / ACCURACY).is_file():
        with replacing(path) as partial:
            _make(partial, curves, table, list(known), choose=labels is None, settings=settings, seed=seed)
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
    """Train a judge, and write it and its accuracy into a folder; without a judge where no label is seen."""
    rows, held_out = _some(table, "train", TRAINED_CLIPS), _some(table, "test", TESTED_CLIPS)
    ink, held_out_ink = (drawings_of(curves, part) for part in (rows, held_out))

    def trained(names: list[str]) -> tuple[LabelJudge, dict[str, Share]]:
        made = train_label_judge(ink, rows, names, settings=settings, seed=seed)
        return made, faithfulness(judge_clips(made, held_out_ink), held_out)

    made, accuracy = trained(labels)
    unseen = {name: accuracy[name] for name in labels if choose and not _is_seen(accuracy.get(name), held_out[name])}
    seen = [name for name in labels if name not in unseen]
    if unseen and seen:
        made, accuracy = trained(seen)
    folder.mkdir()
    if seen:
        made.save_pretrained(folder)
    write_json(folder / ACCURACY, {"accuracy": accuracy if seen else {}, "unseen": unseen})


def _is_seen(share: Share | None, words: pd.Series) -> bool:
    """Whether a judge sees a label: it is right often, and errs half as often as the commonest word alone would."""
    if share is None:
        return False
    commonest = float(words.value_counts(normalize=True).iloc[0])
    return share.value >= SEEN and 1 - share.value <= (1 - commonest) / 2


def _load(folder: Path) -> TrainedJudge:
    """What :func:`_make` wrote."""
    about = read_json(folder / ACCURACY)
    accuracy, unseen = ({name: Share(*share) for name, share in about[key].items()} for key in ("accuracy", "unseen"))
    if not accuracy:
        return TrainedJudge(None, {}, unseen, "none: drawings show no label")
    made = LabelJudge.from_pretrained(folder, low_cpu_mem_usage=False).requires_grad_(False).eval()
    in_order = {name: accuracy[name] for name in [*made.vocabulary, JOINT] if name in accuracy}
    return TrainedJudge(made, in_order, unseen, folder.name)


def _some(table: pd.DataFrame, split: str, number: int) -> pd.DataFrame:
    """At most so many clips of a split, evenly spread over the table."""
    rows = table[table["split"] == split]
    if rows.empty:
        raise UserError(f"there is no clip of the {split} split to judge by; add videos or change ingest.test_fraction")
    return rows.iloc[np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)].reset_index(drop=True)
