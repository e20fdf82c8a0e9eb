"""Steadiness: what of a clip's change is neither motion nor a choice, and whether a quiet clip is merely dull.

Flicker and drift are faults. A blurred or a frozen video has neither, so sharpness and motion stand beside them and are
compared with real clips: the four are to be read together.

Warping error between neighbouring frames, with occlusions found by running the flow there and back, is Lai et al. 2018,
"Learning Blind Video Temporal Consistency", whose bounds on the round trip come by way of Ruder et al. 2016, "Artistic
Style Transfer for Videos". Here the flow is that of the judged clip itself, since a generated video has no other, and
the residual is absolute rather than squared, so that it is in units of brightness. That still videos win on steadiness
alone, and that the amount of motion belongs beside it, is a finding of Huang et al. 2024, "VBench". Sharpness is the
gradient energy of Tenenbaum, as in Pertuz et al. 2013, "Analysis of focus measure operators for shape-from-focus".

Grey is OpenCV's luma. Flow is Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

FINEST_SCALE = 1
"""Flow is sought down to half resolution: a fifth of the time, for a residual that is 0.001 higher in real clips."""
LEAST_SIDE = 12
"""Pixels; there is no flow in smaller frames."""
ROUND_TRIP = 0.01, 0.5
"""A pixel is seen again if its way there and back misses it by less than this share of both ways, squared, + px²."""
CARRIED = 1 / 32
"""Frame widths by which flow, summed over a clip, passes through a pixel that does not belong to the background."""
MARGIN = 1 / 16
"""Frame widths around what moves that are not background either: shadows, and edges that the flow missed."""
COARSE = 1 / 32
"""Frame widths: standard deviation of the low-pass filters."""
LEAST_BACKGROUND = 0.02
"""Share of the frame; with less there is no background to speak of."""


class Steadiness(NamedTuple):
    """How steady N clips are, each by itself.

    Attributes:
        flicker: (N,), see :func:`flicker`.
        background_drift: (N,), see :func:`background_drift`; NaN where a clip has no background.
        sharpness: (N,), see :func:`sharpness`.
        motion: (N,), see :func:`motion`.
    """

    flicker: np.ndarray
    background_drift: np.ndarray
    sharpness: np.ndarray
    motion: np.ndarray

    @classmethod
    def concatenate(cls, several: Sequence[Steadiness]) -> Steadiness:
        """One for all clips of several."""
        return cls(*(np.concatenate(values) for values in zip(*several, strict=True)))

    def means(self) -> dict[str, float]:
        """The mean of each over the clips that have it; NaN where none has."""
        return {name: mean(values) for name, values in self._asdict().items()}

    def ratios(self, real: Steadiness) -> dict[str, float]:
        """``sharpness_ratio`` and ``motion_ratio``: mean over mean of real clips, 1 is as much as they have.

        NaN where real clips have none.
        """
        return {f"{name}_ratio": ratio(getattr(self, name), getattr(real, name)) for name in ("sharpness", "motion")}


class UnexplainedChange(NamedTuple):
    """What flow does not explain between neighbouring frames; pair t is that of the frames t and t + 1.

    Attributes:
        change: (T - 1,) float64, mean absolute difference of the pixels that are seen again, as a share of the full
            range; NaN where none is.
        seen: (T - 1,) float64 in [0, 1], share of the frame that the flow finds again.
    """

    change: np.ndarray
    seen: np.ndarray


def mean(values: np.ndarray) -> float:
    """The mean of the numbers among ``values``; NaN if there are none."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def ratio(values: np.ndarray, real: np.ndarray) -> float:
    """Mean over mean; NaN if that of ``real`` is 0."""
    return float(values.mean() / real.mean()) if real.mean() > 0 else float("nan")


def steadiness(clips: np.ndarray) -> Steadiness:
    """Measure clips.

    Args:
        clips: uint8 (N, T, H, W, 3) RGB, N ≥ 1, T ≥ 2.

    Raises:
        ValueError: the clips are something else, or too small.
    """
    rows = []
    for frames in clips:
        flow = _Flow.of(frames)
        rows.append((_flicker(frames, flow), _background_drift(frames, flow), sharpness(frames), _motion(flow)))
    return Steadiness(*np.array(rows, np.float64).T)


def flicker(frames: np.ndarray) -> float:
    """Mean absolute difference between a frame and the next one warped back to it, as a share of the full range.

    Only what the flow finds again on its way back counts: a cut, or what an object uncovers, hardly does. Motion of a
    textured scene scores near 0 (some thousandths: interpolation, and flow smeared over the edges of what moves),
    brightness that changes by a from frame to frame scores a, independent noise of standard deviation s scores
    2 s / √π or a little less, as the flow explains a part of it.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Raises:
        ValueError: the frames are something else, or too small.
    """
    return _flicker(frames, _Flow.of(frames))


def unexplained_change(frames: np.ndarray) -> UnexplainedChange:
    """What :func:`flicker` averages, pair of neighbouring frames by pair.

    Flicker is the mean of ``change``, weighted by ``seen``.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Raises:
        ValueError: the frames are something else, or too small.
    """
    flow = _Flow.of(frames)
    change, seen = _residuals(frames, flow)
    return UnexplainedChange(np.where(seen > 0, change / 255, np.nan), seen / flow.seen[0].size)


