"""Blocks of convolutional autoencoders whose resolution changes by space-to-depth.

Pixels are folded into channels and back (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution", eq. 4),
which is lossless and the fastest method on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.blocks import LayerNorm2d


class ResidualBlock(nn.Module):
    """Two convolutions with a skip connection; the second starts at zero, so that a deep stack starts as the identity.

    Args:
        channels: C.
        local: whether each position is normalised by itself, so that the receptive field is that of the kernels.
        kernel: of the convolutions, odd.
    """

    def __init__(self, channels: int, local: bool = False, kernel: int = 3) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels) if local else nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return x + self.second(functional.silu(self.first(functional.silu(self.norm(x)))))


def channels_by_level(width: int, halvings: int) -> list[int]:
    """Channels of a frame folded once, twice, ...: ``width`` at the coarsest resolution, half of them at each finer."""
    return [max(width >> (halvings - 1 - level), 16) for level in range(halvings)]


def encoder_trunk(channels: Sequence[int], blocks: int, local: bool = False) -> nn.Sequential:
    """From features at the finest resolution to those at the coarsest, with ``blocks`` residual blocks there.

    Args:
        channels: of the resolutions, finest first.
        blocks: at the coarsest.
        local: whether the receptive field is kept small: no normalisation over the picture, and no large kernels at
            the coarsest resolution, where they reach farthest.
    """
    trunk = nn.Sequential()
    for fine, coarse in pairwise(channels):
        trunk.append(ResidualBlock(fine, local))
        trunk.append(nn.PixelUnshuffle(2))
        trunk.append(nn.Conv2d(4 * fine, coarse, 1))
    for _ in range(blocks):
        trunk.append(ResidualBlock(channels[-1], local, kernel=1 if local else 3))
    return trunk


def enlargement(channels: Sequence[int], level: int, fold: int = 2) -> nn.Sequential:
    """From features of a level to those of the next finer one, or to pixels from the finest, ``fold`` times as many."""
    finer, kernel, scale = (channels[level - 1], 1, 2) if level else (3, 3, fold)
    widen = nn.Conv2d(channels[level], scale**2 * finer, kernel, padding=kernel // 2)
    return nn.Sequential(widen, nn.PixelShuffle(scale))
