"""A clip as a set of strokes, the representation of the curve VAE.

A *stroke* here is one lifetime of a slot of a :class:`~sketch2video.curves.CurveSequence`: from the frame in which it
appears to the one in which it disappears. Strokes have no order. Where a stroke is not visible, it is held at its
nearest visible state, so that it is a function of the whole clip, and birth and death are two separate numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sketch2video.curves.equation.sequence import VISIBLE

MIN_SIZE = 1e-3
"""Frame widths; a smaller stroke is a dot without a shape."""


class StrokeSet(NamedTuple):
    """Strokes of N clips with T frames, S strokes each at most.

    Attributes:
        coefficients: (N, S, T, 2, K) float32, frame widths, held where a stroke is not visible; zero where there is no
            stroke.
        life: (N, S, 2) float32, birth and death as shares of the clip in [0, 1]. A stroke is visible in the frames
            whose middle is between them.
        present: (N, S) bool, whether there is a stroke.
    """

    coefficients: Tensor
    life: Tensor
    present: Tensor

    @property
    def visible(self) -> Tensor:
        """The frames in which each stroke is visible: (N, S, T) bool."""
        return alive(self.life, self.coefficients.shape[2]) & self.present[..., None]


class Parts(NamedTuple):
    """Components of strokes, any leading axes.

    Attributes:
        position: (..., 2) centroid, frame widths.
        log_size: (...,) natural logarithm of the root mean square distance from the centroid, frame widths.
        shape: (..., 2, K - 1) harmonics k >= 1 over the size.
    """

    position: Tensor
    log_size: Tensor
    shape: Tensor

    def coefficients(self) -> Tensor:
        """The strokes of these components: (..., 2, K) frame widths."""
        return torch.cat([self.position[..., None], self.shape * self.log_size.exp()[..., None, None]], dim=-1)


def decompose(coefficients: Tensor) -> Parts:
    """Split coefficients (..., 2, K) into position, size and shape; the inverse of :meth:`Parts.coefficients`.

    By Parseval the mean square distance of a stroke from its centroid is half the sum of its squared harmonics k >= 1.
    """
    position, harmonics = coefficients[..., 0], coefficients[..., 1:]
    size = harmonics.square().sum((-2, -1)).div(2).sqrt().clamp_min(MIN_SIZE)
    return Parts(position, size.log(), harmonics / size[..., None, None])


def frame_times(frames: int, device: torch.device | None = None) -> Tensor:
    """The middles of T frames as shares of a clip: (T,), from 1 / 2T to 1 - 1 / 2T."""
    return (torch.arange(frames, device=device) + 0.5) / frames


def time_basis(times: Tensor, terms: int) -> Tensor:
    """cos(m pi t) for ``times`` (T,), m = 0 ... terms - 1: (T, terms).

    On the middles of T frames these functions are orthogonal, as those of the pen position are.
    """
    return torch.cos(math.pi * times[:, None] * torch.arange(terms, device=times.device, dtype=times.dtype))


def to_series(values: Tensor, terms: int) -> Tensor:
    """Least-squares coefficients in time: (..., T, F) sampled at the middles of T frames -> (..., terms, F).

    With fewer frames than terms the solution is the one of least norm.
    """
    with torch.autocast(values.device.type, enabled=False):
        basis = time_basis(frame_times(values.shape[-2], values.device), terms)
        return torch.einsum("jt,...tf->...jf", torch.linalg.pinv(basis), values.float())


def from_series(series: Tensor, times: Tensor) -> Tensor:
    """Series in time (..., terms, F) at ``times`` (T,): (..., T, F)."""
    with torch.autocast(series.device.type, enabled=False):
        return torch.einsum("tj,...jf->...tf", time_basis(times, series.shape[-2]), series.float())


def alive(life: Tensor, frames: int) -> Tensor:
    """The frames in which strokes are visible, by birth and death (..., 2): (..., T) bool."""
    times = frame_times(frames, life.device)
    return (life[..., :1] <= times) & (times < life[..., 1:])


def rms_distance(difference: Tensor) -> Tensor:
    """Root mean square distance between the points of two curves, from the difference of their coefficients.

    Parseval: ``|d_0|^2 + sum_k |d_k|^2 / 2``. It is at least the mean distance, and smooth at zero.

    Args:
        difference: (..., 2, K).

    Returns:
        (...,) in the unit of the coefficients.
    """
    energy = difference.square().sum(-2)
    return (energy[..., 0] + energy[..., 1:].sum(-1) / 2 + 1e-10).sqrt()


def stroke_sets(coefficients: np.ndarray, visibility: np.ndarray, limit: int) -> StrokeSet:
    """Curves of clips as sets of strokes, the most ink first; strokes beyond the limit are dropped.

    Args:
        coefficients: (N, T, S, 2, K) float32, frame widths.
        visibility: (N, T, S) in [0, 1].
        limit: S of the result.
    """
    sets = [_strokes_of(*clip, limit) for clip in zip(coefficients, visibility, strict=True)]
    held, life, present = (torch.from_numpy(np.stack(parts)) for parts in zip(*sets, strict=True))
    return StrokeSet(held, life, present)


def lives_of(visibility: np.ndarray) -> np.ndarray:
    """Slot, first frame and end (the frame after the last) of every lifetime in visibility (T, S): int64 (L, 3)."""
    seen = np.pad(visibility.T > VISIBLE, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(seen, axis=1)
    slots, births = np.nonzero(steps == 1)
    return np.stack([slots, births, np.nonzero(steps == -1)[1]], axis=1)


def _strokes_of(
    coefficients: np.ndarray, visibility: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frames, _, _, harmonics = coefficients.shape
    slots, births, ends = lives_of(visibility).T
    frame = np.clip(np.arange(frames), births[:, None], ends[:, None] - 1)
    held = coefficients[frame, slots[:, None]]  # (L, T, 2, K)
    drawn = (np.arange(frames) >= births[:, None]) & (np.arange(frames) < ends[:, None])
    ink = (np.sqrt((held[..., 1:] ** 2).sum((2, 3))) * drawn).sum(1)
    most = np.argsort(-ink, kind="stable")[:limit]
    out = np.zeros((limit, frames, 2, harmonics), np.float32)
    life, present = np.zeros((limit, 2), np.float32), np.zeros(limit, bool)
    out[: len(most)], present[: len(most)] = held[most], True
    life[: len(most)] = np.stack([births, ends], 1)[most] / frames
    return out, life, present


def strokes_needed(counts: np.ndarray, limit: int, share: float = 0.99) -> int:
    """The smallest number of strokes per clip, from 1 to ``limit``, that includes ``share`` of all lifetimes.

    Args:
        counts: (N,) lifetimes of each clip.
        limit: largest number.
        share: in [0, 1].
    """
    for strokes in range(1, limit):
        if np.minimum(counts, strokes).sum() >= share * counts.sum():
            return strokes
    return limit


def into_slots(coefficients: Tensor, visible: Tensor, slots: int, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Assign strokes to slots: earlier births first, then the longer, each to the first free slot.

    A slot is empty for a frame between two strokes if possible, so that they do not look like one stroke that jumps.
    Where more strokes are visible than there are slots, those with the least ink are dropped.

    Args:
        coefficients: (S, T, 2, K) of one clip, frame widths.
        visible: (S, T) bool; every run of frames is a separate lifetime.
        slots: of the result.
        first: (S,) bool, strokes that are assigned first, in their order; None: none.

    Returns:
        (T, slots, 2, K), zero where nothing is visible, and (T, slots) float32 visibility, 0 or 1.
    """
    frames, harmonics = visible.shape[1], coefficients.shape[-1]
    lives = lives_of(visible.T.cpu().float().numpy()).tolist()
    spread = coefficients[..., 1:].square().sum((-2, -1)).sqrt().cpu()
    ahead = [False] * len(visible) if first is None else first.tolist()

    def rank(life: int) -> tuple[bool, int, int, float, int]:
        stroke, birth, _ = lives[life]
        return not ahead[stroke], stroke if ahead[stroke] else 0, birth, -float(spread[stroke, birth]), stroke

    def worth(life: int) -> tuple[bool, float]:
        stroke, birth, end = lives[life]
        return ahead[stroke], float(spread[stroke, birth:end].sum())

    order = sorted(range(len(lives)), key=rank)
    while not isinstance(found := _slots_of([(life, *lives[life][1:]) for life in order], frames, slots), dict):
        _, birth, end = lives[found]
        order.remove(min((life for life in order if lives[life][1] < end and lives[life][2] > birth), key=worth))
    out = coefficients.new_zeros(frames, slots, 2, harmonics)
    seen = coefficients.new_zeros(frames, slots)
    for life, slot in found.items():
        stroke, birth, end = lives[life]
        out[birth:end, slot] = coefficients[stroke, birth:end]
        seen[birth:end, slot] = 1.0
    return out, seen


def _slots_of(lives: Sequence[tuple[int, int, int]], frames: int, slots: int) -> dict[int, int] | int:
    """The slot of each life (name, first frame, end), or the name of the first without a free one."""
    taken = np.zeros((frames + 2, slots), bool)  # a frame before and one after
    found = {}
    for name, birth, end in lives:
        free = np.flatnonzero(~taken[birth : end + 2].any(0))
        if not len(free):
            free = np.flatnonzero(~taken[birth + 1 : end + 1].any(0))
        if not len(free):
            return name
        taken[birth + 1 : end + 1, free[0]] = True
        found[name] = int(free[0])
    return found


def known_numbers(numbers: int, time_terms: int) -> int:
    """Size of the prior's condition on a known stroke; see :func:`~sketch2video.curve_vae.known.describe`."""
    return 1 + numbers + 2 * time_terms
