"""The frozen judges: small classifiers of videos and of sketches.

They are trained once, by ``python -m flows.train_judge``, on scenes of their own with every combination of attributes,
and are part of the package: ``weights/video-<hash>`` and ``weights/sketch-<hash>``, named by the SHA-256 of their
weights. They are for evaluation only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.judges.layers import Residual, convolution
from sketch2video.judges.verdict import ATTRIBUTES


class Judge(ModelMixin, ConfigMixin):
    """Classifier of clips: it detects the object in each frame, classifies its appearance and its movement.

    A small network segments the object in every frame. Its position, extent and area as functions of time are the input
    of the movement branch. A window around it, scaled to a fixed size (as in Jaderberg et al. 2015, "Spatial
    Transformer Networks"), is the input of the appearance branch, so that small shapes are classified as well as large
    ones.

    Args:
        channels: 3 for video, 1 for sketches.
        attributes: keys of ``ATTRIBUTES``, each with a head of its own.
        size: side of the network's input, pixels; other frames are resized.
        window: side of the window, samples.
        width: channels of the first layers.
        feature_dim: width of each part of the features: object, frame, movement.
        moments: number of times to which the movement is interpolated, for clips of any length.
    """

    @register_to_config
    def __init__(
        self,
        channels: int,
        attributes: list[str],
        size: int = 64,
        window: int = 28,
        width: int = 24,
        feature_dim: int = 48,
        moments: int = 16,
    ) -> None:
        super().__init__()
        self.size, self.window, self.moments = size, window, moments
        # 2×2 pixels become channels: a quarter of the cost of full resolution without loss of pixels.
        self.finder = nn.Sequential(
            nn.PixelUnshuffle(2),
            convolution(4 * channels, width),
            convolution(width, 2 * width, stride=2),
            Residual(2 * width),
        )
        self.mask = nn.Conv2d(2 * width, 1, 1)
        self.looker = nn.Sequential(
            convolution(channels, width),
            convolution(width, 2 * width, stride=2),
            convolution(2 * width, 4 * width, stride=2),
            nn.Flatten(),
        )
        self.object = nn.Linear(4 * width * math.ceil(window / 4) ** 2, feature_dim)
        self.frame = nn.Linear(2 * width, feature_dim)
        self.movement = nn.Sequential(
            nn.Linear(moments * 5, 2 * feature_dim), nn.SiLU(), nn.Linear(2 * feature_dim, feature_dim)
        )
        # The features' standard deviations over real clips, so that all features contribute equally to distances.
        self.register_buffer("feature_scale", torch.ones(3 * feature_dim + 2 * width))
        self.heads = nn.ModuleDict({name: nn.Linear(3 * feature_dim, len(ATTRIBUTES[name])) for name in attributes})

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of every attribute of this judge, in the order of its logits."""
        return {name: ATTRIBUTES[name] for name in self.heads}

    def forward(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Judge clips.

        Args:
            clips: (N, T, channels, H, W) in [0, 1], any T ≥ 2.

        Returns:
            Logits of each attribute (N, words), features (N, 3 · feature_dim + 2 · width), the mask's logits
            (N, T, size / 4, size / 4).
        """
        n, t = clips.shape[:2]
        frames = 2 * clips.flatten(0, 1) - 1
        if frames.shape[-2:] != (self.size, self.size):
            frames = F.interpolate(frames, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        texture = self.finder[:2](frames)
        maps = self.finder[2:](texture)
        mask = self.mask(maps).float().squeeze(1)
        centre, extent, area = _position_of(torch.sigmoid(mask).square())
        appearance = self.looker(_cut_out(frames, centre.detach(), extent.detach(), self.window))
        track = torch.cat([4 * centre, 4 * extent, area.log() / 4], 1).unflatten(0, (n, t))
        track = F.interpolate(track.mT, self.moments, mode="linear", align_corners=True).flatten(1)
        parts = [
            self.object(appearance).unflatten(0, (n, t)).mean(1),
            self.frame(maps.mean((2, 3))).unflatten(0, (n, t)).mean(1),
            self.movement(track),
        ]
        hidden = F.silu(torch.cat([part.float() for part in parts], 1))
        logits = {name: head(hidden) for name, head in self.heads.items()}
        features = torch.cat([hidden, _surface(texture.float().unflatten(0, (n, t)))], 1)
        return logits, features / self.feature_scale, mask.unflatten(0, (n, t))


def _surface(texture: Tensor) -> Tensor:
    """Logarithms of the strength of fine detail, and of flicker, in each channel of the first layer.

    The heads are trained to be invariant to blur, noise and flicker; with these features distances depend on them.

    Args:
        texture: (N, T, C, h, w).

    Returns:
        (N, 2 · C).
    """
    coarse = F.avg_pool2d(texture.flatten(0, 1), 3, 1, 1, count_include_pad=False).view_as(texture)
    flicker = texture.diff(dim=1) if texture.shape[1] > 1 else torch.zeros_like(texture)
    strengths = [(texture - coarse).abs().mean((1, 3, 4)), flicker.abs().mean((1, 3, 4))]
    return torch.cat(strengths, 1).clamp_min(1e-3).log()


def _position_of(masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Position and extent of masks, in frame widths from the frame's centre.

    Args:
        masks: (B, h, w), non-negative.

    Returns:
        Centre (B, 2) as x, y; standard deviation along x and y (B, 2); share of the frame that it covers (B, 1).
    """
    h, w = masks.shape[-2:]
    weights = masks / masks.sum((1, 2), keepdim=True).clamp_min(1e-3)
    x = (torch.arange(w, device=masks.device) + 0.5) / w - 0.5
    y = (torch.arange(h, device=masks.device) + 0.5) / h - 0.5
    along = (weights.sum(1), x), (weights.sum(2), y)
    centre = torch.stack([p @ u for p, u in along], 1)
    variance = torch.stack([p @ u**2 for p, u in along], 1) - centre**2
    return centre, variance.clamp_min(1e-5).sqrt(), masks.mean((1, 2)).clamp_min(1e-4)[:, None]


def _cut_out(frames: Tensor, centre: Tensor, extent: Tensor, window: int) -> Tensor:
    """A square window around an object, 6.4 standard deviations wide: (B, C, S, S) to (B, C, window, window)."""
    half = 3.2 * extent.amax(1).clamp(0.03, 0.5)
    steps = (torch.arange(window, device=frames.device) + 0.5) / window * 2 - 1
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1)
    # grid_sample has coordinates from -1 to 1 over the frame, twice our frame widths from the centre.
    grid = 2 * (centre[:, None, None] + half[:, None, None, None] * offsets)
    return F.grid_sample(frames, grid.to(frames.dtype), mode="bilinear", padding_mode="border", align_corners=False)
