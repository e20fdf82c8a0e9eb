"""The perceptual term of the autoencoder's loss: distances between features of a frozen network.

The default needs no download: a small convolutional network whose filters are random, orthogonal and fixed by a seed.
Random filters followed by rectification still measure edges and texture and where they are, at several scales (He, Wang
& Hopcroft 2016, "A Powerful Generative Model Using Random Weights for the Deep Image Representation"), which a plain
pixel loss does not. With VGG16's weights, the term is that of Johnson et al. 2016 on relu1_2, relu2_2 and relu3_3. The
judges that score videos are never used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sketch2video.errors import UserError

FILTER_SEED = 20160612
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256))


class PerceptualDistance(nn.Module):
    """Mean squared distance between unit-length features, summed over scales (Zhang et al. 2018, eq. 1, all weights 1).

    Args:
        blocks: networks that are applied one after the other; each one's output is compared.
        mean, std: of the colour channels that the network expects, for colours in [0, 1].
    """

    def __init__(self, blocks: Sequence[nn.Module], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.requires_grad_(False)

    def features(self, frames: Tensor) -> list[Tensor]:
        """Features of frames (N, 3, H, W) in [-1, 1], one tensor a scale, of unit length along the channels."""
        x = ((frames + 1) / 2 - self.mean) / self.std
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt())
        return found

    def forward(self, frames: Tensor, target: Tensor) -> Tensor:
        """Distance between two batches (N, 3, H, W) in [-1, 1]: scalar, at least 0."""
        with torch.no_grad():
            expected = self.features(target)
        pairs = zip(self.features(frames), expected, strict=True)
        return torch.stack([(got - want).square().sum(1).mean() for got, want in pairs]).sum()


def perceptual_distance(vgg16: str | None) -> PerceptualDistance:
    """The distance of a parameter ``perceptual_vgg16``: by the weights of that file, or by random filters if None.

    Raises:
        UserError: see :func:`vgg16_perceptual_distance`.
    """
    return vgg16_perceptual_distance(vgg16) if vgg16 else random_perceptual_distance()


def random_perceptual_distance(widths: Sequence[int] = (16, 32, 64)) -> PerceptualDistance:
    """The default: orthogonal random filters, the same ones on every machine.

    Args:
        widths: channels at full, half and quarter resolution.
    """
    generator = torch.Generator().manual_seed(FILTER_SEED)
    blocks, channels = [], 3
    for level, width in enumerate(widths):
        convolution = nn.Conv2d(channels, width, 3, stride=2 if level else 1, padding=1, bias=False)
        nn.init.orthogonal_(convolution.weight, gain=2**0.5, generator=generator)
        blocks.append(nn.Sequential(convolution, nn.ReLU()))
        channels = width
    return PerceptualDistance(blocks, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def vgg16_perceptual_distance(path: Path | str) -> PerceptualDistance:
    """VGG16's first three blocks, from a state dict with torchvision's names (``features.0.weight``, ...).

    Args:
        path: a safetensors file, or a ``.pth`` file that holds nothing but tensors.

    Raises:
        UserError: the file is missing or holds other weights.
    """
    try:
        state = load_file(path) if Path(path).suffix == ".safetensors" else torch.load(path, weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as VGG16 weights ({error}); name a state dict of torchvision's vgg16"
        ) from error
    blocks: list[nn.Module] = []
    channels, index = 3, 0
    for widths in VGG16_BLOCKS:
        block = nn.Sequential() if not blocks else nn.Sequential(nn.MaxPool2d(2))
        for width in widths:
            convolution = nn.Conv2d(channels, width, 3, padding=1)
            try:
                convolution.load_state_dict({name: state[f"features.{index}.{name}"] for name in ("weight", "bias")})
            except (KeyError, RuntimeError) as error:
                raise UserError(
                    f"{path} is not a state dict of torchvision's vgg16 ({error}); name one that is"
                ) from error
            block.append(convolution)
            block.append(nn.ReLU())
            channels, index = width, index + 2
        blocks.append(block)
        index += 1
    return PerceptualDistance(blocks, IMAGENET_MEAN, IMAGENET_STD)
