"""Temporal consistency: flicker, drift of the background, sharpness and amount of motion of clips.

Flicker and drift are faults. Blurred and frozen videos have neither, so sharpness and motion are measured, too, and
compared with real clips: the four measures belong together.

Warping error between neighbouring frames, with occlusions by forward-backward consistency of the flow, is Lai et al.
2018, "Learning Blind Video Temporal Consistency"; the bounds of the consistency check are those of Ruder et al. 2016,
"Artistic Style Transfer for Videos". Here the flow is estimated on the judged clip itself, since a generated video has
no other, and the residual is absolute instead of squared, in units of brightness. Static videos have the best flicker,
so the amount of motion should be reported with it: Huang et al. 2024, "VBench". Sharpness is the gradient energy of
Tenenbaum, as in Pertuz et al. 2013, "Analysis of focus measure operators for shape-from-focus".

Grey is OpenCV's luma. Flow is Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

FINEST_SCALE = 1
"""Flow is estimated up to half resolution: a fifth of the time, for a residual that is 0.001 higher in real clips."""
LEAST_SIDE = 12
"""Minimum side of frames in pixels; smaller frames have no flow."""
ROUND_TRIP = 0.01, 0.5
"""Forward-backward consistency: |f + b|² ≤ share · (|f|² + |b|²) + px², with the flow f and the backward flow b."""
CARRIED = 1 / 32
"""Threshold of the flow summed over a clip, frame widths; above it a pixel is not background."""
MARGIN = 1 / 16
"""Margin around moving pixels that is not background, frame widths: shadows, and edges that the flow missed."""
COARSE = 1 / 32
"""Standard deviation of the low-pass filters, frame widths."""
LEAST_BACKGROUND = 0.02
"""Minimum share of the frame that is background; below it the drift is undefined."""


class Steadiness(NamedTuple):
    """Measures of the temporal consistency of N clips.

    Attributes:
        flicker: (N,), see :func:`flicker`.
        background_drift: (N,), see :func:`background_drift`; NaN for clips without a background.
        sharpness: (N,), see :func:`sharpness`.
        motion: (N,), see :func:`motion`.
    """

    flicker: np.ndarray
    background_drift: np.ndarray
    sharpness: np.ndarray
    motion: np.ndarray

    @classmethod
    def concatenate(cls, several: Sequence[Steadiness]) -> Steadiness:
        """Concatenate along the clips."""
        return cls(*(np.concatenate(values) for values in zip(*several, strict=True)))

    def means(self) -> dict[str, float]:
        """The mean of each measure over the clips where it is defined; NaN if there are none."""
        return {name: mean(values) for name, values in self._asdict().items()}

    def ratios(self, real: Steadiness) -> dict[str, float]:
        """``sharpness_ratio`` and ``motion_ratio``: mean divided by the mean of real clips.

        NaN if the mean of real clips is 0.
        """
        return {f"{name}_ratio": ratio(getattr(self, name), getattr(real, name)) for name in ("sharpness", "motion")}


class UnexplainedChange(NamedTuple):
    """Change between neighbouring frames that flow does not explain; pair t is that of the frames t and t + 1.

    Attributes:
        change: (T - 1,) float64, mean absolute difference of the visible pixels, as a share of the full range; NaN if
            there are none.
        seen: (T - 1,) float64 in [0, 1], share of the frame that is visible in both frames (consistent flow).
    """

    change: np.ndarray
    seen: np.ndarray


def mean(values: np.ndarray) -> float:
    """The mean of all values that are not NaN; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def ratio(values: np.ndarray, real: np.ndarray) -> float:
    """Ratio of the means; NaN if that of ``real`` is 0."""
    return float(values.mean() / real.mean()) if real.mean() > 0 else float("nan")


def steadiness(clips: np.ndarray) -> Steadiness:
    """Measure the temporal consistency of clips.

    Args:
        clips: uint8 (N, T, H, W, 3) RGB, N ≥ 1, T ≥ 2.

    Raises:
        ValueError: shape or dtype is wrong, or the clips are too small.
    """
    rows = []
    for frames in clips:
        flow = _Flow.of(frames)
        rows.append((_flicker(frames, flow), _background_drift(frames, flow), sharpness(frames), _motion(flow)))
    return Steadiness(*np.array(rows, np.float64).T)


