"""Training of the judge of videos for data with labels of their own: the stage ``train_judge``.

It is trained on the clips of the training split, corrupted like generated clips may be, and measured on held-out ones.
Labels that it cannot classify reliably are named and are not scored. Embedded scenes with two objects are generated in
addition, with every combination: a judge that knows only the training combinations would learn that the held-out ones
do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.data.clips.shards import ShardReader, label_columns, read_table
from sketch2video.files import sha256_of_file, write_json
from sketch2video.judges.faithfulness import JOINT, Share, can_be_judged, faithfulness, known_words
from sketch2video.judges.label_judge import LabelJudge, evenly
from sketch2video.judges.label_judge_scenes import shows_two_objects, videos_of_two
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
from sketch2video.judges.shipped import HASH_DIGITS, WEIGHTS
from sketch2video.judges.trained.description import (
    DESCRIPTION,
    JudgeDescription,
    LabelAccuracy,
    write_description,
)
from sketch2video.judges.trained.video_judge import short_name
from sketch2video.judges.verdict import Verdict, judge_clips, spread_of_features
from sketch2video.networks.processes import draw, replacing_once
from sketch2video.params import JudgeParams, Params
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train

SIZE = 64
"""Side of the judge's input, px; other clips are scaled."""
CLIPS_PER_WORD = 2
"""Minimum number of training clips of a label, divided by its number of words: titles of clips are no labels."""
GAIN, OFFSET, SATURATION, NOISE = 0.2, 0.08, 0.3, 0.04
"""Corruptions: maximum change of contrast, brightness and saturation, and maximum deviation of noise."""
MEASURED_AT_ONCE = 64

Clips = Callable[[int], np.ndarray]
"""Frames uint8 (T, H, W, 3) of a clip by its index."""


