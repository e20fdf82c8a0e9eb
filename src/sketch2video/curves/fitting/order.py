"""The canonical form of strokes through time: the start of closed ones, and the order and slots of all."""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.sequence import cosines
from sketch2video.curves.fitting.series import LEFT, POINTS, close, project


def alignment(ring: np.ndarray, other: np.ndarray) -> float:
    """Rotation of ``other``, in samples, that aligns it with ``ring``: both (n, 2), closed, evenly sampled.

    The least mean square distance after a translation is at the peak of the circular cross-correlation. A parabola
    locates the peak between samples, since a start that jumps between samples would make the whole stroke jitter.
    """
    z, w = (points @ [1, 1j] for points in (ring, other))
    likeness = np.fft.ifft(np.conj(np.fft.fft(z - z.mean())) * np.fft.fft(w - w.mean())).real
    top = int(np.argmax(likeness))
    before, peak, after = (float(likeness[(top + i) % len(z)]) for i in (-1, 0, 1))
    return top + 0.5 * (before - after) / min(before - 2 * peak + after, -1e-9)


def rotate(ring: np.ndarray, by: float) -> np.ndarray:
    """Start a closed ring of samples (..., n, 2) ``by`` samples later, linearly interpolated."""
    n = ring.shape[-2]
    at = (np.arange(n) + by) % n
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return ring[..., low % n, :] * (1 - part) + ring[..., (low + 1) % n, :] * part


def topmost_start(rings: np.ndarray) -> int:
    """Index of the point at which the median of closed outlines (M, n, 2), whose points correspond, is topmost.

    The topmost point of a round outline is ill-defined in a single frame, but well-defined for several together.
    """
    centred = rings - rings.mean(1, keepdims=True)
    usual = np.median(centred / (np.abs(centred).mean((1, 2), keepdims=True) + 1e-9), axis=0)
    return int(np.argmin(usual[:, 1] + LEFT * usual[:, 0]))


def start_canonically_for_life(coefficients: np.ndarray, life: np.ndarray, closed: np.ndarray) -> None:
    """Start every closed stroke, over its whole life, where its median outline is topmost; in place.

    Args:
        coefficients: (T, S, 2, K), px.
        life: (T, S), index of a stroke's life; 0: none.
        closed: (T, S), non-zero for closed strokes.
    """
    harmonics = coefficients.shape[-1]
    n = max(POINTS, 4 * harmonics)
    basis = cosines(n, harmonics, midpoints=True)
    for name in np.unique(life[closed > 0]):
        lived = life == name
        rings = np.matmul(basis, coefficients[lived].swapaxes(-1, -2))
        start = topmost_start(rings)
        if start not in (0, n - 1):
            used = coefficients[lived] != 0
            coefficients[lived] = close(project(rotate(rings, start), harmonics) * used)


def in_order(coefficients: np.ndarray, life: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign strokes to slots: earlier births first, then the longer ones, each to the first free slot.

    A slot is empty for a frame between two lives if possible, so that they do not look like one stroke that jumps.

    Returns:
        Coefficients (T, S, 2, K) and visibility (T, S) float32.
    """
    frames, strokes, _, harmonics = coefficients.shape
    names = [int(name) for name in np.unique(life) if name]
    times = {name: np.flatnonzero((life == name).any(1)) for name in names}
    births = np.array([coefficients[times[name][0]][life[times[name][0]] == name][0] for name in names])
    points = np.matmul(births.reshape(-1, 2, harmonics), cosines(POINTS, harmonics).T)
    lengths = np.hypot(*np.moveaxis(np.diff(points, axis=-1), 1, 0)).sum(-1)
    out, taken = np.zeros_like(coefficients), np.zeros((frames + 2, strokes), bool)  # a frame before and one after
    visibility = np.zeros((frames, strokes), np.float32)
    for i in sorted(range(len(names)), key=lambda i: (times[names[i]][0], -lengths[i], names[i])):
        lived = times[names[i]]
        first, last = lived[0], lived[-1]
        rested = np.flatnonzero(~taken[first : last + 3].any(0))
        free = rested if len(rested) else np.flatnonzero(~taken[first + 1 : last + 2].any(0))
        slot = free[0]
        taken[first + 1 : last + 2, slot] = True
        out[lived, slot] = coefficients[life == names[i]]
        visibility[lived, slot] = 1.0
    return out, visibility
