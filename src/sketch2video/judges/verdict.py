"""The output of judges, and their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES

ATTRIBUTES: Mapping[str, Sequence[str]] = {"shape": SHAPES, "colour": COLOURS, "motion": MOTIONS}
"""Classes of the frozen judges: the words of each attribute, in the order of the logits."""


class Classifier(Protocol):
    """A judge: a network that returns logits of each attribute, features, and possibly more."""

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of every attribute, in the order of its logits."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    def __call__(self, clips: torch.Tensor) -> tuple[Any, ...]:
        """Logits by attribute and features (N, D) of clips (N, T, C, H, W) in [0, 1]."""


class Verdict(NamedTuple):
    """The output of a judge for N clips.

    Attributes:
        probabilities: for each attribute, float32 (N, words).
        features: float32 (N, D), input of the heads and statistics of the texture, each divided by its standard
            deviation over the judge's own clips; the features of Fréchet and kernel distances.
        vocabulary: the words of each attribute, in the order of the probabilities.
    """

    probabilities: dict[str, np.ndarray]
    features: np.ndarray
    vocabulary: Mapping[str, Sequence[str]] = ATTRIBUTES

    @classmethod
    def concatenate(cls, verdicts: Sequence[Verdict]) -> Verdict:
        """Concatenate verdicts along the clips."""
        names = verdicts[0].probabilities
        return cls(
            {name: np.concatenate([v.probabilities[name] for v in verdicts]) for name in names},
            np.concatenate([v.features for v in verdicts]),
            verdicts[0].vocabulary,
        )

    def only(self, attributes: Sequence[str]) -> Verdict:
        """The verdict on some of the attributes."""
        return self._replace(probabilities={name: self.probabilities[name] for name in attributes})

    def of(self, clips: np.ndarray) -> Verdict:
        """The verdict on some of the clips, by their indices or a mask (N,)."""
        probabilities = {name: values[clips] for name, values in self.probabilities.items()}
        return self._replace(probabilities=probabilities, features=self.features[clips])

    def words(self, attribute: str) -> list[str]:
        """The most probable word of an attribute for each clip."""
        return [self.vocabulary[attribute][i] for i in self.probabilities[attribute].argmax(1)]

    def joint_probabilities(self) -> np.ndarray:
        """Probability of each combination of words, with attributes independent given the clip: (N, product)."""
        joint = np.ones((len(self.features), 1))
        for p in self.probabilities.values():
            p = p.astype(np.float64)
            p /= p.sum(1, keepdims=True)
            joint = (joint[:, :, None] * p[:, None]).reshape(len(p), -1)
        return joint


def judge_clips(judge: Classifier, clips: np.ndarray, batch_size: int = 32) -> Verdict:
    """Apply a judge to clips.

    Args:
        judge: a judge of scenes or of labels.
        clips: uint8; (N, T, H, W, 3) for the video judge, (N, T, H, W) ink for judges of drawings; N ≥ 1, T ≥ 2.
        batch_size: number of clips in a batch; does not change the verdict.
    """
    verdicts = []
    with torch.inference_mode():
        for start in range(0, len(clips), batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(clips[start : start + batch_size])).to(judge.device)
            batch = batch.unsqueeze(2) if batch.ndim == 4 else batch.movedim(-1, 2)
            logits, features = judge(batch.float() / 255)[:2]
            probabilities = {name: values.softmax(1).cpu().numpy() for name, values in logits.items()}
            verdicts.append(Verdict(probabilities, features.cpu().numpy(), judge.vocabulary))
    return Verdict.concatenate(verdicts)


def spread_of_features(verdict: Verdict) -> torch.Tensor:
    """Standard deviation of each feature of a verdict, float32 (D,), by which a judge divides it.

    At least 0.02: a nearly constant feature is noise, which the division would amplify.
    """
    return torch.from_numpy(np.maximum(verdict.features.std(0), np.float32(0.02)))
