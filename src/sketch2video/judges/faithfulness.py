"""Faithfulness: share of clips in which a judge finds the attributes of the caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from sketch2video.judges.verdict import ATTRIBUTES, Verdict

JOINT = "joint"
"""Name of "all attributes at once", in addition to the attributes' names."""


class Share(NamedTuple):
    """The share of clips that are right.

    Attributes:
        right: number of clips that are right.
        total: number of all clips.
    """

    right: int
    total: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval."""
        low, high = binomtest(self.right, self.total).proportion_ci(0.95, method="wilson")
        return float(low), float(high)


def right_words(verdict: Verdict, requested: pd.DataFrame) -> pd.DataFrame:
    """Compare judged with requested words: a boolean column for each attribute, and ``joint``; one row for each clip.

    Args:
        verdict: verdict on N clips.
        requested: N rows in the same order, with a column of words for every attribute of the judge.
    """
    right = pd.DataFrame(
        {name: np.array(verdict.words(name)) == requested[name].to_numpy() for name in verdict.probabilities},
        index=requested.index,
    )
    right[JOINT] = right.all(axis=1)
    return right


def faithfulness(verdict: Verdict, requested: pd.DataFrame, *, joint_of_asked: bool = False) -> dict[str, Share]:
    """Share of clips with the requested word, for each attribute and for all at once (``joint``).

    Args:
        verdict: verdict on N ≥ 1 clips.
        requested: see :func:`right_words`. A clip without a word counts neither for that attribute nor for ``joint``;
            attributes for which no clip counts are left out.
        joint_of_asked: a clip counts for ``joint`` if it has some word, and is right if all of its words are.
    """
    right = right_words(verdict, requested)
    counts = requested[list(verdict.probabilities)].notna()
    if joint_of_asked:
        right[JOINT] = shows_all_asked(verdict, requested)
    counts[JOINT] = counts.any(axis=1) if joint_of_asked else counts.all(axis=1)
    shares = {str(name): Share(int((right[name] & counts[name]).sum()), int(counts[name].sum())) for name in right}
    return {name: share for name, share in shares.items() if share.total}


def shows_all_asked(verdict: Verdict, requested: pd.DataFrame) -> np.ndarray:
    """Whether each clip shows all words that it has: bool (N,); arguments as of :func:`right_words`."""
    names = list(verdict.probabilities)
    right: np.ndarray = (right_words(verdict, requested)[names] | requested[names].isna()).all(axis=1).to_numpy()
    return right


def word_pairs(verdict: Verdict, requested: pd.DataFrame) -> pd.DataFrame:
    """One row for each clip and attribute: columns ``attribute``, ``asked``, ``judged``."""
    return pd.concat(
        [
            pd.DataFrame({"attribute": name, "asked": requested[name].to_numpy(), "judged": verdict.words(name)})
            for name in verdict.probabilities
        ],
        ignore_index=True,
    )


def confusion(pairs: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Confusion matrix of an attribute, from :func:`word_pairs`: requested words in rows, judged words in columns.

    Words are those of the frozen judges, in their order, or all words that occur, sorted.
    """
    selected = pairs[pairs["attribute"] == attribute]
    found, known = {*selected["asked"], *selected["judged"]}, ATTRIBUTES.get(attribute, ())
    words = list(known) if found <= {*known} else sorted(found)
    return pd.crosstab(selected["asked"], selected["judged"]).reindex(index=words, columns=words, fill_value=0)


def known_words(table: pd.DataFrame, vocabulary: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The words of clips, a column for each label of a vocabulary; null where it does not have the word.

    Args:
        table: has a column for each label.
        vocabulary: the words of each label that a judge knows.
    """
    columns = {
        name: table[name].astype(object).where(table[name].isin(words), None) for name, words in vocabulary.items()
    }
    return pd.DataFrame(columns, index=table.index)


def in_words(labels: Sequence[str]) -> str:
    """Labels as text, such as "shape, colour and motion"; empty if there are none."""
    *first, last = labels or [""]
    return f"{', '.join(first)} and {last}" if first else last


def can_be_judged(requested: pd.DataFrame) -> bool:
    """Whether every row has a word for every attribute, and all of them are classes of the judges."""
    return all(name in requested and requested[name].isin(words).all() for name, words in ATTRIBUTES.items())
