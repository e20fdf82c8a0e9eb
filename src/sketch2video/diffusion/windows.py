"""Long videos as overlapping windows that are denoised side by side, each with its own caption, and merged.

Wang et al. 2023, "Gen-L-Video", which is Bar-Tal et al. 2023, "MultiDiffusion", along time. The equations are numbered
as in the project's fourth paper: (17) is the whole, (18) the cutting, (19) the merging, which is done at every step of
the sampler.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import torch
from torch import Tensor

from sketch2video.params import WindowWeights

GAUSSIAN_WIDTH = 0.25
"""Standard deviation of Gaussian weights, in windows: 0.14 is left at a window's ends."""


def window_starts(frames: int, length: int, stride: int) -> list[int]:
    """First frames of the windows that cover a video: every ``stride`` frames, and the last one ends with the video.

    Args:
        frames: of the video, T.
        length: of a window, K.
        stride: S, at most K, or frames would lie between windows; at K windows do not overlap.

    Returns:
        Ascending; [0] where the video is not longer than a window.

    Raises:
        ValueError: a number is below 1, or the stride is above the length.
    """
    if frames < 1 or not 1 <= stride <= length:
        raise ValueError(
            f"{frames} frames, windows of {length} and a stride of {stride} do not go together;"
            " all are at least 1, and the stride is at most the windows' length"
        )
    last = max(0, frames - length)
    return [*range(0, last, stride), last]


def window_weights(name: WindowWeights, length: int) -> Tensor:
    """W of equation (19), the same for all windows and pixels: what its square is relative to others' is what counts.

    With k = 0 ... K - 1::

        uniform     1
        triangular  min(k + 1, K - k) / ceil(K / 2)
        gaussian    exp(-((k - (K - 1) / 2) / (K / 4))^2 / 2)

    Args:
        name: of the form.
        length: of the windows as they are cut, K: at most the video's.

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
        ValueError: a window lies outside of the video, or there is none.
    """
    frames = video.shape[1]
    length = min(length, frames)
    _check_windows(starts, length, frames)
    return torch.stack([video[:, start : start + length] for start in starts], dim=1)


def merge_windows(parts: Tensor, starts: Sequence[int], weights: Tensor, frames: int) -> Tensor:
    """The videos that come nearest to all their windows, equation (19) in closed form.

    The sum of ``|W_i (P_i(v) - v_i)|^2`` is least, for every pixel of every frame apart, where the derivative
    ``2 sum_i W_i^2 (v - v_i)`` is zero: at the mean of the windows that hold the frame, weighted by the SQUARES of W_i.
    A frame that one window holds alone comes out as it is there, to the last bit.

    A mean has less variance than what it is made of. Where windows are independent, merged noise has the variance
    ``sum_i W_i^4 / (sum_i W_i^2)^2``, a half under two equal weights, and a sampler takes what is missing for signal.
    It is merged noise predictions and samples that lose it, as far as their windows disagree. Windows should therefore
    be cut from one noise, and a sampler's fresh noise be drawn for the video, after merging, or be cut from one, too.

    Args:
        parts: (N, windows, K, ...), of any dtype; sums are float32.
        starts: first frames of the windows.
        weights: (K,), the same for all windows and pixels; or one for every window and pixel, with at least two axes,
            broadcastable to ``parts``.
        frames: of the videos, T.

    Returns:
        (N, T, ...) of the dtype of ``parts``; float32 where that is a whole number's.

    Raises:
        ValueError: windows, starts, weights and frames do not belong together, or somewhere all weights are zero.
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
        raise ValueError(f"frame {int(bare.nonzero()[0])} has no weight in any window, at some pixel at least")
    merged = torch.zeros(shape, device=parts.device)
    for window, span in enumerate(spans):
        merged[:, span] += squares[:, window] / total[:, span] * parts[:, window]
    return merged.to(parts.dtype) if parts.is_floating_point() else merged


def captions_of_windows(captions: Sequence[tuple[int, str]], starts: Sequence[int], length: int) -> list[str]:
    """h^i of equation (18): for prompts that change along a video, the one that each window is given.

    It is the caption that holds at the window's middle frame, the later of two. A caption that holds at the middle of
    no window is not seen: one should last at least as long as the stride, the first and the last one at least as long
    as half a window and a frame.

    Args:
        captions: (first frame, caption), ascending; each holds until the next begins, the first from frame 0 on.
        starts: first frames of the windows.
        length: of the windows as they are cut: at most the video's.

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
        raise ValueError(f"windows of {length} frames from {list(starts)} on do not lie in a video of {frames} frames")


def _beside(weights: Tensor, parts: Tensor) -> Tensor:
    """Weights as a view of the shape of ``parts`` (N, windows, K, ...)."""
    if weights.ndim == 1:
        weights = weights.view(-1, *[1] * (parts.ndim - 3))
    try:
        return weights.expand_as(parts)
    except RuntimeError as error:
        raise ValueError(f"weights {tuple(weights.shape)} do not go with windows {tuple(parts.shape)}") from error
