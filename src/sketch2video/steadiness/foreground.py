"""Segmentation of moving objects against the background, without weights.

The frames are aligned along the camera's path. The colour of a background pixel is the most frequent one over the
frames, or, where an object covers it for most of the clip, the one that continues the surrounding background. Pixels
that differ from the background are seeds for GrabCut (Rother et al. 2004), with colour models of the whole clip, so
that objects are also found in frames where they hardly move. The background is then estimated again without the objects
found.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from sketch2video.steadiness.camera import camera_path, is_still, overlap, seen_from, within
from sketch2video.steadiness.light import VIEWS, evenly_lit, spread

LEAST_FRAMES = 2
"""Minimum number of frames for a segmentation by motion."""

_OVERLAP = 0.6
"""Minimum overlap of a frame with the frames from which its background is estimated."""
_ROUNDS = 2
_FLOOR = 2.0
"""Minimum standard deviation of the noise, of 255: rounding and compression."""
_MEDIAN_OF_THREE = 1.26
"""Median of the maximum of three channels of normal noise, in standard deviations."""
_SEED, _HINT = 8.0, 4.0
"""Differences from the background, in standard deviations, for certain and for possible foreground."""
_LEAST_CONTRAST = 12.0
"""Minimum difference of an object from the background, of 255."""
_DARKEST_SHADOW = 0.4
"""Minimum share of the light in a shadow."""
_LEAST_AREA = 0.002
"""Minimum area of an object, as a share of the frame."""
_FREQUENCY = 3.0
"""Weight of the logarithm of a colour's frequency, relative to its distance from the surrounding background."""
_UNSEEN = 4.0
"""Additional cost of a background colour that no frame shows, over that of a colour in half a frame."""
_MODEL_PIXELS = 2**15
"""Approximate number of pixels for the colour models."""
_SQUARE = np.ones((3, 3), np.uint8)
_NO_BOX = (0, 0, 0, 0)
"""GrabCut's box, which is ignored with a trimap."""


class Background(NamedTuple):
    """The background of a frame without the objects.

    Attributes:
        picture: float32 (H, W, 3).
        sigma: float32 (H, W), standard deviation including noise.
        known: bool (H, W), True where any frame shows it.
    """

    picture: np.ndarray
    sigma: np.ndarray
    known: np.ndarray


