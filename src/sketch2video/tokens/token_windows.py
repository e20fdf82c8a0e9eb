"""Windows of frames of tokenized clips, with their conditions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sketch2video.tokens.clip_condition import ClipCondition


class Windows(NamedTuple):
    """Windows of N clips.

    Attributes:
        tokens: tokens of each level, finest first: (N, W, h, w) int64.
        times: (N, W), times of the frames in the clips, in [0, 1].
        condition: conditions of the clips, with control pictures of the W frames.
    """

    tokens: list[Tensor]
    times: Tensor
    condition: ClipCondition

    def first(self, clips: int) -> Windows:
        """The windows of the first ``clips`` clips."""
        some = slice(clips)
        return Windows([level[some] for level in self.tokens], self.times[some], self.condition.of_clips(some))

    def one_by_one(self) -> Windows:
        """Every frame as a window of its own: N * W windows."""
        clips, frames = torch.cartesian_prod(*(torch.arange(n, device=self.times.device) for n in self.times.shape)).T
        return Windows(
            [level.flatten(0, 1)[:, None] for level in self.tokens],
            self.times.flatten()[:, None],
            self.condition.of_clips(clips).at(frames[:, None]),
        )
