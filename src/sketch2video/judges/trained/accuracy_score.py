"""The classification accuracy score: how well a classifier knows real clips that was trained on generated ones.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models": a conditional generator
makes a training set with the labels of the real one; a classifier is trained on it alone and tested on held-out real
samples. Beside it stands the same classifier, trained on the real ones. What the generator leaves out or distorts costs
accuracy; the paper finds that neither the inception score nor the Fréchet distance predicts it.

The classifier is the judge of videos (:mod:`~sketch2video.judges.trained.training`), with its settings and corruptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sketch2video.judges.faithfulness import Share, can_be_judged, faithfulness
from sketch2video.judges.labels import words_of
from sketch2video.judges.trained.training import Clips, LabelledClips, VideoLabelTask, labels_to_learn, new_network
from sketch2video.judges.verdict import ATTRIBUTES
from sketch2video.params import JudgeParams
from sketch2video.training.loop import RunLogger, SilentLogger, train


def labels_to_classify(table: pd.DataFrame) -> list[str]:
    """The columns of labels that a classifier can be trained and tested on.

    Shape, colour and motion of embedded scenes with one object, else those of
    :func:`~sketch2video.judges.trained.training.labels_to_learn`.

    Args:
        table: all clips.
    """
    return list(ATTRIBUTES) if can_be_judged(table) else labels_to_learn(table)


def classification_accuracy(
    clips: Clips,
    training: pd.DataFrame,
    labels: Sequence[str],
    real: Path,
    held_out: pd.DataFrame,
    section: JudgeParams,
    *,
    name: str,
    checkpoint_folder: Path,
    seed: int,
    logger: RunLogger | None = None,
) -> dict[str, Share]:
    """Accuracy on held-out real clips of a classifier that is trained on the given clips alone.

    Args:
        clips: frames of the N training clips, real or generated.
        training: their labels, in the same order; of generated clips those that their captions came with.
        labels: columns to classify.
        real: folder of shards with the held-out clips.
        held_out: table of the held-out clips. A word that no training clip has does not count.
        section: settings of the classifier and its training.
        name: for the progress bar.
        checkpoint_folder: see :func:`~sketch2video.training.loop.train`.
        seed: of weights, order and corruptions.
        logger: receives the loss curve; None: nothing is recorded.

    Returns:
        The share of held-out clips with the right word for each label, and for all that a clip has (``joint``).

    Raises:
        UserError: the training fails; see :func:`~sketch2video.training.loop.train`.
    """
    words = words_of(training, labels)
    task = VideoLabelTask(new_network(words, section, seed), real, held_out, section.least_accuracy)
    train(
        task,
        LabelledClips(clips, training, words, section.frames),
        section.training,
        name=name,
        checkpoint_folder=checkpoint_folder,
        seed=seed,
        logger=logger or SilentLogger(),
    )
    return faithfulness(task.verdict(), task.requested(), joint_of_asked=True)
