"""Noise with a temporal spectrum nearer to that of the data, so that still backgrounds stay still.

Latent videos change slowly: their standard deviation falls steeply with the temporal frequency. In white noise, what
distinguishes the frames is hidden until the last steps of the sampling, and a small error of the network there is as
large as the signal. Instead the noise of a clip x of T frames (normalised latents) is

    n = W^-1 e,    W = D^T diag(s_0^-p, ..., s_(T-1)^-p) D,    e ~ N(0, I)

D is the orthonormal DCT-II along time, s_k the data's standard deviation at its frequency k (half cycles a clip), and p
the exponent: 0 is white noise, 1 gives noise and data the same ratio at all frequencies. This is diffusion of W x by
white noise; the network's input is multiplied by W and its output by W^-1, so everything outside sees x.

W acts on each latent position (y, x) by itself, so that positions may differ in it. Far from the drawing nothing moves,
and s_k falls much faster with k. With a mask m of these still positions

    W_yx = D^T diag(s_yx,0^-p, ..., s_yx,(T-1)^-p) D,    s_yx = s^still where m_yx, s^near elsewhere

m is a function of the drawing of the whole video: the same for all its frames and windows, and all terms of guidance.

Most frequencies of slow actions are so weak that they may be left out. With f frames a latent, noise and samples have
only k < T / f: W is zero at the others, W^-1 is its pseudoinverse, and the network works on T / f latents
(:func:`resampled`), on a fraction of the tokens.

Sampling may start from less noise than it was trained for. Over a drawing, which says what moves, little is left to be
chosen that differs between frames: it starts from

    n = W^-1 D^T diag(a_0, ..., a_(T-1)) D e,    a_k = shared for what is slower than an action, changing elsewhere
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor
from torch.nn import functional

LEAST_INK = 0.05
"""Ink that counts as drawn, in [0, 1]."""

MOST_LOST = 0.01
"""Share of the variance of the latents of training clips that may be left out."""

MOST_FRAMES = 4
"""Most frames that share a latent if the spectrum decides: videos may move faster than the training clips."""


@dataclass(frozen=True)
class TimeFilter:
    """W and its inverse for clips of one length.

    Attributes:
        log_gains: log s_k^p of the lowest frequencies; the others are left out. Empty: W is the identity.
        still_log_gains: those at still positions.
        still: (N, 1, h, w) bool, the still positions of clips (N, T, C, h, w); None: ``log_gains`` hold everywhere.
        scales: a_k of these frequencies; empty: 1.
    """

    log_gains: tuple[float, ...] = ()
    still_log_gains: tuple[float, ...] = ()
    still: Tensor | None = None
    scales: tuple[float, ...] = ()

    def whiten(self, clips: Tensor) -> Tensor:
        """W x of clips (N, T, ...), in float32."""
        return self._applied(clips, -1)

    def colour(self, clips: Tensor) -> Tensor:
        """W^-1 z of clips (N, T, ...), in float32."""
        return self._applied(clips, 1)

    def start(self, noise: Tensor) -> Tensor:
        """The whitened clips from which sampling starts, of white noise (N, T, ...), in float32."""
        return _along_time(_matrix(noise.shape[1], self.scales), noise) if self.scales else noise

    def _applied(self, clips: Tensor, power: int) -> Tensor:
        if not self.log_gains:
            return clips
        frames = clips.shape[1]
        found = _along_time(_matrix(frames, _powers(self.log_gains, power)), clips)
        if self.still is None:
            return found
        still = _along_time(_matrix(frames, _powers(self.still_log_gains, power)), clips)
        return torch.where(self.still[:, None], still, found)


IDENTITY = TimeFilter()


@dataclass(frozen=True)
class TemporalSpectrum:
    """The spectrum of the training clips.

    Attributes:
        deviations: s_k of the normalised latents for k = 0 ... T - 1 half cycles a clip; see
            :func:`temporal_deviations`.
        exponent: p.
        near_deviations, still_deviations: s_k of the positions near the drawing and of the still ones, used where there
            is a mask; empty: ``deviations`` hold for both.
        frames_per_latent: f; clips of T frames have the T / f lowest frequencies only.
        noise_scales: a of frequencies below half a cycle an action, and of all others; see :meth:`TimeFilter.start`.
    """

    deviations: tuple[float, ...]
    exponent: float
    near_deviations: tuple[float, ...] = ()
    still_deviations: tuple[float, ...] = ()
    frames_per_latent: int = 1
    noise_scales: tuple[float, float] = (1.0, 1.0)

    def filter(self, frames: int, window: int | None = None, still: Tensor | None = None) -> TimeFilter:
        """W for videos of another length.

        A video of more or fewer frames shows the same action at another frame rate: s_k is a function of the frequency
        in cycles an action, times the square root of the number of frames an action. A video longer than ``window``
        shows several actions, each as long as the window.

        Args:
            frames: T.
            window: frames of an action, if the video may have several; None: it shows one.
            still: (N, 1, h, w) bool, the still positions; see :func:`still_positions`. None: ``deviations`` hold
                everywhere.
        """
        kept, scales = latents_of(frames, self.frames_per_latent), self._scales(frames, window)
        if not self.exponent:
            gains = (0.0,) * kept if kept < frames else ()
            return TimeFilter(gains, scales=scales) if gains or scales else IDENTITY
        if still is None or not self.still_deviations:
            return TimeFilter(self._log_gains(self.deviations, frames, window), scales=scales)
        near, far = (self._log_gains(s, frames, window) for s in (self.near_deviations, self.still_deviations))
        return TimeFilter(near, far, still, scales)

    def _scales(self, frames: int, window: int | None) -> tuple[float, ...]:
        if self.noise_scales == (1.0, 1.0):
            return ()
        shared = ceil(_actions(frames, window))
        return tuple(self.noise_scales[k >= shared] for k in range(frames))

    def _log_gains(self, deviations: tuple[float, ...], frames: int, window: int | None) -> tuple[float, ...]:
        known = len(deviations)
        actions = _actions(frames, window)
        logs = np.interp(np.arange(frames) / actions, np.arange(known), np.log(deviations))
        density = frames / actions / known
        gains = self.exponent * (logs + 0.5 * np.log(density))
        return tuple(gains[: latents_of(frames, self.frames_per_latent)].tolist())


def _actions(frames: int, window: int | None) -> float:
    """Number of actions of a video; see :meth:`TemporalSpectrum.filter`."""
    return max(1.0, frames / window) if window else 1.0


def latents_of(frames: int, frames_per_latent: int) -> int:
    """Number of latents of so many frames."""
    return ceil(frames / frames_per_latent)


def most_frames_per_latent(deviations: Sequence[float]) -> int:
    """The f up to ``MOST_FRAMES`` with the fewest latents that leaves out at most ``MOST_LOST`` of the variance.

    Args:
        deviations: s_k of the training clips, of all T frequencies.
    """
    power = np.square(np.asarray(deviations, np.float64))
    counts = {f: latents_of(len(power), f) for f in range(1, MOST_FRAMES + 1)}
    options = [f for f, kept in counts.items() if power[kept:].sum() <= MOST_LOST * power.sum()]
    return min(options, key=lambda f: (counts[f], f))


def resampled(clips: Tensor, frames: int) -> Tensor:
    """Clips (N, T, ...) at another number of frames, with their lowest frequencies: float32 (N, frames, ...).

    The map is orthonormal: white noise stays white, of the same variance, and from fewer frames to more and back is the
    identity. A constant c becomes c sqrt(T / frames).
    """
    if clips.shape[1] == frames:
        return clips
    return _along_time(_resampling(clips.shape[1], frames), clips)


def still_positions(ink: Tensor, factor: int) -> Tensor:
    """Latent positions that the drawing does not come near to at any time of the video.

    A position is still if no pixel of its cell, or within half a cell of it, has more ink than ``LEAST_INK`` in any
    frame. A video without ink is still everywhere.

    Args:
        ink: (N, T, 1, H, W) in [0, 1], H and W multiples of ``factor``: the drawing of the whole video.
        factor: f, how many pixels one latent position spans along an axis.

    Returns:
        (N, 1, H / f, W / f) bool.
    """
    margin = factor // 2
    darkest = functional.max_pool2d(ink.amax(1), factor + 2 * margin, stride=factor, padding=margin)
    return darkest <= LEAST_INK


def power_by_frequency(clip: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Squared DCT-II along time of latents (T, C, h, w), summed over positions: float64 (T, C).

    Args:
        clip: the latents.
        where: bool (h, w), the positions of the sum; None: all.
    """
    power = np.square(dct(clip.astype(np.float64), axis=0, norm="ortho"))
    return power.sum((2, 3)) if where is None else power[..., where].sum(-1)


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


