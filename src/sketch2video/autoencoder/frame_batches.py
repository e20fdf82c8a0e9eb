"""Latents of whole videos and back, a limited number of frames at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from sketch2video.autoencoder.network import FrameAutoencoder

FRAMES_AT_ONCE = 64
"""Bounds the memory of long videos."""


def encode_videos(model: FrameAutoencoder, videos: Tensor) -> Tensor:
    """Posterior means (N, T, C, h, w) of videos (N, T, 3, H, W) in [-1, 1]."""
    parts = videos.flatten(0, 1).split(FRAMES_AT_ONCE)
    return torch.cat([model.encode(part).mean for part in parts]).unflatten(0, videos.shape[:2])


def decode_generated(
    model: FrameAutoencoder,
    latents: Tensor,
    control: Tensor | None,
    generator: torch.Generator | list[torch.Generator] | None,
) -> Tensor:
    """Videos of generated latents: with a sampled texture, if the model has one, and its contrast of edges.

    Args:
        model, latents, control: see :func:`decode_videos`.
        generator: of the texture.
    """
    texture = model.sample_texture(latents, generator)
    return decode_videos(model, latents, control, texture, model.config.edge_contrast)


def decode_videos(
    model: FrameAutoencoder,
    latents: Tensor,
    control: Tensor | None = None,
    texture: Tensor | None = None,
    edge_contrast: float = 1.0,
) -> Tensor:
    """Videos (N, T, 3, H, W), about [-1, 1], float32, of latents (N, T, C, h, w).

    Args:
        model: the autoencoder.
        latents: in the autoencoder's units.
        control: (N, T, control_channels, H, W) in [0, 1], see :meth:`FrameAutoencoder.decode`; None: none.
        texture: (N, 1, H, W), of :meth:`FrameAutoencoder.sample_texture`; None: none.
        edge_contrast: see :meth:`FrameAutoencoder.decode`.
    """
    every = None if texture is None else texture[:, None].expand(-1, latents.shape[1], -1, -1, -1)
    parts = latents.flatten(0, 1).split(FRAMES_AT_ONCE)
    seen = [[None] * len(parts) if x is None else x.flatten(0, 1).split(FRAMES_AT_ONCE) for x in (control, every)]
    frames = [model.decode(*part, edge_contrast=edge_contrast) for part in zip(parts, *seen, strict=True)]
    return torch.cat(frames).float().unflatten(0, latents.shape[:2])
