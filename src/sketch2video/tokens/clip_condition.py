"""The conditions of a token transformer: captions, frame rate and control pictures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ClipCondition(NamedTuple):
    """Conditions of N clips, the same for all levels.

    Attributes:
        tokens: (N, M, text_width), a token that all clips share, followed by those of the captions.
        mask: (N, M) bool, True at real tokens.
        vector: (N, D), caption and frame rate.
        control: (N, T, C, H, W) in [0, 1], a control picture for every frame; None: there is none.
        control_mask: (N,) bool, False for clips without control pictures; None: all have some.
    """

    tokens: Tensor
    mask: Tensor
    vector: Tensor
    control: Tensor | None = None
    control_mask: Tensor | None = None

    def at(self, frames: Tensor | slice) -> ClipCondition:
        """Select the control pictures of some frames: a slice, or indices (N, W) int64 for each clip."""
        if self.control is None:
            return self
        if isinstance(frames, slice):
            return self._replace(control=self.control[:, frames])
        each = torch.arange(len(frames), device=frames.device)[:, None]
        return self._replace(control=self.control[each, frames])

    def of_clips(self, clips: Tensor | slice) -> ClipCondition:
        """Select some of the clips: a slice, or indices, int64."""
        return ClipCondition(
            self.tokens[clips],
            self.mask[clips],
            self.vector[clips],
            None if self.control is None else self.control[clips],
            None if self.control_mask is None else self.control_mask[clips],
        )
