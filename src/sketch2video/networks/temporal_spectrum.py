"""Noise with a temporal spectrum nearer to that of the data, so that still backgrounds stay still.

Latent videos change slowly: their standard deviation falls steeply with the temporal frequency. In white noise, what
distinguishes the frames is hidden until the last steps of the sampling, and a small error of the network there is as
large as the signal. Instead the noise of a clip x of T frames (normalised latents) is

    n = W^-1 e,    W = D^T diag(s_0^-p, ..., s_(T-1)^-p) D,    e ~ N(0, I)

D is the orthonormal DCT-II along time, s_k the data's standard deviation at its frequency k (half cycles a clip), and p
the exponent: 0 is white noise, 1 gives noise and data the same ratio at all frequencies. This is diffusion of W x by
white noise; the network's input is multiplied by W and its output by W^-1, so everything outside sees x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor


@dataclass(frozen=True)
class TimeFilter:
    """W and its inverse for clips of one length.

    Attributes:
        log_gains: log s_k^p of each frequency; empty: W is the identity.
    """

    log_gains: tuple[float, ...] = ()

    def whiten(self, clips: Tensor) -> Tensor:
        """W x of clips (N, T, ...), in float32."""
        return self._applied(clips, -1)

    def colour(self, clips: Tensor) -> Tensor:
        """W^-1 z of clips (N, T, ...), in float32."""
        return self._applied(clips, 1)

    def _applied(self, clips: Tensor, power: int) -> Tensor:
        if not self.log_gains:
            return clips
        matrix = torch.as_tensor(_matrix(self.log_gains, power), device=clips.device)
        with torch.autocast(clips.device.type, enabled=False):  # rounded to bf16, W^-1 W would not be the identity
            return (matrix @ clips.float().flatten(2)).view_as(clips)


IDENTITY = TimeFilter()


@dataclass(frozen=True)
class TemporalSpectrum:
    """The spectrum of the training clips.

    Attributes:
        deviations: s_k of the normalised latents for k = 0 ... T - 1 half cycles a clip; see
            :func:`temporal_deviations`.
        exponent: p.
    """

    deviations: tuple[float, ...]
    exponent: float

    def filter(self, frames: int, window: int | None = None) -> TimeFilter:
        """W for videos of another length.

        A video of more or fewer frames shows the same action at another frame rate: s_k is a function of the frequency
        in cycles an action, times the square root of the number of frames an action. A video longer than ``window``
        shows several actions, each as long as the window.

        Args:
            frames: T.
            window: frames of an action, if the video may have several; None: it shows one.
        """
        if not self.exponent:
            return IDENTITY
        known = len(self.deviations)
        actions = max(1.0, frames / window) if window else 1.0
        logs = np.interp(np.arange(frames) / actions, np.arange(known), np.log(self.deviations))
        density = frames / actions / known
        return TimeFilter(tuple((self.exponent * (logs + 0.5 * np.log(density))).tolist()))


def power_by_frequency(clip: np.ndarray) -> np.ndarray:
    """Squared DCT-II along time of latents (T, C, h, w), summed over positions: float64 (T, C)."""
    return np.square(dct(clip.astype(np.float64), axis=0, norm="ortho")).sum((2, 3))


def temporal_deviations(power: np.ndarray, positions: int, mean: np.ndarray, std: np.ndarray) -> list[float]:
    """s_k: root of the mean over channels of the variance of standardised latents at each frequency.

    Args:
        power: sum of :func:`power_by_frequency` over clips, (T, C).
        positions: number of summed positions, of all clips together.
        mean, std: of each channel.
    """
    frames = len(power)
    mean_square = power / positions
    mean_square[0] -= frames * np.square(mean)
    return np.sqrt(np.maximum(mean_square / np.square(std), 1e-12).mean(1)).tolist()


@lru_cache(maxsize=32)
def _matrix(logarithms: tuple[float, ...], power: int) -> np.ndarray:
    transform = dct(np.eye(len(logarithms)), axis=0, norm="ortho")
    return (transform.T @ (np.exp(power * np.asarray(logarithms))[:, None] * transform)).astype(np.float32)
