"""Pixels as a mixture of smooth colours: sharp edges from a decoder whose colours come from a coarse latent.

    x(p) = sum_k w_k(p) c_k(p),    w(p) = softmax over k

The colours c_k are predicted at a fraction of the resolution and interpolated, the weights w_k at every pixel from the
features and the control picture. An edge is then a step of the weights, whose position the drawing gives, between two
colours, which the latent gives. A mixture of layers by a softmax is how Locatello et al. 2020, "Object-Centric Learning
with Slot Attention" (section 4.2), decode objects.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.folding import ResidualBlock


class ColourLayers(nn.Module):
    """From features at a fraction of the resolution to pixels.

    Args:
        channels: C, of the features.
        scale: of the pixels' resolution to that of the features.
        layers: K, number of colours of a pixel.
        width: channels at the full resolution.
        control_channels: of the control picture; 0 for none.
    """

    def __init__(self, channels: int, scale: int, layers: int, width: int, control_channels: int) -> None:
        super().__init__()
        self.scale, self.layers = scale, layers
        self.colours = nn.Conv2d(channels, 3 * layers, 3, padding=1)
        self.fine = nn.Sequential(nn.Conv2d(channels, scale**2 * width, 1), nn.PixelShuffle(scale))
        self.control = nn.Conv2d(control_channels, width, 3, padding=1) if control_channels else None
        self.block = ResidualBlock(width, local=True)
        self.weights = nn.Conv2d(width, layers, 3, padding=1)

    @property
    def last_layer(self) -> Tensor:
        """The weights of the layer that predicts the mixture."""
        return self.weights.weight

    def forward(self, features: Tensor, control: Tensor | None, edge_contrast: float = 1.0) -> Tensor:
        """Features (N, C, H / scale, W / scale) and the control picture (N, control_channels, H, W): (N, 3, H, W).

        Args:
            features, control: as above; control is ignored, or None, where there are no such channels.
            edge_contrast: factor of the logits of w; above 1 the steps between colours are steeper.
        """
        x = self.fine(features)
        if self.control is not None:
            x = x + self.control(cast(Tensor, control))
        weights = (edge_contrast * self.weights(functional.silu(self.block(x)))).softmax(1)
        colours = functional.interpolate(self.colours(features), scale_factor=float(self.scale), mode="bilinear")
        return (weights.unsqueeze(2) * colours.unflatten(1, (self.layers, 3))).sum(1)