def train_video_judge(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    clips: Path = Path("data/clips"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the judge of the labels of the clips, or record that these need none.

    Args:
        params: all parameters; the section ``judge`` and ``base.seed`` are read.
        logger: receives the loss curve.
        output: folder that gets the judge and its description (:mod:`~sketch2video.judges.trained.description`).
        clips: output of ingest.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``trained`` (1 or 0); of a trained judge also ``loss``, ``usable_labels``, ``accuracy_<label>`` on
        held-out clips with the lower end ``accuracy_<label>_low`` of its interval, and ``accuracy_joint`` of all usable
        labels at once.

    Raises:
        UserError: the clips are missing or damaged, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section, table = params.judge, read_table(clips / "clips.parquet")
    reason = needless(table)
    if reason:
        logger.begin(None)
        with replacing_once(output) as partial:
            partial.mkdir()
            write_description(partial, False, reason=reason)
        return TrainResult({"trained": 0.0})
    labels = labels_to_learn(table)
    training = table[table["split"] == "train"].reset_index(drop=True)
    held_out = some_clips(table, "test", TESTED_CLIPS)
    words = words_of(training, labels)
    network = new_network(words, section, params.base.seed)
    further = None
    if section.scenes and shows_two_objects(table):
        times = np.linspace(0, 1, min(section.frames, _frames_of(clips, training)))
        further = Examples(*videos_of_two(section.scenes, SIZE, times, params.base.seed))
    task = VideoLabelTask(network, clips, held_out, section.least_accuracy)
    result = train(
        task,
        LabelledClips(ShardClips(clips, training), training, words, section.frames, further),
        section.training,
        name="judge",
        checkpoint_folder=folder_for(
            "judge", {**section.model_dump(), "seed": params.base.seed}, [clips], checkpoints, code=[__file__]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        task.scale_features()
        network.cpu().save_pretrained(partial)
        name = f"judge-{sha256_of_file(partial / WEIGHTS)[:HASH_DIGITS]}"
        described = JudgeDescription(True, "", name, section.least_accuracy, task.accuracies())
        write_json(partial / DESCRIPTION, described.as_json())
    return TrainResult({"trained": 1.0, **result.metrics}, result.history)


def new_network(words: dict[str, list[str]], section: JudgeParams, seed: int) -> LabelJudge:
    """An untrained judge of videos for the words of each label; its weights follow from the seed."""
    torch.manual_seed(seed)
    return LabelJudge(3, words, SIZE, section.width, section.feature_dim, section.frames, edges=True)


def needless(table: pd.DataFrame) -> str | None:
    """Why clips need no judge of their own; None if they do.

    Args:
        table: all clips.
    """
    if can_be_judged(table):
        return "the judge of the package knows these scenes"
    if not labels_to_learn(table):
        return (
            "no column label or label.<name> has at least two words in the training clips, two clips a word, and a"
            " word in the held-out clips"
        )
    return None


def labels_to_learn(table: pd.DataFrame) -> list[str]:
    """The columns ``label.<name>``, or ``label`` without these, that a judge can be trained and measured on."""
    training = table[table["split"] == "train"]
    known = learnable(table, label_columns(table) or ["label"])
    words = words_of(training, known)
    return [label for label in known if training[label].notna().sum() >= CLIPS_PER_WORD * len(words[label])]


class ShardClips:
    """The clips of a table in a folder of shards: :data:`Clips`.

    Args:
        folder: folder of shards with ``frames``.
        table: the clips, with their ``shard`` and ``row``.
    """

    def __init__(self, folder: Path, table: pd.DataFrame) -> None:
        self.reader, self.table = ShardReader(folder), table

    def __call__(self, index: int) -> np.ndarray:
        """Frames uint8 (T, H, W, 3) of the clip in a row of the table."""
        row = self.table.iloc[index]
        return self.reader("frames", int(row["shard"]), int(row["row"]))


class LabelledClips:
    """A :class:`~sketch2video.data.clips.datasets.Dataset` of clips and the indices of their words.

    Args:
        clips: frames of the N clips.
        table: their labels, in the same order.
        words: the words of each label.
        frames: maximum number of frames, see :func:`~sketch2video.judges.label_judge.evenly`.
        further: M further clips, of the same number of frames and ``SIZE``; None: none.
    """

    def __init__(
        self,
        clips: Clips,
        table: pd.DataFrame,
        words: Mapping[str, Sequence[str]],
        frames: int,
        further: Examples | None = None,
    ) -> None:
        self.clips, self.table, self.frames = clips, table, frames
        self.further = None if further is None else further.ink
        tables = [table] if further is None else [table, further.table]
        every = [targets_of(one, words) for one in tables]
        self.targets = {label: torch.cat([targets[label] for targets in every]) for label in words}

    def __len__(self) -> int:
        return len(self.table) + (0 if self.further is None else len(self.further))

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """``clips`` uint8 (N, T, 3, SIZE, SIZE), and for each label the index of the word, int64 (N,)."""
        clips = np.stack([self._clip(int(index)) for index in indices])
        index = torch.as_tensor(indices, dtype=torch.long)
        targets = {label: target[index] for label, target in self.targets.items()}
        return {"clips": torch.from_numpy(clips).movedim(-1, 2), **targets}

    def _clip(self, index: int) -> np.ndarray:
        if self.further is not None and index >= len(self.table):
            clip: np.ndarray = self.further[index - len(self.table)]
            return clip
        return seen_frames(self.clips(index), self.frames)


def seen_frames(clip: np.ndarray, frames: int) -> np.ndarray:
    """The frames of a clip uint8 (T, H, W, 3) that a judge sees, at its size: (T', SIZE, SIZE, 3)."""
    clip = clip[evenly(len(clip), frames)]
    if clip.shape[1:3] == (SIZE, SIZE):
        return clip
    return np.stack([cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for frame in clip])


class VideoLabelTask(Task):
    """Training of a judge of videos: cross-entropy of every label.

    Args:
        network: the judge.
        clips: folder of shards.
        held_out: clips to measure the accuracy on.
        least_accuracy: see :class:`~sketch2video.judges.trained.description.JudgeDescription`.
    """

    module: LabelJudge

    def __init__(self, network: LabelJudge, clips: Path, held_out: pd.DataFrame, least_accuracy: float) -> None:
        super().__init__(network)
        self.clips, self.held_out, self.least_accuracy = clips, held_out, least_accuracy
        self._verdict: Verdict | None = None

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :class:`~sketch2video.training.loop.Task`; a batch is that of :class:`LabelledClips`."""
        logits, _ = self.module(corrupted_clips(batch["clips"].float() / 255, generator))
        terms = label_losses(logits, batch)
        return torch.stack(list(terms.values())).sum(), {label: term.detach() for label, term in terms.items()}

    def matrices(self) -> list[nn.Parameter]:
        """The kernels between hidden layers; see :meth:`~sketch2video.training.loop.Task.matrices`."""
        first = next(iter(self.module.frame.parameters()))
        kernels = (*self.module.frame.parameters(), *self.module.pieces.parameters(), *self.module.layout.parameters())
        return [weight for weight in kernels if weight.ndim == 4 and weight is not first]

    def metrics(self) -> dict[str, float]:
        """Accuracies on the held-out clips; see :func:`train_video_judge`."""
        accuracies = self.accuracies()
        usable = [label for label, accuracy in accuracies.items() if accuracy.usable]
        found = {"usable_labels": float(len(usable))}
        for label, accuracy in accuracies.items():
            name = f"accuracy_{short_name(label)}"
            found |= {name: accuracy.value, f"{name}_low": accuracy.low}
        if usable:
            verdict = self.verdict().only(usable)
            joint = faithfulness(verdict, self.requested(usable), joint_of_asked=True)[JOINT]
            found |= {"accuracy_joint": joint.value, "accuracy_joint_low": joint.interval[0]}
        return found

    def accuracies(self) -> dict[str, LabelAccuracy]:
        """Accuracy of each label on the held-out clips."""
        requested = self.requested()
        shares = faithfulness(self.verdict(), requested)
        found = {}
        for label in self.module.vocabulary:
            share = shares.get(label, Share(0, 0))
            if share.total:
                usable = is_usable(share, requested[label], self.least_accuracy)
                found[label] = LabelAccuracy(*share, *share.interval, usable)
        return found

    def scale_features(self) -> None:
        """Scale the judge's features to unit standard deviation over the held-out clips, for distances."""
        self.module.feature_scale.mul_(spread_of_features(self.verdict()).to(self.module.device))

    def requested(self, labels: Sequence[str] | None = None) -> pd.DataFrame:
        """The words of the held-out clips, null where there is none or the judge does not know it."""
        vocabulary = self.module.vocabulary
        return known_words(self.held_out, {name: vocabulary[name] for name in labels or vocabulary})

    def verdict(self) -> Verdict:
        """The trained judge's verdict on the held-out clips."""
        if self._verdict is None:
            reader, verdicts = ShardReader(self.clips), []
            for start in range(0, len(self.held_out), MEASURED_AT_ONCE):
                frames = reader.batch("frames", self.held_out.iloc[start : start + MEASURED_AT_ONCE])
                verdicts.append(judge_clips(self.module, frames))
            self._verdict = Verdict.concatenate(verdicts)
        return self._verdict


def is_usable(share: Share, words: pd.Series, least: float) -> bool:
    """Whether a label is scored: accurate for certain, and with at most half the errors of a constant prediction.

    Args:
        share: accuracy on held-out clips.
        words: their words.
        least: least lower end of the interval of the accuracy.
    """
    commonest = float(words.value_counts(normalize=True).iloc[0])
    return share.interval[0] >= least and 1 - share.value <= (1 - commonest) / 2


def corrupted_clips(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Change clips as a generator's faults might, but not so much that a label becomes wrong; hues stay.

    Each clip is shifted, scaled and rotated, changed in contrast, brightness and saturation, blurred, and gets noise of
    which half is the same in all frames.

    Args:
        clips: (N, T, 3, H, W) in [0, 1].
        generator: random generator.
    """
    axes = clips.shape
    clips = moved(clips.flatten(1, 2), generator, "border").view(axes)
    change = draw(torch.rand, [5, len(clips)], generator, axis=1)[..., None, None, None, None]
    saturation, gain = (1 + limit * (2 * change[i] - 1) for i, limit in enumerate((SATURATION, GAIN)))
    clips = clips.mean(2, keepdim=True).lerp(clips, saturation)
    clips = (clips - 0.5) * gain + 0.5 + OFFSET * (2 * change[2] - 1)
    soft = F.avg_pool2d(clips.flatten(0, 1), 3, 1, 1, count_include_pad=False).view(axes)
    clips = clips.lerp(soft, change[3].square())
    still = draw(torch.randn, [axes[0], 1, *axes[2:]], generator)
    return clips + NOISE * change[4].square() * (still + draw(torch.randn, list(axes), generator))


def _frames_of(clips: Path, table: pd.DataFrame) -> int:
    row = table.iloc[0]
    return len(ShardReader(clips)("frames", int(row["shard"]), int(row["row"])))
