"""The patch discriminator, which classifies patches of pictures as real or generated.

PatchGAN of Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2.2.
"""

from __future__ import annotations

from torch import Tensor, nn

from sketch2video.networks.blocks import LayerNorm2d

WIDEST = 8
"""Channels grow to at most this many times those of the first layer."""


class PatchDiscriminator(nn.Module):
    """Pictures to one logit a patch: 4x4 convolutions, normalised and rectified with a slope of 0.2.

    The normalisation is over the channels of each position. With batch, instance or group normalisation, which are over
    a whole picture, every logit would depend on every pixel instead of on its patch alone.

    Args:
        width: channels after the first layer, doubled by each further one.
        halvings: layers of stride 2; two of stride 1 follow. A patch is 16, 34, 70 px wide for 1, 2, 3 of them.
        channels: of the pictures.
    """

    def __init__(self, width: int = 32, halvings: int = 2, channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
        for layer in range(1, halvings + 1):
            narrow, wide = (width * min(2**power, WIDEST) for power in (layer - 1, layer))
            stride = 2 if layer < halvings else 1
            self.layers.append(nn.Conv2d(narrow, wide, 4, stride=stride, padding=1))
            self.layers.append(LayerNorm2d(wide))
            self.layers.append(nn.LeakyReLU(0.2))
        self.layers.append(nn.Conv2d(width * min(2**halvings, WIDEST), 1, 4, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (N, 1, h, w), above 0 for real, of pictures (N, C, H, W) in [-1, 1]."""
        return self.layers(frames)
