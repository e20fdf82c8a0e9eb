"""Latent videos as patches, each of which is a token, and back.

Plain patches lie side by side: neighbouring positions of two patches are predicted from two tokens, and frames show the
borders. Lapped patches are twice as wide as their distance, as blocks of a lapped transform (Malvar 1990, "Lapped
Transforms for Efficient Transform/Subband Coding"): a token sees half a patch more on each side, and predicts it, too.
Predictions are merged with weights that fall linearly from a patch's centre and add up to 1 at every position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Patches:
    """How latents are cut.

    Attributes:
        distance: latent positions along each axis between the centres of patches.
        lapped: whether patches are twice as wide as their distance, which is then even.

    Raises:
        ValueError: patches of an odd distance are to be lapped.
    """

    distance: int
    lapped: bool = False

    def __post_init__(self) -> None:
        if self.lapped and self.distance % 2:
            raise ValueError(f"patches of {self.distance} latent positions cannot be lapped; choose an even patch")

    @property
    def positions(self) -> int:
        """Latent positions of a patch."""
        return (2 * self.distance) ** 2 if self.lapped else self.distance**2

    def cut(self, latents: Tensor) -> Tensor:
        """Latents (N, T, C, h, w) as patches (N, T, P, C * positions), row by row; beyond the border they are 0."""
        if not self.lapped:
            return functional.pixel_unshuffle(latents, self.distance).movedim(2, -1).flatten(2, 3)
        parts = functional.unfold(latents.flatten(0, 1), **self._layout())
        return parts.unflatten(0, latents.shape[:2]).movedim(-1, 2)

    def merge(self, parts: Tensor, height: int, width: int) -> Tensor:
        """Patches (N, T, P, C * positions) as latents (N, T, C, height, width)."""
        if not self.lapped:
            grid = height // self.distance, width // self.distance
            return functional.pixel_shuffle(parts.unflatten(2, grid).movedim(-1, 2), self.distance)
        window, parts = self._window(parts.device), parts.float()
        weighted = (parts.unflatten(-1, (-1, self.positions)) * window).flatten(-2).flatten(0, 1).movedim(1, -1)
        total = window.view(1, -1, 1).expand(1, -1, weighted.shape[-1])
        summed, weight = (functional.fold(x, (height, width), **self._layout()) for x in (weighted, total))
        return (summed / weight).unflatten(0, parts.shape[:2])

    def _layout(self) -> dict[str, int]:
        return {"kernel_size": 2 * self.distance, "stride": self.distance, "padding": self.distance // 2}

    def _window(self, device: torch.device) -> Tensor:
        """Weights of the positions of a patch: (positions,)."""
        at = (torch.arange(2 * self.distance, device=device) + 0.5) / self.distance
        side = torch.where(at < 1, at, 2 - at)
        return side.outer(side).flatten()
