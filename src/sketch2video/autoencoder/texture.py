"""Static texture that the latent cannot hold: its amplitude is predicted, and the texture itself is sampled.

    x_t(p) = y_t(p) + a_t(p) n(p)

The mean y_t of a decoder is smooth where the latent has fewer numbers than the texture of a surface. The field n is
grey Gaussian noise, the same in all frames of a video, whose power by spatial frequency is that of the residuals x - y.
The amplitude a is predicted from the decoder's features, so that a_t a_s is the covariance of the residuals of two
frames t and s of a clip. What moves has no covariance between frames and gets no texture, which would stand still.
Video codecs replace what they cannot code in the same way (Norkin & Birkbeck 2018, "Film Grain Synthesis for AV1 Video
Codec", section 2).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.processes import average

FREQUENCIES = 25
"""Number of spatial frequencies of the power, from 0 to ``HIGHEST``."""

HIGHEST = 0.75
"""Cycles a pixel; the highest frequency of a grid of pixels is 0.71."""


class StaticTexture(nn.Module):
    """The amplitude and the power of the texture of a decoder's frames.

    Args:
        channels: C, of the features.
        scale: of the pixels' resolution to that of the features.
        width: channels of the hidden layer.
    """

    power: Tensor

    def __init__(self, channels: int, scale: int, width: int = 16) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, 1, 3, padding=1)
        )
        nn.init.constant_(cast(Tensor, self.layers[2].bias), -4.0)  # about 2% of the range
        self.register_buffer("power", torch.ones(FREQUENCIES))

    def amplitude(self, features: Tensor) -> Tensor:
        """a of frames with these features (N, C, H / scale, W / scale): (N, 1, H, W), at least 0."""
        amplitude = functional.softplus(self.layers(features).float())
        return functional.interpolate(amplitude, scale_factor=float(self.scale), mode="bilinear")

    def field(self, noise: Tensor) -> Tensor:
        """n of white noise (..., H, W): the same shape, with the measured power; its variance is at most 1."""
        frequency = frequencies(*noise.shape[-2:]).to(noise.device)
        gain = interpolated(self.power.to(noise.device), frequency).sqrt()
        return torch.fft.ifft2(torch.fft.fft2(noise.float()) * gain).real

    @torch.no_grad()
    def set_power(self, first: Tensor, second: Tensor, factor: int) -> None:
        """Measure the power of the texture.

        Args:
            first, second: (N, 1, H, W), residuals of two frames each of N clips.
            factor: pixels that one latent position spans along an axis. Frequencies that the latents can hold, below
                one cycle in two positions, have no power.
        """
        cross = torch.fft.fft2(first.double()) * torch.fft.fft2(second.double()).conj()
        covariance = cross.real.mean((0, 1)) / first.shape[-2:].numel()  # mean over frequencies: that of the pixels
        frequency = frequencies(*first.shape[-2:]).to(covariance.device)
        nearest = (frequency / HIGHEST * (FREQUENCIES - 1)).round().long().flatten()
        total = torch.zeros(FREQUENCIES, dtype=covariance.dtype, device=covariance.device)
        counts = total.index_add(0, nearest, torch.ones_like(covariance).flatten())
        power = (total.index_add(0, nearest, covariance.flatten()) / counts.clamp_min(1)).clamp_min(0).float()
        whole = interpolated(power, frequency).mean().clamp_min(1e-12)
        held = torch.linspace(0, HIGHEST, FREQUENCIES, device=power.device) < 0.5 / factor
        self.power.copy_((power / whole).masked_fill(held, 0.0))


def frequencies(height: int, width: int) -> Tensor:
    """Spatial frequencies of a discrete Fourier transform of a picture, cycles a pixel: (height, width)."""
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])


def interpolated(power: Tensor, frequency: Tensor) -> Tensor:
    """``power`` (FREQUENCIES,) at any frequencies from 0 to ``HIGHEST``, linearly: their shape."""
    place = frequency / HIGHEST * (FREQUENCIES - 1)
    below = place.floor().long().clamp(0, FREQUENCIES - 2)
    return torch.lerp(power[below], power[below + 1], (place - below).to(power.dtype))


def covariance_loss(first: Tensor, second: Tensor, residuals: tuple[Tensor, Tensor]) -> Tensor:
    """How far products of amplitudes are from the covariance of residuals, a scalar; its minimum is there.

    Args:
        first, second: (N, 1, H, W), amplitudes of two frames each of N clips.
        residuals: of these frames, (N, 1, H, W) each, without a gradient.
    """
    variance = average(torch.stack(residuals).square().mean()).clamp_min(1e-12)  # that of the whole batch
    return ((first * second - residuals[0] * residuals[1]) / variance).square().mean()
