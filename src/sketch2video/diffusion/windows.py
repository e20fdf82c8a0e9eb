"""Long videos as overlapping windows that are denoised in parallel, each with its own caption, and merged.

Wang et al. 2023, "Gen-L-Video", which is Bar-Tal et al. 2023, "MultiDiffusion", along time. The equations are numbered
as in the project's fourth paper: (17) is the method, (18) the windows, (19) the merging, which is done at every step of
the sampler.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import torch
from torch import Tensor

from sketch2video.params import WindowWeights

GAUSSIAN_WIDTH = 0.25
"""Standard deviation of Gaussian weights, in windows: the weight is 0.14 at a window's ends."""


def window_starts(frames: int, length: int, stride: int) -> list[int]:
    """First frames of the windows that cover a video: every ``stride`` frames, and the last one ends with the video.

    Args:
        frames: of the video, T.
        length: of a window, K.
        stride: S, at most K, so that windows cover all frames; at K windows do not overlap.

    Returns:
        Ascending; [0] where the video is not longer than a window.

    Raises:
        ValueError: a number is below 1, or the stride is above the length.
    """
    if frames < 1 or not 1 <= stride <= length:
        raise ValueError(
            f"{frames} frames, windows of {length} and a stride of {stride} are inconsistent;"
            " all are at least 1, and the stride is at most the windows' length"
        )
    last = max(0, frames - length)
    return [*range(0, last, stride), last]


def window_weights(name: WindowWeights, length: int) -> Tensor:
    """W of equation (19), the same for all windows and pixels; only the ratios of squares matter.

    With k = 0 ... K - 1::

        uniform     1
        triangular  min(k + 1, K - k) / ceil(K / 2)
        gaussian    exp(-((k - (K - 1) / 2) / (K / 4))^2 / 2)

    Args:
        name: of the form.
        length: of the windows, K: at most the video's.

    Returns:
        (K,) float32 in (0, 1], symmetric.

    Raises:
        ValueError: the length is below 1, or there is no such form.
    """
    if length < 1:
        raise ValueError(f"a window has at least 1 frame, not {length}")
    frame = torch.arange(length, dtype=torch.float32)
    if name == "uniform":
        return torch.ones(length)
    if name == "triangular":
        return torch.minimum(frame + 1, length - frame) / ((length + 1) // 2)
    if name == "gaussian":
        return torch.exp(-(((frame - (length - 1) / 2) / (GAUSSIAN_WIDTH * length)).square()) / 2)
    raise ValueError(f"there are no {name!r} weights; there are uniform, triangular and gaussian ones")


def cut_windows(video: Tensor, starts: Sequence[int], length: int) -> Tensor:
    """P_i of equation (18): the windows of videos.

    Args:
        video: (N, T, ...).
        starts: first frames of the windows.
        length: of a window, K; where the video is shorter, a window is as long as the video.

    Returns:
        (N, windows, K, ...)

    Raises:
        ValueError: a window is outside of the video, or there is none.
    """
    frames = video.shape[1]
    length = min(length, frames)
    _check_windows(starts, length, frames)
    return torch.stack([video[:, start : start + length] for start in starts], dim=1)


def merge_windows(parts: Tensor, starts: Sequence[int], weights: Tensor, frames: int) -> Tensor:
    """The videos that come nearest to all their windows, equation (19) in closed form.

    The sum of ``|W_i (P_i(v) - v_i)|^2`` is minimal, for every pixel of every frame separately, where the
    derivative ``2 sum_i W_i^2 (v - v_i)`` is zero: at the mean over the windows that contain the frame, weighted by
    the SQUARES of W_i. A frame that only one window contains is copied exactly.

    A mean has less variance than its terms. Where windows are independent, merged noise has the variance
    ``sum_i W_i^4 / (sum_i W_i^2)^2``, a half for two equal weights, and a sampler takes the missing variance for
    signal. Merged predictions and samples lose variance as far as their windows disagree. The noise of windows should
    therefore be cut from one noise for the whole video, and so should the noise that a sampler adds.

    Args:
        parts: (N, windows, K, ...), of any dtype; sums are float32.
        starts: first frames of the windows.
        weights: (K,), the same for all windows and pixels; or one for every window and pixel, with at least two axes,
            broadcastable to ``parts``.
        frames: of the videos, T.

    Returns:
        (N, T, ...) of the dtype of ``parts``; float32 if that is an integer type.

    Raises:
        ValueError: windows, starts, weights and frames are inconsistent, or all weights of a pixel are zero.
    """
    windows, length = parts.shape[1:3]
    _check_windows(starts, length, frames)
    if len(starts) != windows:
        raise ValueError(f"there are {windows} windows and {len(starts)} starts")
    squares = _beside(weights, parts).float().square()
    shape = parts.shape[0], frames, *parts.shape[3:]
    spans = [slice(start, start + length) for start in starts]
    total = torch.zeros(shape, device=parts.device)
    for window, span in enumerate(spans):
        total[:, span] += squares[:, window]
    bare = (total <= 0).transpose(0, 1).flatten(1).any(1)
    if bare.any():
        raise ValueError(f"frame {int(bare.nonzero()[0])} has no weight in any window, for some pixel")
    merged = torch.zeros(shape, device=parts.device)
    for window, span in enumerate(spans):
        merged[:, span] += squares[:, window] / total[:, span] * parts[:, window]
    return merged.to(parts.dtype) if parts.is_floating_point() else merged


def captions_of_windows(captions: Sequence[tuple[int, str]], starts: Sequence[int], length: int) -> list[str]:
    """h^i of equation (18): the caption of each window, for captions that change along a video.

    It is the caption of the window's middle frame, the later one of two. A caption that does not include the middle
    frame of any window is not used: captions should last at least as long as the stride, the first and the last one at
    least half a window and one frame.

    Args:
        captions: (first frame, caption), ascending; each holds until the next begins, the first from frame 0 on.
        starts: first frames of the windows.
        length: of the windows, at most the video's.

    Returns:
        One caption a window.

    Raises:
        ValueError: there is no caption, the first does not begin at frame 0, or one not after the one before.
    """
    firsts = [first for first, _ in captions]
    if firsts[:1] != [0] or firsts != sorted(set(firsts)):
        raise ValueError(f"captions begin at frames {firsts}; let the first begin at 0 and each after the one before")
    return [captions[bisect_right(firsts, start + length // 2) - 1][1] for start in starts]


def _check_windows(starts: Sequence[int], length: int, frames: int) -> None:
    if not starts or min(starts) < 0 or max(starts) + length > frames:
        raise ValueError(f"windows of {length} frames from {list(starts)} on are not within a video of {frames} frames")


def _beside(weights: Tensor, parts: Tensor) -> Tensor:
    """Weights as a view of the shape of ``parts`` (N, windows, K, ...)."""
    if weights.ndim == 1:
        weights = weights.view(-1, *[1] * (parts.ndim - 3))
    try:
        return weights.expand_as(parts)
    except RuntimeError as error:
        raise ValueError(f"weights {tuple(weights.shape)} do not fit windows {tuple(parts.shape)}") from error