def flicker(frames: np.ndarray) -> float:
    """Mean absolute difference between a frame and the next one warped back to it, as a share of the full range.

    Only pixels with consistent forward and backward flow count, which excludes most of cuts and disocclusions. Motion
    of a textured scene scores near 0 (some thousandths, by interpolation and inaccurate flow at edges), brightness that
    changes by a from frame to frame scores a, independent noise of standard deviation s scores 2 s / √π or a little
    less, as the flow explains a part of it.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Raises:
        ValueError: shape or dtype is wrong, or the frames are too small.
    """
    return _flicker(frames, _Flow.of(frames))


def unexplained_change(frames: np.ndarray) -> UnexplainedChange:
    """The terms of :func:`flicker` for each pair of neighbouring frames.

    Flicker is the mean of ``change``, weighted by ``seen``.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Raises:
        ValueError: shape or dtype is wrong, or the frames are too small.
    """
    flow = _Flow.of(frames)
    change, seen = _residuals(frames, flow)
    return UnexplainedChange(np.where(seen > 0, change / 255, np.nan), seen / flow.seen[0].size)


def background_drift(frames: np.ndarray) -> float:
    """Mean colour difference of the background between the first and the last third of a clip.

    Background are the pixels where the flow, summed over the clip and low-pass filtered, is below 1/32 of the frame's
    width, without a margin around the others. The colours are averaged over each third (the frames at its ends have
    half the weight, so that changes that alternate from frame to frame cancel) and filtered over 1/32 of the frame's
    width, so that only slow changes in time and space remain. A background that steadily changes by a over 16 frames
    scores 0.73 a: the thirds' centres are 11 of 15 steps apart.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Returns:
        Mean over background and channels, as a share of the full range. NaN if less than 2% of the frame is background,
        as under a moving camera or strong noise.

    Raises:
        ValueError: shape or dtype is wrong, or the frames are too small.
    """
    return _background_drift(frames, _Flow.of(frames))


def sharpness(frames: np.ndarray) -> float:
    """Root mean square gradient of grey over the clip (Sobel), full ranges a pixel.

    It decreases with blur and increases with contrast and noise: values above those of real clips are not better.
    Comparable between clips of the same size and kind of content.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
    """
    pictures = [grey.astype(np.float32) for grey in _grey(frames)]
    # The sum of Sobel's kernel is 8 for a unit gradient.
    gradients = [
        cv2.Sobel(picture, cv2.CV_32F, *axis, scale=1 / 8) for picture in pictures for axis in ((1, 0), (0, 1))
    ]
    return float(np.sqrt(2 * np.mean(np.square(gradients), dtype=np.float64)) / 255)


def motion(frames: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean length of the consistent flow, frame widths a frame.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.
        where: bool (T, H, W), the pixels whose flow counts, such as those of an object, since an unsteady background
            has flow, too. None: all.

    Returns:
        0 if no pixel counts or has consistent flow.

    Raises:
        ValueError: shape or dtype is wrong, or the frames are too small.
    """
    flow = _Flow.of(frames)
    return _motion(flow if where is None else flow._replace(seen=flow.seen & where[:-1]))


class _Flow(NamedTuple):
    """Flow (T - 1, H, W, 2) px as x, y; positions of the pixels in the next frame; (T - 1, H, W) consistent or not."""

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
        back = np.stack([_sampled_at(*both) for both in zip(backward, target, strict=True)])
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
    """For every pair of neighbours: mean difference of visible pixels in 1/255 (0 without any), and their number."""
    means = [
        sum(cv2.mean(cv2.absdiff(_sampled_at(then, target), now), seen.astype(np.uint8))) / 3
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
    # Normalised filter: pixels that are not background have no weight.
    change = _low_pass((last - first) * still[..., None]) / np.maximum(_low_pass(still), 1e-6)[..., None]
    return float((np.abs(change).mean(-1) * still).sum() / still.sum() / 255)


def _motion(flow: _Flow) -> float:
    lengths = np.sqrt(_squared(flow.forward))[flow.seen]
    return float(lengths.mean(dtype=np.float64)) / flow.forward.shape[2] if len(lengths) else 0.0


def _passed(forward: np.ndarray) -> np.ndarray:
    """Pixels that moving objects cover at any time of a clip, with a margin: bool (H, W)."""
    width = forward.shape[2]
    carried = np.sqrt(_squared(_low_pass(forward.sum(0)))) > CARRIED * width
    side = 2 * round(MARGIN * width) + 1
    return cv2.dilate(carried.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def _low_pass(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), COARSE * picture.shape[1]))


def _sampled_at(picture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A picture (H, W, ...) at positions (H, W, 2) px, by bilinear interpolation."""
    x, y = target[..., 0], target[..., 1]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)


def _grey(frames: np.ndarray) -> list[np.ndarray]:
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