def moving_foreground(frames: np.ndarray) -> np.ndarray:
    """Segment objects that move against the background, with a static or a moving camera.

    Deterministic and without weights.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2; one shot, without cuts.

    Returns:
        bool (T, H, W), True on the foreground; all False without motion.

    Raises:
        ValueError: shape or dtype is wrong, or there is one frame only.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if len(frames) < LEAST_FRAMES:
        raise ValueError("one frame shows no motion; give two at least")
    path = camera_path(frames)
    if is_still(path):
        # Drift of the background would count as noise, and hide objects.
        frames = np.clip(evenly_lit(frames), 0, 255).round().astype(np.uint8)
    masks = np.zeros(frames.shape[:3], bool)
    for _ in range(_ROUNDS):
        trimaps = np.stack([_trimap(f, g) for f, g in zip(frames, _backgrounds(frames, path, masks), strict=True)])
        masks = _cut_out(frames, trimaps)
        if not masks.any():
            break
    return masks


def _backgrounds(frames: np.ndarray, path: np.ndarray, masks: np.ndarray) -> list[Background]:
    """The background of each frame, without the pixels of the masks (T, H, W), from the overlapping frames."""
    if is_still(path):
        chosen = spread(len(frames))
        background = _background(frames[chosen].astype(np.float32), ~masks[chosen], np.ones(masks[chosen].shape, bool))
        return [background] * len(frames)
    found = []
    for t in range(len(frames)):
        others = _overlapping(path, t, frames.shape[1:3])
        views = np.stack([seen_from(frames[s].astype(np.float32), motion) for s, motion in others.items()])
        inside = np.stack([within(motion, frames.shape[1:3]) for motion in others.values()])
        hidden = np.stack([seen_from(masks[s].astype(np.float32), motion) > 0.01 for s, motion in others.items()])
        found.append(_background(views, inside & ~hidden, inside))
    return found


def _overlapping(path: np.ndarray, middle: int, shape: tuple[int, int]) -> dict[int, np.ndarray]:
    """At most 16 frames, evenly spaced over those that overlap with one, and the homographies from it to each of them.

    The nearest frames alone are not enough: if the camera slowly follows an object, they all hide the same background.
    They are used if too few frames overlap enough. The range of overlapping frames is found by doubling steps, so that
    the time for a frame does not grow with the clip.
    """
    back = np.linalg.inv(path[middle])

    def farthest(towards: int, most: int) -> int:
        found, step = 0, 1
        while found < most:
            step = min(step, most)
            if overlap(path[middle + towards * step] @ back, shape) < _OVERLAP:
                break
            found, step = step, 2 * step
        return middle + towards * found

    first, last = farthest(-1, middle), farthest(1, len(path) - 1 - middle)
    if last - first + 1 < VIEWS:
        first = min(max(middle - VIEWS // 2, 0), max(len(path) - VIEWS, 0))
        last = min(first + VIEWS, len(path)) - 1
    return {first + offset: path[first + offset] @ back for offset in spread(last - first + 1)}


def _background(views: np.ndarray, usable: np.ndarray, inside: np.ndarray) -> Background:
    """Estimate the common background of views.

    Args:
        views: float32 (K, H, W, 3), aligned.
        usable: bool (K, H, W), pixels of a view that are not known to be foreground.
        inside: bool (K, H, W), pixels inside of a view.
    """
    known = np.asarray(usable.any(0))
    median = _median(views, np.where(known, usable, inside))
    gaps = _largest(views - median)
    noise = max(float(np.median(gaps[usable])) / _MEDIAN_OF_THREE, _FLOOR) if usable.any() else _FLOOR
    # Errors of the alignment change a colour by the gradient times the shift.
    slope = _largest(cv2.morphologyEx(median, cv2.MORPH_GRADIENT, _SQUARE))
    sigma = np.sqrt(noise**2 + (0.15 * slope) ** 2)
    changing = ((gaps > np.maximum(_HINT * sigma, _LEAST_CONTRAST)) & inside).any(0) | ~known
    changing = cv2.morphologyEx(changing.astype(np.uint8), cv2.MORPH_OPEN, _SQUARE) > 0
    changing |= ~known
    changing = ndimage.binary_fill_holes(cv2.dilate(changing.astype(np.uint8), _SQUARE) > 0)
    if not changing.any() or (~changing).mean() < 0.1:
        return Background(median, sigma, known)
    picture, seen, spread = _continued(views, usable, median, changing, noise)
    return Background(picture, np.where(seen, sigma, spread).astype(np.float32), seen)


def _median(views: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Median over the usable views, for each pixel and channel: float32 (H, W, 3)."""
    ordered = np.sort(np.where(usable[..., None], views, np.inf), axis=0)
    count = usable.sum(0)
    low, high = (np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2)
    picked = [np.take_along_axis(ordered, rank[None, ..., None], 0)[0] for rank in (low, high)]
    middle = np.mean(picked, axis=0)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float32)


