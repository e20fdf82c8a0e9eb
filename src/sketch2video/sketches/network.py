"""The sketcher: photograph → the probability that a person would put ink on a pixel.

A U-Net (Ronneberger, Fischer & Brox 2015) of residual blocks: the finest level locates a line, the coarsest
detects the objects to be outlined. Pixels are folded into channels and back (space-to-depth; Shi et al. 2016,
eq. 4), so that no convolution runs at full resolution, where a CPU would spend most of its time. It is fully
convolutional, so that it draws frames of any size. Its loss is the class-balanced cross-entropy of HED (Xie & Tu 2015,
"Holistically-Nested Edge Detection", eq. 2), since ink is a few percent of the pixels and an empty
drawing would otherwise have a low loss, plus a Dice loss, which is closer to the reported F-score.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.loading import load_frozen
from sketch2video.networks.processes import total


class Sketcher(ModelMixin, ConfigMixin):
    """Frames to logits of ink.

    Args:
        width: channels at half resolution, a multiple of 8; twice and three times as many at a quarter and an eighth.
    """

    @register_to_config
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width, 2 * width, 3 * width]
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, width, 3, padding=1))
        self.fine = nn.ModuleList(_Residual(channels) for channels in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(_Residual(channels) for channels in widths[:-1])
        self.head = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, 4, 3, padding=1), nn.PixelShuffle(2)
        )

    @property
    def factor(self) -> int:
        """Sides are padded to a multiple of this, and the result is cropped."""
        return int(2 ** (len(self.down) + 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits of ink.

        Args:
            frames: (N, 3, H, W) in [-1, 1], of any size.

        Returns:
            (N, 1, H, W)
        """
        height, width = frames.shape[-2:]
        x = functional.pad(frames, (0, -width % self.factor, 0, -height % self.factor), mode="replicate")
        x = self.fine[0](self.stem(x))
        skips = []
        for down, block in zip(self.down, self.fine[1:], strict=True):
            skips.append(x)
            x = block(down(x))
        for skip, up, block in reversed(list(zip(skips, self.up, self.merge, strict=True))):
            x = block(skip + functional.interpolate(up(x), scale_factor=2.0))
        return self.head(x)[..., :height, :width]


class _Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection; the second starts at zero, so the block starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(self.norm(x)))))


def balanced_cross_entropy(logits: Tensor, ink: Tensor) -> Tensor:
    """HED's loss: the mean over the ink and the mean over the other pixels have equal weights.

    Pixels beside a line are ignored, since lines drawn by hand are often a pixel off.

    Args:
        logits: (N, 1, H, W).
        ink: (N, 1, H, W), 1 where there is ink, else 0.
    """
    missed, spilled = functional.softplus(-logits), functional.softplus(logits)
    rest = 1 - near(ink)
    on_ink = total((ink * missed).sum()) / total(ink.sum()).clamp_min(1)
    return (on_ink + total((rest * spilled).sum()) / total(rest.sum()).clamp_min(1)) / 2


def tolerant_dice(probability: Tensor, ink: Tensor) -> Tensor:
    """One minus the soft F-score of ink within a pixel: a tolerant Dice loss (Milletari et al. 2016, section 3).

    Args:
        probability: (N, 1, H, W) in [0, 1].
        ink: (N, 1, H, W), 1 where there is ink, else 0.
    """
    precise = total((probability * near(ink)).sum()) / total(probability.sum()).clamp_min(1e-6)
    found = total((near(probability) * ink).sum()) / total(ink.sum()).clamp_min(1)
    return 1 - 2 * precise * found / (precise + found).clamp_min(1e-6)


def near(x: Tensor) -> Tensor:
    """The largest value within a pixel of each pixel, (N, 1, H, W)."""
    return functional.max_pool2d(x, 3, stride=1, padding=1)


def load_sketcher(folder: Path | str) -> Sketcher:
    """A trained sketcher, frozen and in evaluation mode.

    Raises:
        UserError: the folder is missing or damaged.
    """
    return load_frozen(Sketcher, folder, "train_sketcher")
