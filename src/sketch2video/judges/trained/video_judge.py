"""The judge of videos for given clips: that of the package, or the one that was trained for their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.data.clips.shards import LABEL, label_columns
from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.judges.faithfulness import JOINT, can_be_judged, in_words, known_words
from sketch2video.judges.label_judge import LabelJudge
from sketch2video.judges.shipped import HASH_DIGITS, WEIGHTS, judge_path, load_judge
from sketch2video.judges.trained.description import DESCRIPTION, JudgeDescription, read_description
from sketch2video.judges.verdict import ATTRIBUTES, Classifier, Verdict, judge_clips
from sketch2video.networks.precision import device_name

TRAINED_JUDGE = Path("models/shared/judge")
"""Output of the stage ``train_judge``."""


@dataclass(frozen=True)
class VideoJudge:
    """A judge of videos and the labels that it scores.

    Attributes:
        network: the frozen network.
        name: its name in reports, with the hash of its weights.
        columns: for each scored label, by its name in scores, the column of ``clips.parquet``.
        about: description of a judge that was trained for the data; None for that of the package.
    """

    network: Classifier
    name: str
    columns: Mapping[str, str]
    about: JudgeDescription | None = None

    def verdict(self, frames: np.ndarray) -> Verdict:
        """The verdict on clips uint8 (N, T, H, W, 3), on the scored labels alone, by their names in scores."""
        verdict = judge_clips(self.network, frames)
        return verdict._replace(
            probabilities={name: verdict.probabilities[column] for name, column in self.columns.items()},
            vocabulary={name: verdict.vocabulary[column] for name, column in self.columns.items()},
        )

    def requested(self, table: pd.DataFrame) -> pd.DataFrame:
        """The words of clips, a column for each scored label.

        Null where a clip has no word, or one that is not in the training clips, which the judge cannot know.
        """
        vocabulary = {column: self.network.vocabulary[column] for column in self.columns.values()}
        return known_words(table, vocabulary).set_axis(list(self.columns), axis=1)

    @property
    def labels(self) -> str:
        """The scored labels in words, such as "shape, colour and motion"."""
        return in_words(list(self.columns))


def video_judge(table: pd.DataFrame, folder: Path = TRAINED_JUDGE) -> VideoJudge | str:
    """The judge of the labels of clips; if there is none, the reason, as a clause that begins with "needs".

    Args:
        table: the clips with their labels.
        folder: output of the stage ``train_judge``; not read for scenes that the judge of the package knows.

    Raises:
        UserError: the folder is damaged.
    """
    if can_be_judged(table):
        columns = {name: name for name in ATTRIBUTES}
        return VideoJudge(load_judge("video"), judge_path("video").name, columns)
    own = [name for name in (label_columns(table) or ["label"]) if name in table and table[name].notna().any()]
    if not own:
        return "needs clips with labels, or whose shape, colour and motion are known, in words of the embedded judge"
    if not (folder / DESCRIPTION).is_file():
        return f"needs a judge of these labels in {folder}; `dvc repro train_judge` trains it"
    about = read_description(folder)
    if not about.trained:
        return f"needs labels that a judge can learn: {about.reason}"
    usable = [column for column in about.usable if column in own]
    if not usable:
        return (
            f"needs a label whose accuracy on held-out real clips is at least {about.least_accuracy:g} for certain"
            f" (judge.least_accuracy), and the judge {about.name} has none"
        )
    return VideoJudge(load_trained_judge(folder, about), about.name, {short_name(name): name for name in usable}, about)


def short_name(column: str) -> str:
    """Name of a label in scores: ``label.action`` is "action"."""
    name = column.removeprefix(LABEL)
    return column if name == JOINT else name


def load_trained_judge(folder: Path, about: JudgeDescription) -> LabelJudge:
    """The network of a judge that was trained for the data, in evaluation mode, on the accelerator if there is one.

    Raises:
        UserError: the weights are damaged, or are not those that the description names.
    """
    try:
        judge: LabelJudge = LabelJudge.from_pretrained(folder, low_cpu_mem_usage=False)
        found = f"judge-{sha256_of_file(folder / WEIGHTS)[:HASH_DIGITS]}"
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{folder} cannot be loaded ({reason}); run `dvc repro train_judge`") from error
    if found != about.name:
        raise UserError(f"the weights in {folder} are {found}, not {about.name}; run `dvc repro train_judge`")
    judge = judge.to(device_name())
    return judge.eval().requires_grad_(False)
