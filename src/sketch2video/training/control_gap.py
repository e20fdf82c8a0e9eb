"""Does a network use its control? Its losses on held-out clips with and without the control pictures, compared."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

WATCHED = (0.25, 0.5, 0.75)
"""Shares of a training after which the losses are compared."""

LEAST_STEPS = 100
"""Fewer steps are not expected to teach the use of a control."""

SIGNIFICANCE = 0.01
"""Largest probability of a difference at least as large, if the control had no effect, with which it counts as used."""


class ControlGap(NamedTuple):
    """How much better a network predicts held-out clips with their control pictures.

    Attributes:
        with_control, without_control: mean losses.
        clips: N.
        error: standard error of the mean difference, which varies between clips; NaN for a single clip.
        p: probability of a mean difference at least as large if the control has no effect: paired t-test, one-sided;
            NaN for a single clip.
    """

    with_control: float
    without_control: float
    clips: int
    error: float
    p: float

    @property
    def mean(self) -> float:
        """Mean difference of the losses, positive if the control helps."""
        return self.without_control - self.with_control

    @property
    def ignored(self) -> bool:
        """Whether the losses do not part; False if a single clip cannot tell."""
        return self.p > SIGNIFICANCE

    def metrics(self) -> dict[str, float]:
        """``control_gap``, the mean difference, and ``control_gap_error``, its standard error if there is one."""
        found = {"control_gap": self.mean, "control_gap_error": self.error}
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def warning(self, name: str, step: int, steps: int) -> str:
        """A line for the log of a training that ignores its control.

        Args:
            name: section of the training.
            step, steps: those that are done, and all.
        """
        return (
            f"{name}: the control is not used after {step} of {steps} steps: the loss of {self.clips} held-out clips is"
            f" {self.with_control:.5g} with it and {self.without_control:.5g} without it, a difference of"
            f" {self.mean:.2g} ± {self.error:.2g}; check that control pictures show their clips, frame by frame"
        )


def control_gap(with_control: ArrayLike, without_control: ArrayLike) -> ControlGap:
    """Compare the losses of N clips with and without their control pictures, in pairs.

    Args:
        with_control, without_control: (N,), N at least 1; the same clips, noise and times.

    Raises:
        ValueError: the shapes are not (N,) and equal.
    """
    losses, others = np.asarray(with_control, np.float64), np.asarray(without_control, np.float64)
    if losses.shape != others.shape or losses.ndim != 1 or not len(losses):
        raise ValueError(f"losses with and without control must be (N,) and equal, not {losses.shape}, {others.shape}")
    clips = len(losses)
    difference = others - losses
    mean = float(difference.mean())
    if clips == 1:
        return ControlGap(float(losses.mean()), float(others.mean()), clips, math.nan, math.nan)
    error = float(difference.std(ddof=1)) / math.sqrt(clips)
    # Without an effect all differences may be equal, to zero.
    p = float(stats.t.sf(mean / error, clips - 1)) if error > 0 else float(mean <= 0)
    return ControlGap(float(losses.mean()), float(others.mean()), clips, error, p)


def watched_steps(steps: int) -> set[int]:
    """The numbers of done steps after which a training of ``steps`` steps compares the losses."""
    return {done for share in WATCHED if (done := math.ceil(share * steps)) >= LEAST_STEPS and done < steps}
