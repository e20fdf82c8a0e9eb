"""What a token transformer knows about clips beside their tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ClipCondition(NamedTuple):
    """What all levels are told about N clips.

    Attributes:
        tokens: (N, M, text_width), captions behind a token that all of them share.
        mask: (N, M) bool, True at real tokens.
        vector: (N, D), caption and frame rate.
        control: (N, T, C, H, W) in [0, 1], a control picture for every frame; None: there is none.
        control_mask: (N,) bool, False where a clip has no control pictures after all; None: all have.
    """

    tokens: Tensor
    mask: Tensor
    vector: Tensor
    control: Tensor | None = None
    control_mask: Tensor | None = None

    def at(self, frames: Tensor | slice) -> ClipCondition:
        """With the control pictures of some frames: a slice, or (N, W) int64 if clips differ."""
        if self.control is None:
            return self
        if isinstance(frames, slice):
            return self._replace(control=self.control[:, frames])
        each = torch.arange(len(frames), device=frames.device)[:, None]
        return self._replace(control=self.control[each, frames])

    def of_clips(self, clips: Tensor | slice) -> ClipCondition:
        """What some of the clips are told: a slice, or their numbers, int64."""
        return ClipCondition(
            self.tokens[clips],
            self.mask[clips],
            self.vector[clips],
            None if self.control is None else self.control[clips],
            None if self.control_mask is None else self.control_mask[clips],
        )