def background_drift(frames: np.ndarray) -> float:
    """How far the background's colours are, in the clip's last third, from where they were in its first.

    Background is what nothing passed: pixels through which the flow, summed over the clip and low-pass filtered,
    carries less than 1/32 of the frame's width, without a margin around the others. Its mean over each third (frames at
    the ends of a third count half, so that what alternates from frame to frame cancels) and over 1/32 of the frame's
    width leaves what changes slowly in time and space. A background that steadily changes by a over 16 frames scores
    0.73 a: the thirds' middles are 11 of 15 steps apart.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2; below T = 3 there is nothing between the ends.

    Returns:
        Mean over background and channels, as a share of the full range. NaN if less than 2% of the frame is background,
        as under a moving camera or strong noise.

    Raises:
        ValueError: the frames are something else, or too small.
    """
    return _background_drift(frames, _Flow.of(frames))


def sharpness(frames: np.ndarray) -> float:
    """Root mean square gradient of grey over the clip (Sobel), full ranges a pixel.

    It falls with blur and rises with contrast and with noise: above that of real clips it is no merit. Comparable
    between clips of one size that show the same kind of thing.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
    """
    pictures = [grey.astype(np.float32) for grey in _grey(frames)]
    # Eight units of Sobel's kernel are one of the gradient.
    gradients = [
        cv2.Sobel(picture, cv2.CV_32F, *axis, scale=1 / 8) for picture in pictures for axis in ((1, 0), (0, 1))
    ]
    return float(np.sqrt(2 * np.mean(np.square(gradients), dtype=np.float64)) / 255)


def motion(frames: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean length of the flow where both frames show the same thing, frame widths a frame.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.
        where: bool (T, H, W), the pixels whose flow counts, such as those of an object: a ground that wavers flows,
            too. None: all.

    Returns:
        0 where no pixel counts, or none is seen again.

    Raises:
        ValueError: the frames are something else, or too small.
    """
    flow = _Flow.of(frames)
    return _motion(flow if where is None else flow._replace(seen=flow.seen & where[:-1]))


class _Flow(NamedTuple):
    """Where pixels go: (T - 1, H, W, 2) px as x, y; where they are then; (T - 1, H, W) whether they are seen there."""

    forward: np.ndarray
    target: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, frames: np.ndarray) -> _Flow:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or len(frames) < 2:
            raise ValueError(f"frames must be uint8 (T, H, W, 3) and at least 2, not {frames.dtype} {frames.shape}")
        if min(frames.shape[1:3]) < LEAST_SIDE:
            raise ValueError(f"frames must be at least {LEAST_SIDE} px wide and high, not {frames.shape[1:3]}")
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        estimator.setFinestScale(FINEST_SCALE)
        grey = _grey(frames)
        _, height, width, _ = frames.shape
        shape = len(frames) - 1, height, width, 2
        forward, backward = (np.zeros(shape, np.float32) for _ in range(2))
        for t, (now, then) in enumerate(pairwise(grey)):
            forward[t] = estimator.calc(now, then, np.zeros(shape[1:], np.float32))
            backward[t] = estimator.calc(then, now, np.zeros(shape[1:], np.float32))
        target = forward + np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
        back = np.stack([_looked_up(*both) for both in zip(backward, target, strict=True)])
        share, least = ROUND_TRIP
        seen = _squared(forward + back) <= share * (_squared(forward) + _squared(back)) + least
        x, y = target[..., 0], target[..., 1]
        return cls(forward, target, seen & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _flicker(frames: np.ndarray, flow: _Flow) -> float:
    total = 0.0
    for residual, seen in zip(*_residuals(frames, flow), strict=True):
        total += residual * seen
    return float(total / max(int(flow.seen.sum()), 1) / 255)


def _residuals(frames: np.ndarray, flow: _Flow) -> tuple[np.ndarray, np.ndarray]:
    """Of every pair of neighbours: mean difference of what is seen again, in 1/255, 0 if nothing is; pixels seen."""
    means = [
        sum(cv2.mean(cv2.absdiff(_looked_up(then, target), now), seen.astype(np.uint8))) / 3
        for (now, then), target, seen in zip(pairwise(frames.astype(np.float32)), flow.target, flow.seen, strict=True)
    ]
    return np.array(means), flow.seen.sum((1, 2))


def _background_drift(frames: np.ndarray, flow: _Flow) -> float:
    still = (~_passed(flow.forward)).astype(np.float32)
    if still.mean() < LEAST_BACKGROUND:
        return float("nan")
    third = max(len(frames) // 3, 2)
    weights = np.ones(third, np.float32)
    weights[[0, -1]] = 0.5
    weights /= weights.sum()
    first, last = (np.tensordot(weights, part.astype(np.float32), 1) for part in (frames[:third], frames[-third:]))
    # What is not background is left out of the filter, not taken as unchanged.
    change = _low_pass((last - first) * still[..., None]) / np.maximum(_low_pass(still), 1e-6)[..., None]
    return float((np.abs(change).mean(-1) * still).sum() / still.sum() / 255)


def _motion(flow: _Flow) -> float:
    lengths = np.sqrt(_squared(flow.forward))[flow.seen]
    return float(lengths.mean(dtype=np.float64)) / flow.forward.shape[2] if len(lengths) else 0.0


def _passed(forward: np.ndarray) -> np.ndarray:
    """Which pixels something passed in the course of a clip, with a margin: bool (H, W)."""
    width = forward.shape[2]
    carried = np.sqrt(_squared(_low_pass(forward.sum(0)))) > CARRIED * width
    side = 2 * round(MARGIN * width) + 1
    return cv2.dilate(carried.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def _low_pass(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), COARSE * picture.shape[1]))


def _looked_up(picture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A picture (H, W, ...) at places (H, W, 2) px, between pixels."""
    x, y = target[..., 0], target[..., 1]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)


def _grey(frames: np.ndarray) -> list[np.ndarray]:
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
