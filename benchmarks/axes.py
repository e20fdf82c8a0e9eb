"""Bottlenecks of videos, and the axes along which they are tightened: in space and in time.

A bottleneck is written as f8t4: each side of the frame is 8 times as long as that of its latent, and 4 frames share a
latent. Both axes begin at the same bottleneck, and have the same latent numbers a frame from point to point.
"""

from __future__ import annotations

from math import ceil, isqrt
from typing import NamedTuple

PIXELS_PER_TOKEN = 256
"""Pixels of one or more frames that a token of the denoiser stands for, if its latents are not smaller than that."""


class Bottleneck(NamedTuple):
    """How frames become latents.

    Attributes:
        halvings: of the frame, by the autoencoder.
        frames_per_latent: t, frames that share a latent in the denoiser.
    """

    halvings: int
    frames_per_latent: int = 1

    @property
    def factor(self) -> int:
        """f, by which a latent is smaller than a frame along each side."""
        return 2**self.halvings

    @property
    def reduction(self) -> int:
        """Pixels for each position of a latent."""
        return self.factor**2 * self.frames_per_latent

    def numbers(self, channels: int, size: int) -> int:
        """Latent numbers for each frame, as pipelines count them.

        Args:
            channels: of a latent.
            size: side of the frames, px.
        """
        return ceil(channels * size**2 / self.reduction)

    @property
    def fold(self) -> int:
        """Pixels along an axis of a position of the autoencoder's finest layers, for three resolutions behind every f.

        With more, the finest ones have so few channels that colours are not carried.
        """
        return max(self.factor // 4, 2)

    @property
    def patch(self) -> int:
        """Side of the denoiser's patches; bottlenecks of one :attr:`reduction` have equally many tokens a frame."""
        return max(isqrt(PIXELS_PER_TOKEN // self.reduction), 1)

    def __str__(self) -> str:
        return f"f{self.factor}t{self.frames_per_latent}"


Axis = tuple[Bottleneck, ...]
"""Bottlenecks from the widest to the tightest."""

AXES: dict[str, Axis] = {
    "space": (Bottleneck(3), Bottleneck(4), Bottleneck(5)),
    "time": (Bottleneck(3), Bottleneck(3, 4), Bottleneck(3, 16)),
}
