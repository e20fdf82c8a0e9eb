"""Key frames of strokes: a stroke that is changed at some frames, and follows in between.

A stroke has base coefficients of every frame. At a key frame it has the key's coefficients instead. Elsewhere it has
base(t) + D(t): the difference D = key - base of the key frames is interpolated linearly between neighbouring key
frames, and constant before the first and after the last one. So one key frame moves the stroke alike in all frames,
whatever its own motion is; between two of them only what is between them changes. Everything is linear in the
coefficients, hence also in the points of the curve.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence


def with_key_frames(base: np.ndarray, keys: Mapping[int, np.ndarray]) -> np.ndarray:
    """A stroke with its key frames.

    Args:
        base: (T, 2, K), frame widths.
        keys: coefficients (2, K') by index of their frame, in [0, T); K' may differ from K.

    Returns:
        (T, 2, max(K, K')), with the dtype of ``base``; exactly the key's coefficients at each key frame.

    Raises:
        ValueError: a key frame is out of range, or the shapes are inconsistent.
    """
    base = np.asarray(base)
    if base.ndim != 3 or base.shape[1] != 2:
        raise ValueError(f"the base must be (T, 2, K), not {base.shape}")
    for frame, key in keys.items():
        if not 0 <= frame < len(base):
            raise ValueError(f"there is a key frame {frame}, but the frames are 0 to {len(base) - 1}")
        if np.ndim(key) != 2 or len(key) != 2:
            raise ValueError(f"the coefficients of key frame {frame} must be (2, K), not {np.shape(key)}")
    if not keys:
        return base.copy()
    harmonics = max(base.shape[-1], *(np.shape(key)[-1] for key in keys.values()))
    base = _padded(base, harmonics)
    at = np.array(sorted(keys))
    wanted = np.stack([_padded(np.asarray(keys[frame], base.dtype), harmonics) for frame in at.tolist()])
    difference = (wanted.astype(np.float64) - base[at]).reshape(len(at), -1)
    out = base + _interpolated(np.arange(len(base)), at, difference).reshape(base.shape).astype(base.dtype)
    out[at] = wanted
    return out


def resampled(curves: CurveSequence, frames: int) -> CurveSequence:
    """The same motion in another number of frames.

    Coefficients are interpolated linearly between neighbouring frames in which a stroke is visible; elsewhere they are
    those of the nearest frame, as the visibility is everywhere.

    Args:
        curves: the drawing, T frames.
        frames: of the result, at least 1; its first and last frame are those of the drawing.
    """
    if frames == len(curves):
        return curves
    at = np.linspace(0, len(curves) - 1, frames)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(curves) - 1)
    part = np.asarray(at - low, np.float32)[:, None, None, None]
    nearest = np.round(at).astype(int)
    both = (curves.visible[low] & curves.visible[high])[..., None, None]
    between = curves.coefficients[low] * (1 - part) + curves.coefficients[high] * part
    return CurveSequence(np.where(both, between, curves.coefficients[nearest]), curves.visibility[nearest])


def _padded(coefficients: np.ndarray, harmonics: int) -> np.ndarray:
    missing = harmonics - coefficients.shape[-1]
    return np.pad(coefficients, [(0, 0)] * (coefficients.ndim - 1) + [(0, missing)])


def _interpolated(frames: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (M, D) at ascending positions ``at`` (M,), linear in between and constant outside: (T, D)."""
    right = np.clip(np.searchsorted(at, frames), 1, max(len(at) - 1, 1))
    left, right = right - 1, np.minimum(right, len(at) - 1)
    span = np.maximum(at[right] - at[left], 1)
    part = np.clip((frames - at[left]) / span, 0.0, 1.0)[:, None]
    return np.asarray(values[left] * (1 - part) + values[right] * part)
