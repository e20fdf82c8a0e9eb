"""C3D for UCF-101, the network of the inception score for video.

Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks", fine-tuned to the 101 classes of
UCF-101 as in Saito et al. 2017, "Temporal Generative Adversarial Nets with Singular Value Clipping" (TGAN), section 5.
The user provides the weights and the mean clip.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.errors import UserError
from sketch2video.scoring.weights import checked, read_state_dict

CLASSES = 101
FRAMES = 16
SIZE = 112
MEAN_SHAPE = (3, FRAMES, 128, 171)

_CONVOLUTIONS = {
    "conv1a": (3, 64),
    "conv2a": (64, 128),
    "conv3a": (128, 256),
    "conv3b": (256, 256),
    "conv4a": (256, 512),
    "conv4b": (512, 512),
    "conv5a": (512, 512),
    "conv5b": (512, 512),
}
_POOLED = {"conv1a": (1, 2, 2), "conv2a": (2, 2, 2), "conv3b": (2, 2, 2), "conv4b": (2, 2, 2), "conv5b": (2, 2, 2)}
_OTHER_NAMES = {"conv1": "conv1a", "conv2": "conv2a"}
_CHAINER = {"W": "weight", "b": "bias"}


class C3D(nn.Module):
    """Eight convolutions and three linear layers; the names are Caffe's."""

    def __init__(self) -> None:
        super().__init__()
        for name, (inputs, outputs) in _CONVOLUTIONS.items():
            self.add_module(name, nn.Conv3d(inputs, outputs, 3, padding=1))
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, CLASSES)

    def forward(self, videos: Tensor) -> Tensor:
        """Logits.

        Args:
            videos: (N, 3, 16, 112, 112), BGR in [0, 255] less the mean clip.

        Returns:
            (N, 101).
        """
        x = videos
        for name in _CONVOLUTIONS:
            x = F.relu(self.get_submodule(name)(x))
            if name in _POOLED:  # windows across the edge count, as in Caffe: 7 positions become 4
                x = F.max_pool3d(x, _POOLED[name], ceil_mode=True)
        x = F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))
        return self.fc8(x)


def load_c3d(path: Path | str) -> C3D:
    """C3D with the weights of a file, in evaluation mode.

    Args:
        path: safetensors, ``.pt`` or Chainer's ``.npz`` with Caffe's names (``conv1a.weight``, ``conv1.weight`` or
            ``conv1a/W``, …, ``fc8``).

    Raises:
        UserError: the file cannot be read or is not C3D with 101 classes.
    """
    tensors = {_own_name(name): value for name, value in read_state_dict(path).items()}
    network = C3D()
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    network.load_state_dict(checked(tensors, shapes, path, "C3D for UCF-101"))
    return network.eval().requires_grad_(False)


def load_mean_clip(path: Path | str) -> Tensor:
    """The mean of the training clips: float32 (3, 16, 128, 171), BGR, in [0, 255].

    Args:
        path: an ``.npz`` or safetensors file with the array ``mean`` (TGAN's ``mean2.npz``), of this shape or flat.

    Raises:
        UserError: the file cannot be read or has no such array.
    """
    mean = read_state_dict(path).get("mean")
    if mean is None or mean.numel() != np.prod(MEAN_SHAPE):
        raise UserError(f"{path} holds no array `mean` of {MEAN_SHAPE}; give the mean clip of C3D's training")
    return mean.float().reshape(MEAN_SHAPE)


def less_the_mean(videos: Tensor, mean: Tensor, variant: str) -> Tensor:
    """C3D's input from resized frames, as in the code of the two papers.

    ``tgan``: frames of 128×128, the mean's middle columns, then the square of 112 from row and column 8.
    ``tganv2``: frames of 112×112, the mean from row and column 8 (not its middle).

    Args:
        videos: (N, 16, 3, S, S) RGB in [0, 255].
        mean: :func:`load_mean_clip`.
        variant: "tgan" or "tganv2".

    Returns:
        (N, 3, 16, 112, 112) BGR.
    """
    x = videos.flip(2).transpose(1, 2)
    if variant == "tgan":
        return (x - mean[..., 21 : 21 + 128])[..., 8 : 8 + SIZE, 8 : 8 + SIZE]
    return x - mean[..., 8 : 8 + SIZE, 8 : 8 + SIZE]


def _own_name(name: str) -> str:
    layer, _, kind = name.replace("/", ".").partition(".")
    return f"{_OTHER_NAMES.get(layer, layer)}.{_CHAINER.get(kind, kind)}"


def probabilities(network: C3D, videos: Tensor) -> Tensor:
    """Softmax over UCF-101's classes, in float64: (N, 3, 16, 112, 112) to (N, 101)."""
    return torch.softmax(network(videos).double(), 1)