def _along_time(matrix: np.ndarray, clips: Tensor) -> Tensor:
    """A matrix (K, T) times clips (N, T, ...): float32 (N, K, ...)."""
    with torch.autocast(clips.device.type, enabled=False):  # rounded to bf16, W^-1 W would not be the identity
        found = torch.as_tensor(matrix, device=clips.device) @ clips.float().flatten(2)
    return found.view(len(clips), len(matrix), *clips.shape[2:])


@lru_cache(maxsize=32)
def _matrix(frames: int, gains: tuple[float, ...]) -> np.ndarray:
    """D^T diag(gains) D with the lowest frequencies."""
    transform = _dct(frames)[: len(gains)]
    return (transform.T @ (np.asarray(gains)[:, None] * transform)).astype(np.float32)


def _powers(logarithms: tuple[float, ...], power: int) -> tuple[float, ...]:
    return tuple(np.exp(power * np.asarray(logarithms)).tolist())


@lru_cache(maxsize=32)
def _resampling(frames: int, others: int) -> np.ndarray:
    kept = min(frames, others)
    return (_dct(others)[:kept].T @ _dct(frames)[:kept]).astype(np.float32)


def _dct(frames: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix, one row a frequency."""
    return np.asarray(dct(np.eye(frames), axis=0, norm="ortho"))
