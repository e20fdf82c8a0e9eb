"""The frame autoencoder, whose decoder may be conditioned on a control picture such as the sketch.

The latent need not encode what the sketch contains: given the ink at every scale, the decoder puts edges where the
drawing has them, and a latent of a few channels encodes colour, shading and background. Resolution changes by
space-to-depth (:mod:`~sketch2video.autoencoder.folding`), and pixels are mixtures of smooth colours
(:mod:`~sketch2video.autoencoder.colour_layers`). The posterior is a diagonal Gaussian as in Kingma & Welling 2014, with
a small KL weight that keeps the scale of the latent bounded (Rombach et al. 2022, section 3.1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.colour_layers import ColourLayers
from sketch2video.autoencoder.folding import ResidualBlock, channels_by_level, encoder_trunk, enlargement
from sketch2video.autoencoder.texture import StaticTexture
from sketch2video.networks.loading import load_frozen

LOG_VARIANCE_RANGE = (-20.0, 10.0)


class Posterior(NamedTuple):
    """A diagonal Gaussian over latents, both (N, C, h, w)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrised sample for standard normal ``noise`` of the mean's shape."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def kl(self) -> Tensor:
        """Divergence from the standard normal, nats a latent number: scalar (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).mean()


class FrameAutoencoder(ModelMixin, ConfigMixin):
    """Space-to-depth autoencoder of single frames whose decoder is conditioned on a control picture.

    Args:
        latent_channels: C, channels of the latent.
        halvings: the latent is 2**halvings times smaller than the frame along both axes.
        width: channels at the latent's resolution; half of them at each doubling of the resolution.
        control_channels: of the control picture of the decoder: 1 for a sketch, 3 for colours, 0 for none.
        blocks: residual blocks at the latent's resolution, on either side; one at each finer one.
        control: name of these pictures; None: see :func:`~sketch2video.controls.control_of_network`.
        colour_layers: number of colours that a pixel is a mixture of; 0: a convolution gives the pixels.
        fold: pixels along an axis that one position of the finest layers spans, a power of two: larger frames in
            little more time. Pixels of a convolution are folded alike; colours are predicted at these positions.
        fine_width: channels at the full resolution, where the weights of the mixture are predicted.
        texture: whether the texture that the latent cannot hold can be sampled; see
            :mod:`~sketch2video.autoencoder.texture`.
        texture_scale: of the amplitude of a sampled texture.
        edge_contrast: of generated frames; see :class:`~sketch2video.autoencoder.colour_layers.ColourLayers`. Latents
            that were generated are uncertain of where an edge is, and decode to softer ones than those of frames.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        halvings: int = 3,
        width: int = 128,
        control_channels: int = 1,
        blocks: int = 2,
        control: str | None = None,
        colour_layers: int = 0,
        fold: int = 2,
        fine_width: int = 16,
        texture: bool = False,
        texture_scale: float = 1.0,
        edge_contrast: float = 1.0,
    ) -> None:
        super().__init__()
        levels = halvings + 2 - fold.bit_length()
        if fold & (fold - 1) or fold < 2 or levels < 1:
            raise ValueError(f"fold is {fold}, expected a power of two from 2 to 2 ** halvings, {2**halvings}")
        channels = channels_by_level(width, levels)
        self.encoder_in = nn.Conv2d(3 * fold**2, channels[0], 3, padding=1)
        self.encoder = encoder_trunk(channels, blocks)
        self.encoder_out = nn.Conv2d(channels[-1], 2 * latent_channels, 1)

        self.decoder_in = nn.Conv2d(latent_channels, channels[-1], 3, padding=1)
        self.decoder = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        self.control = nn.ModuleList()
        for level in reversed(range(levels)):
            if control_channels:
                self.control.append(_ControlFeatures(control_channels, fold * 2**level, channels[level]))
            depth = blocks if level == levels - 1 else 1
            self.decoder.append(nn.Sequential(*(ResidualBlock(channels[level]) for _ in range(depth))))
            if level or not colour_layers:
                self.enlarge.append(enlargement(channels, level, fold))
        if colour_layers:
            self.pixels = ColourLayers(channels[0], fold, colour_layers, fine_width, control_channels)
        self.texture = StaticTexture(channels[0], fold) if texture else None

    def __getattr__(self, name: str) -> Any:
        # diffusers looks attributes up in the config before it looks for modules, and here both have a `control`.
        modules = self.__dict__.get("_modules", {})
        return modules[name] if name in modules else super().__getattr__(name)

    @property
    def last_layer(self) -> Tensor:
        """The weights whose outputs are pixels."""
        if self.config.colour_layers:
            return self.pixels.last_layer
        return cast(Tensor, cast(nn.Sequential, self.enlarge[-1])[0].weight)

    @property
    def factor(self) -> int:
        """How many pixels one latent position spans along an axis."""
        return int(2**self.config.halvings)

    @apply_forward_hook
    def encode(self, frames: Tensor) -> Posterior:
        """The posterior over a frame's latent.

        Args:
            frames: (N, 3, H, W) in [-1, 1]; both sides multiples of :attr:`factor`.

        Raises:
            ValueError: a side cannot be halved often enough.
        """
        if frames.shape[-1] % self.factor or frames.shape[-2] % self.factor:
            raise ValueError(
                f"frames are {tuple(frames.shape[-2:])}, but both sides must be multiples of {self.factor}"
            )
        statistics = self.encoder_out(
            self.encoder(self.encoder_in(functional.pixel_unshuffle(frames, self.config.fold)))
        )
        mean, log_variance = statistics.float().chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE_RANGE))

    @apply_forward_hook
    def decode(
        self,
        latents: Tensor,
        control: Tensor | None = None,
        texture: Tensor | None = None,
        edge_contrast: float = 1.0,
    ) -> Tensor:
        """Decode latents.

        Args:
            latents: (N, C, h, w).
            control: (N, control_channels, H, W) in [0, 1]; a blank picture if None. Ignored where there are no such
                channels.
            texture: (N, 1, H, W), see :meth:`StaticTexture.field`, the same for all frames of a video; None: frames
                are without texture.
            edge_contrast: of the colour layers, if there are any.

        Returns:
            (N, 3, H, W), about [-1, 1]; not clamped, so that a loss has a gradient everywhere.

        Raises:
            ValueError: a texture is given to an autoencoder without one.
        """
        channels = self.config.control_channels
        if channels and control is None:
            height, width = latents.shape[-2] * self.factor, latents.shape[-1] * self.factor
            control = latents.new_zeros(len(latents), channels, height, width)
        features = self.features(latents, control)
        pixels = self.pixels_of(features, control, edge_contrast)
        if texture is None:
            return pixels
        if self.texture is None:
            raise ValueError("a texture was given to an autoencoder without one; make it with texture=True")
        return pixels + self.texture.amplitude(features) * texture

    def sample_texture(
        self, latents: Tensor, generator: torch.Generator | list[torch.Generator] | None
    ) -> Tensor | None:
        """Random texture of videos for :meth:`decode`, (N, 1, H, W) for latents (N, ..., h, w); None without one."""
        if self.texture is None:
            return None
        shape = len(latents), 1, *(side * self.factor for side in latents.shape[-2:])
        noise: Tensor = randn_tensor(shape, generator=generator, device=latents.device)
        return self.config.texture_scale * self.texture.field(noise)

    def features(self, latents: Tensor, control: Tensor | None) -> Tensor:
        """Features at the decoder's finest positions: (N, channels, H / fold, W / fold).

        Args:
            latents: (N, C, h, w).
            control: (N, control_channels, H, W) in [0, 1]; ignored, or None, where there are no such channels.
        """
        x = self.decoder_in(latents)
        for level, blocks in enumerate(self.decoder):
            if level:
                x = self.enlarge[level - 1](x)
            if self.config.control_channels:
                x = x + self.control[level](control)
            x = blocks(x)
        return cast(Tensor, x)

    def pixels_of(self, features: Tensor, control: Tensor | None, edge_contrast: float = 1.0) -> Tensor:
        """Frames (N, 3, H, W) of these features, without texture; see :meth:`features`."""
        if self.config.colour_layers:
            return cast(Tensor, self.pixels(features, control, edge_contrast))
        return cast(Tensor, self.enlarge[-1](features))

    def forward(self, frames: Tensor, control: Tensor | None = None) -> Tensor:
        """Reconstruction of frames (N, 3, H, W) through the posterior's mean."""
        return self.decode(self.encode(frames).mean, control)


class _ControlFeatures(nn.Sequential):
    """The control picture folded to a decoder level's resolution: without loss, as channels."""

    def __init__(self, control_channels: int, fold: int, channels: int) -> None:
        super().__init__(nn.PixelUnshuffle(fold), nn.Conv2d(control_channels * fold**2, channels, 3, padding=1))


def load_autoencoder(folder: Path | str) -> FrameAutoencoder:
    """A trained autoencoder, frozen and in evaluation mode.

    Raises:
        UserError: the folder is missing or damaged.
    """
    return load_frozen(FrameAutoencoder, folder, "train_autoencoder")
