"""Faithfulness: is what the caption asked for what a judge sees?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from sketch2video.judges.verdict import ATTRIBUTES, Verdict

JOINT = "joint"
"""Name of "all attributes at once" beside the attributes' own names."""


class Share(NamedTuple):
    """How many of how many clips are right."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% Wilson interval."""
        low, high = binomtest(self.right, self.of).proportion_ci(0.95, method="wilson")
        return float(low), float(high)


def right_words(verdict: Verdict, asked: pd.DataFrame) -> pd.DataFrame:
    """For each clip, which attributes are as asked: a boolean column an attribute, and ``joint``.

    Args:
        verdict: of N clips.
        asked: N rows in the same order, with a column of words for every attribute that the judge tells apart.
    """
    right = pd.DataFrame(
        {name: np.array(verdict.words(name)) == asked[name].to_numpy() for name in verdict.probabilities},
        index=asked.index,
    )
    right[JOINT] = right.all(axis=1)
    return right


def faithfulness(verdict: Verdict, asked: pd.DataFrame) -> dict[str, Share]:
    """Share of clips that show the asked word, for each attribute and for all at once (``joint``).

    Args:
        verdict: of N ≥ 1 clips.
        asked: see :func:`right_words`. A clip without a word counts neither for that attribute nor for ``joint``, and
            what no clip counts for is left out.
    """
    right = right_words(verdict, asked)
    counts = asked[list(verdict.probabilities)].notna()
    counts[JOINT] = counts.all(axis=1)
    shares = {str(name): Share(int((right[name] & counts[name]).sum()), int(counts[name].sum())) for name in right}
    return {name: share for name, share in shares.items() if share.of}


def word_pairs(verdict: Verdict, asked: pd.DataFrame) -> pd.DataFrame:
    """One row for each clip and attribute: columns ``attribute``, ``asked``, ``judged``."""
    return pd.concat(
        [
            pd.DataFrame({"attribute": name, "asked": asked[name].to_numpy(), "judged": verdict.words(name)})
            for name in verdict.probabilities
        ],
        ignore_index=True,
    )


def confusion(pairs: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """How often each word of an attribute was asked for (rows) and judged (columns), from :func:`word_pairs`."""
    words = list(ATTRIBUTES[attribute])
    of_it = pairs[pairs["attribute"] == attribute]
    return pd.crosstab(of_it["asked"], of_it["judged"]).reindex(index=words, columns=words, fill_value=0)


def can_be_judged(asked: pd.DataFrame) -> bool:
    """Whether every row has a word for every attribute, and all of them are words that the judges know."""
    return all(name in asked and asked[name].isin(words).all() for name, words in ATTRIBUTES.items())
