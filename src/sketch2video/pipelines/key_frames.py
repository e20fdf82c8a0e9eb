"""Long videos as in CogVideo (Hong et al. 2022, section 3.2): key frames first, then the frames between them.

The key frames span the whole video at a low frame rate. Then the rate is doubled, window by window, with existing
frames held fixed, until the requested frame rate is reached. Windows share their first and last frames with their
neighbours and do not depend on each other: the computation grows with the number of frames, the memory does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

WINDOWS_AT_ONCE = 16
"""Maximum number of windows, of all videos together, in one call of the network."""

SHORTEST_WINDOW = 3
"""Minimum number of frames of a window: a known frame at either end and one between them."""


class Windows(NamedTuple):
    """B windows of one length that are generated together, the same ones of every video.

    Attributes:
        videos: (B,) int64, index of the video of each window.
        positions: (B, W) int64, frame indices in the video.
        stride: distance of successive frames of a window in the video.
        known: (B, W, C, h, w), latents; undefined where ``known_mask`` is False.
        known_mask: (B, W) bool, True where a frame exists already.
    """

    videos: Tensor
    positions: Tensor
    stride: int
    known: Tensor
    known_mask: Tensor


def key_stride(frames: int, at_once: int) -> int:
    """Distance of the key frames, a power of two: the smallest one at which they all fit into one window.

    Args:
        frames: number of frames of the video.
        at_once: maximum number of frames of a window.
    """
    stride = 1
    while -(-(frames - 1) // stride) + 1 > max(at_once, SHORTEST_WINDOW):
        stride *= 2
    return stride


def rounds_of_windows(frames: int, at_once: int) -> list[list[range]]:
    """The windows of a video, as ranges of positions in it: one round of key frames, then one for each doubling.

    Every window after the first round begins and ends with a frame of an earlier round, and every second frame between
    them is of an earlier round. The last key frame may be after the end of the video, by less than the stride.

    Args:
        frames: number of frames of the video.
        at_once: maximum number of frames of a window; at least 3 are used.
    """
    stride = key_stride(frames, at_once)
    end = -(-(frames - 1) // stride) * stride
    rounds = [[range(0, end + 1, stride)]]
    most = (max(at_once, SHORTEST_WINDOW) - 1) // 2  # gaps that one window can fill
    while stride > 1:
        gaps = end // stride
        count = -(-gaps // most)
        bounds = [gaps * window // count * stride for window in range(count + 1)]
        stride //= 2
        rounds.append([range(first, last + 1, stride) for first, last in pairwise(bounds)])
    return rounds


def fill_video(
    rounds: Sequence[Sequence[range]], latents: Tensor, known: Tensor, make: Callable[[Windows], Tensor]
) -> Tensor:
    """Generate all frames that are not known, round by round.

    Args:
        rounds: see :func:`rounds_of_windows`.
        latents: (N, L, C, h, w), L the number of positions of all rounds.
        known: (L,) bool, the frames of ``latents`` that are known; the others are undefined.
        make: function from windows to their latents (B, W, C, h, w); it returns known frames unchanged.

    Returns:
        (N, L, C, h, w)
    """
    latents, known = latents.clone(), known.clone()
    for windows in rounds:
        unfinished = [window for window in windows if not known[list(window)].all()]
        for part in _parts(unfinished, max(1, WINDOWS_AT_ONCE // len(latents))):
            positions = torch.tensor([list(window) for window in part], device=latents.device)
            positions = positions.repeat_interleave(len(latents), 0)
            videos = torch.arange(len(latents), device=latents.device).repeat(len(part))
            index = videos[:, None], positions
            latents[index] = make(Windows(videos, positions, part[0].step, latents[index], known[positions]))
        known[torch.tensor([position for window in windows for position in window], device=known.device)] = True
    return latents


def _parts(windows: Sequence[range], most: int) -> Iterator[list[range]]:
    """Windows of equal length, at most ``most`` at a time."""
    for _, group in groupby(sorted(windows, key=len), key=len):
        same_length = list(group)
        yield from (same_length[start : start + most] for start in range(0, len(same_length), most))