def _continued(
    views: np.ndarray, usable: np.ndarray, median: np.ndarray, changing: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """For changing pixels, choose the colour of a view that best continues the surrounding background.

    The cost of a colour is its squared distance from a smooth interpolation of the steady pixels, relative to the
    variance of the background about such an interpolation, minus the weighted logarithm of the share of views with this
    colour.

    Returns:
        The background (H, W, 3), where a view shows it (H, W), and the standard deviation of the interpolation.
    """
    reach = max(2.0, 0.25 * float(np.sqrt(changing.sum())))
    smooth = _filled(median, ~changing, reach)
    spread = max(1.4826 * float(np.median(np.abs(median - smooth)[~changing])), 2 * noise)
    colours = views[:, changing]  # (K, N, 3)
    valid = usable[:, changing]
    alike = np.stack([((_largest(colours - one) < _HINT * noise) & valid).sum(0) for one in colours])
    cost = _product(*[colours - smooth[changing]] * 2) / (2 * spread**2)
    cost = cost - _FREQUENCY * np.log(np.maximum(alike, 1) / np.maximum(valid.sum(0), 1))
    cost = np.where(valid, cost, np.inf)
    best = cost.argmin(0)
    chosen = np.take_along_axis(colours, best[None, :, None], 0)[0]
    near = (_largest(colours - chosen) < _HINT * noise) & valid
    weight = near[..., None].astype(np.float32)
    chosen = (colours * weight).sum(0) / np.maximum(weight.sum(0), 1)
    unseen = cost.min(0) > _FREQUENCY * np.log(2 * len(views)) + _UNSEEN
    picture, seen = median.copy(), np.ones(changing.shape, bool)
    picture[changing] = np.where(unseen[:, None], smooth[changing], chosen)
    seen[changing] = ~unseen
    return picture, seen, spread


def _filled(picture: np.ndarray, given: np.ndarray, reach: float) -> np.ndarray:
    """Smooth interpolation of the given pixels: Gaussian means, wider where there are no near ones."""
    result, have = np.zeros_like(picture), np.zeros(given.shape, bool)
    weight = given.astype(np.float32)
    while not have.all():
        total = cv2.GaussianBlur(weight, (0, 0), reach, borderType=cv2.BORDER_REFLECT)
        mean = cv2.GaussianBlur(picture * weight[..., None], (0, 0), reach, borderType=cv2.BORDER_REFLECT)
        new = (total > 0.02) & ~have
        result[new] = mean[new] / total[new][:, None]
        have |= new
        reach *= 2
    return result


def _trimap(frame: np.ndarray, background: Background) -> np.ndarray:
    """GrabCut's classes (H, W) from the difference between a frame and its background."""
    picture = frame.astype(np.float32)
    difference = _largest(cv2.GaussianBlur(picture - background.picture, (0, 0), 0.7))
    seed = difference > np.maximum(_SEED * background.sigma, 2 * _LEAST_CONTRAST)
    hint = difference > np.maximum(_HINT * background.sigma, _LEAST_CONTRAST)
    shadow = _may_be_shadow(picture, background)
    seed = _without_specks(cv2.erode((seed & ~shadow).astype(np.uint8), _SQUARE, borderValue=1) > 0)
    trimap = np.full(frame.shape[:2], cv2.GC_PR_BGD, np.uint8)
    trimap[ndimage.binary_fill_holes(hint & ~shadow)] = cv2.GC_PR_FGD
    near_hint = cv2.dilate(hint.astype(np.uint8), _SQUARE) > 0
    trimap[(difference < 0.5 * _HINT * background.sigma) & background.known & ~near_hint] = cv2.GC_BGD
    trimap[seed] = cv2.GC_FGD
    return trimap


def _may_be_shadow(picture: np.ndarray, background: Background) -> np.ndarray:
    """Possible shadows: the hue of the background, darker, but not dark (Horprasert et al. 1999)."""
    light = _product(picture, background.picture) / np.maximum(_product(background.picture, background.picture), 1)
    hue = _largest(picture - light[..., None] * background.picture)
    return (light > _DARKEST_SHADOW) & (light < 1) & (hue < np.maximum(_HINT * background.sigma, _LEAST_CONTRAST))


def _cut_out(frames: np.ndarray, trimaps: np.ndarray) -> np.ndarray:
    """GrabCut of every frame with colour models of the whole clip: bool (T, H, W)."""
    masks = np.zeros(trimaps.shape, bool)
    with_seed = (trimaps == cv2.GC_FGD).any((1, 2))
    models = _colour_models(frames[with_seed], trimaps[with_seed]) if with_seed.any() else None
    if models is None:
        return masks
    for t in np.flatnonzero(with_seed):
        trimap = trimaps[t].copy()
        cv2.grabCut(frames[t], trimap, _NO_BOX, models[0].copy(), models[1].copy(), 1, cv2.GC_EVAL_FREEZE_MODEL)
        found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
        masks[t] = _without_specks(_touching(found, trimaps[t] == cv2.GC_FGD))
    return masks


def _colour_models(frames: np.ndarray, trimaps: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Colour mixtures of background and foreground, from all frames, concatenated to one picture."""
    step = max(1, round(np.sqrt(trimaps.size / _MODEL_PIXELS)))
    tall = np.concatenate(list(frames[:, ::step, ::step]))
    trimap = np.concatenate(list(trimaps[:, ::step, ::step]))
    behind = (trimap == cv2.GC_BGD) | (trimap == cv2.GC_PR_BGD)
    if behind.all() or not behind.any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # for the initial clustering of the mixtures
    cv2.grabCut(np.ascontiguousarray(tall), trimap, _NO_BOX, *models, 3, cv2.GC_INIT_WITH_MASK)
    return models


def _touching(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected components of a mask that contain a seed."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(labels[seeds & mask])] = True
    kept[0] = False
    return kept[labels]


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask without small connected components."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    large = np.bincount(labels.ravel(), minlength=count + 1) >= max(_LEAST_AREA * mask.size, 4)
    large[0] = False
    return large[labels]


def _largest(difference: np.ndarray) -> np.ndarray:
    """Maximum absolute value of three channels (..., 3); NumPy's maximum over a short axis is ten times slower."""
    red, green, blue = (np.abs(difference[..., channel]) for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Inner product over three channels (..., 3)."""
    red, green, blue = (one[..., channel] * other[..., channel] for channel in range(3))
    return red + green + blue
