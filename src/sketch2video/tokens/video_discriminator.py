"""The video discriminator: a transformer encoder that classifies five successive frames as real or generated.

It is VideoMAE's encoder (Tong et al. 2022) with a linear layer on every token: each patch is classified with attention
to all five frames. By default it is a small untrained one at the frames' size; a pretrained one can be named instead.
The input of each frame also has the difference from the previous frame, which distinguishes generated from real frames
best; without it a small encoder learns nothing in some hundred steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import VideoMAEConfig, VideoMAEModel

from sketch2video.autoencoder.perceptual import IMAGENET_MEAN, IMAGENET_STD
from sketch2video.networks.blocks import attention_kind
from sketch2video.networks.loading import load_named

FRAMES = 5
"""Number of successive frames of the input."""

CHANGE_SCALE = 2.0
"""Factor of the differences between frames, whose variation is a tenth of that of pixels."""

PATCHES = 8
"""Patches of a frame along an axis, unless a pretrained encoder determines them."""


class VideoDiscriminator(nn.Module):
    """Logits of real against generated, for every token of an encoder.

    Args:
        encoder: an encoder of RGB, of any frame size and length; frames are resized and repeated accordingly. Its
            input is widened in place for the differences, with zero weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: VideoMAEModel) -> None:
        super().__init__()
        self.encoder = encoder
        _widen(encoder)
        self.encoder.set_attn_implementation(attention_kind())
        self.head = nn.Sequential(nn.LayerNorm(encoder.config.hidden_size), nn.Linear(encoder.config.hidden_size, 1))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (N, tokens) of frames (N, 5, 3, H, W) in [-1, 1].

        Raises:
            ValueError: there are not five frames.
        """
        if frames.shape[1] != FRAMES:
            raise ValueError(f"frames are {tuple(frames.shape)}, expected (N, {FRAMES}, 3, H, W)")
        config = self.encoder.config
        size = config.image_size
        if frames.shape[-1] != size:
            flat = functional.interpolate(frames.flatten(0, 1), size, mode="bilinear", antialias=True)
            frames = flat.unflatten(0, frames.shape[:2])
        indices = torch.linspace(0, FRAMES - 1, config.num_frames, device=frames.device).round().long()
        pixels = ((frames + 1) / 2 - self.mean) / self.std
        changes = CHANGE_SCALE * pixels.diff(dim=1, prepend=pixels[:, :1])
        inputs = torch.cat([pixels, changes], 2)[:, indices]
        return self.head(self.encoder(inputs).last_hidden_state)[..., 0]


def _widen(encoder: VideoMAEModel) -> None:
    """Double the input channels of an encoder in place, with zero weights for the second half."""
    patches = encoder.embeddings.patch_embeddings
    narrow = patches.projection
    wide = nn.Conv3d(2 * narrow.in_channels, narrow.out_channels, narrow.kernel_size, narrow.stride)
    weights = narrow.state_dict()
    weights["weight"] = torch.cat([weights["weight"], torch.zeros_like(weights["weight"])], 1)
    wide.load_state_dict(weights)
    patches.projection = wide
    patches.num_channels = encoder.config.num_channels = wide.in_channels


def small_video_discriminator(size: int, width: int, layers: int) -> VideoDiscriminator:
    """An untrained discriminator of five frames of ``size`` x ``size`` px.

    Args:
        size: a multiple of 8.
        width: width of the tokens, a multiple of 32.
        layers: number of layers of the encoder.
    """
    config = VideoMAEConfig(
        image_size=size,
        patch_size=size // PATCHES,
        num_frames=FRAMES,
        tubelet_size=1,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        use_mean_pooling=True,
    )
    return VideoDiscriminator(VideoMAEModel(config))


def pretrained_video_discriminator(name: str) -> VideoDiscriminator:
    """A discriminator on a pretrained encoder, which is fine-tuned.

    Args:
        name: a folder or a hub id of a VideoMAE.

    Raises:
        UserError: it cannot be loaded.
    """
    encoder = load_named(
        VideoMAEModel,
        name,
        "a VideoMAE",
        "name a folder or a hub id of one in token_transformer.discriminator_pretrained",
    )
    return VideoDiscriminator(encoder)
