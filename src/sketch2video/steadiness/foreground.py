"""Foreground and background of a clip without any weights: what moves against the ground.

The frames are laid over each other along the camera's path, and each pixel of the ground takes the colour that most
frames show there, or, where an object hides its own ground for most of the clip, the one that continues the ground
around it. What differs from that ground is a seed, which GrabCut (Rother et al. 2004) completes by colour and edges;
the colour models are learned over the whole clip, so that an object is known by its looks in frames where it hardly
moves. The ground is then made once more without what was found.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from sketch2video.steadiness.camera import camera_path, is_still, overlap, seen_from, within
from sketch2video.steadiness.light import VIEWS, evenly_lit, spread

LEAST_FRAMES = 2
"""Motion is told from so many frames at least."""

_OVERLAP = 0.6
"""Of its ground a frame must share so much with those that its ground is made of."""
_ROUNDS = 2
_FLOOR = 2.0
"""Least standard deviation of the noise, of 255: rounding and compression."""
_MEDIAN_OF_THREE = 1.26
"""Median of the largest of three channels' normal noise, in standard deviations."""
_SEED, _HINT = 8.0, 4.0
"""Differences from the ground, in standard deviations: surely something else, and perhaps."""
_LEAST_CONTRAST = 12.0
"""Differences below this, of 255, are never an object."""
_DARKEST_SHADOW = 0.4
"""A shadow leaves this share of the light at least."""
_LEAST_AREA = 0.002
"""Smaller things, in shares of the frame, are noise."""
_FREQUENCY = 3.0
"""Weight of the logarithm of how often a colour is seen, against its distance from the ground around it."""
_UNSEEN = 4.0
"""Cost of a ground that no frame shows, beside that of a colour seen in half a frame."""
_MODEL_PIXELS = 2**15
"""Pixels that the colour models are learned from, about."""
_SQUARE = np.ones((3, 3), np.uint8)
_NO_BOX = (0, 0, 0, 0)
"""GrabCut's box, which it does not read where it is given a trimap."""


class Ground(NamedTuple):
    """What a frame would show without the objects.

    Attributes:
        picture: float32 (H, W, 3).
        sigma: float32 (H, W): its standard deviation, noise included.
        known: bool (H, W): where any frame shows it.
    """

    picture: np.ndarray
    sigma: np.ndarray
    known: np.ndarray


def moving_foreground(frames: np.ndarray) -> np.ndarray:
    """Find what moves against the ground, under a still or a moving camera.

    It needs no weights and no chance: the same frames always have the same masks.

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2; one shot, without cuts.

    Returns:
        bool (T, H, W), True on the foreground; all False where nothing moves.

    Raises:
        ValueError: the shape is another, or there is one frame only, in which nothing can move.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if len(frames) < LEAST_FRAMES:
        raise ValueError("one frame shows no motion; give two at least")
    path = camera_path(frames)
    if is_still(path):
        # A ground that drifts would count as noise, and hide objects.
        frames = np.clip(evenly_lit(frames), 0, 255).round().astype(np.uint8)
    masks = np.zeros(frames.shape[:3], bool)
    for _ in range(_ROUNDS):
        trimaps = np.stack([_trimap(f, g) for f, g in zip(frames, _grounds(frames, path, masks), strict=True)])
        masks = _cut_out(frames, trimaps)
        if not masks.any():
            break
    return masks


def _grounds(frames: np.ndarray, path: np.ndarray, masks: np.ndarray) -> list[Ground]:
    """The ground of each frame, without what the masks (T, H, W) hide, as far as other frames show it."""
    if is_still(path):
        chosen = spread(len(frames))
        ground = _ground(frames[chosen].astype(np.float32), ~masks[chosen], np.ones(masks[chosen].shape, bool))
        return [ground] * len(frames)
    found = []
    for t in range(len(frames)):
        ways = _overlapping(path, t, frames.shape[1:3])
        views = np.stack([seen_from(frames[s].astype(np.float32), way) for s, way in ways.items()])
        inside = np.stack([within(way, frames.shape[1:3]) for way in ways.values()])
        hidden = np.stack([seen_from(masks[s].astype(np.float32), way) > 0.01 for s, way in ways.items()])
        found.append(_ground(views, inside & ~hidden, inside))
    return found


def _overlapping(path: np.ndarray, middle: int, shape: tuple[int, int]) -> dict[int, np.ndarray]:
    """At most 16 frames, evenly over those that share ground with one, and where its points lie in each of them.

    The nearest frames alone would not do: under a camera that follows an object slowly they all hide the same ground.
    They are taken where too few share enough of it. How far the ground is shared is found by steps that double, so that
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
    return {first + place: path[first + place] @ back for place in spread(last - first + 1)}


def _ground(views: np.ndarray, usable: np.ndarray, inside: np.ndarray) -> Ground:
    """The ground that views (K, H, W, 3) have in common.

    Args:
        views: float32, laid over each other.
        usable: bool (K, H, W), where a view shows the ground as far as is known.
        inside: bool (K, H, W), where a view shows anything.
    """
    known = np.asarray(usable.any(0))
    median = _median(views, np.where(known, usable, inside))
    gaps = _largest(views - median)
    noise = max(float(np.median(gaps[usable])) / _MEDIAN_OF_THREE, _FLOOR) if usable.any() else _FLOOR
    # A colour between two pixels differs by the slope times the shift: no alignment is exact.
    slope = _largest(cv2.morphologyEx(median, cv2.MORPH_GRADIENT, _SQUARE))
    sigma = np.sqrt(noise**2 + (0.15 * slope) ** 2)
    changing = ((gaps > np.maximum(_HINT * sigma, _LEAST_CONTRAST)) & inside).any(0) | ~known
    changing = cv2.morphologyEx(changing.astype(np.uint8), cv2.MORPH_OPEN, _SQUARE) > 0
    changing |= ~known
    changing = ndimage.binary_fill_holes(cv2.dilate(changing.astype(np.uint8), _SQUARE) > 0)
    if not changing.any() or (~changing).mean() < 0.1:
        return Ground(median, sigma, known)
    picture, seen, spread = _continued(views, usable, median, changing, noise)
    return Ground(picture, np.where(seen, sigma, spread).astype(np.float32), seen)


def _median(views: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Median of the usable views of each pixel, of each channel: float32 (H, W, 3)."""
    ordered = np.sort(np.where(usable[..., None], views, np.inf), axis=0)
    count = usable.sum(0)
    low, high = (np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2)
    picked = [np.take_along_axis(ordered, place[None, ..., None], 0)[0] for place in (low, high)]
    middle = np.mean(picked, axis=0)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float32)


def _continued(
    views: np.ndarray, usable: np.ndarray, median: np.ndarray, changing: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Where pixels change, choose of the colours they take one that continues the ground around them.

    The cost of a colour is its squared distance from what a smooth continuation of the steady pixels has there, against
    how much the ground itself varies about such a continuation, less the weighted logarithm of the share of views that
    show it.

    Returns:
        The ground (H, W, 3), where a view shows it (H, W), and the standard deviation of the continuation.
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
    """A smooth picture from the given pixels: Gaussian means, wider where the nearer ones give nothing."""
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


def _trimap(frame: np.ndarray, ground: Ground) -> np.ndarray:
    """GrabCut's classes (H, W) from the difference of a frame from its ground."""
    picture = frame.astype(np.float32)
    difference = _largest(cv2.GaussianBlur(picture - ground.picture, (0, 0), 0.7))
    seed = difference > np.maximum(_SEED * ground.sigma, 2 * _LEAST_CONTRAST)
    hint = difference > np.maximum(_HINT * ground.sigma, _LEAST_CONTRAST)
    shadow = _may_be_shadow(picture, ground)
    seed = _without_specks(cv2.erode((seed & ~shadow).astype(np.uint8), _SQUARE, borderValue=1) > 0)
    trimap = np.full(frame.shape[:2], cv2.GC_PR_BGD, np.uint8)
    trimap[ndimage.binary_fill_holes(hint & ~shadow)] = cv2.GC_PR_FGD
    near_hint = cv2.dilate(hint.astype(np.uint8), _SQUARE) > 0
    trimap[(difference < 0.5 * _HINT * ground.sigma) & ground.known & ~near_hint] = cv2.GC_BGD
    trimap[seed] = cv2.GC_FGD
    return trimap


def _may_be_shadow(picture: np.ndarray, ground: Ground) -> np.ndarray:
    """Where a frame is its ground in less light: the same hue, darker, but not dark (Horprasert et al. 1999)."""
    light = _product(picture, ground.picture) / np.maximum(_product(ground.picture, ground.picture), 1)
    hue = _largest(picture - light[..., None] * ground.picture)
    return (light > _DARKEST_SHADOW) & (light < 1) & (hue < np.maximum(_HINT * ground.sigma, _LEAST_CONTRAST))


def _cut_out(frames: np.ndarray, trimaps: np.ndarray) -> np.ndarray:
    """GrabCut of every frame with colour models of the whole clip: bool (T, H, W)."""
    masks = np.zeros(trimaps.shape, bool)
    wanted = (trimaps == cv2.GC_FGD).any((1, 2))
    models = _colour_models(frames[wanted], trimaps[wanted]) if wanted.any() else None
    if models is None:
        return masks
    for t in np.flatnonzero(wanted):
        trimap = trimaps[t].copy()
        cv2.grabCut(frames[t], trimap, _NO_BOX, models[0].copy(), models[1].copy(), 1, cv2.GC_EVAL_FREEZE_MODEL)
        found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
        masks[t] = _without_specks(_touching(found, trimaps[t] == cv2.GC_FGD))
    return masks


def _colour_models(frames: np.ndarray, trimaps: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mixtures of colours of background and foreground, learned from all frames in one picture below each other."""
    step = max(1, round(np.sqrt(trimaps.size / _MODEL_PIXELS)))
    tall = np.concatenate(list(frames[:, ::step, ::step]))
    trimap = np.concatenate(list(trimaps[:, ::step, ::step]))
    behind = (trimap == cv2.GC_BGD) | (trimap == cv2.GC_PR_BGD)
    if behind.all() or not behind.any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # of the clustering that the mixtures start with
    cv2.grabCut(np.ascontiguousarray(tall), trimap, _NO_BOX, *models, 3, cv2.GC_INIT_WITH_MASK)
    return models


def _touching(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that hold a seed."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(labels[seeds & mask])] = True
    kept[0] = False
    return kept[labels]


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask without its connected parts that are too small."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    large = np.bincount(labels.ravel(), minlength=count + 1) >= max(_LEAST_AREA * mask.size, 4)
    large[0] = False
    return large[labels]


def _largest(difference: np.ndarray) -> np.ndarray:
    """Largest amount of three channels (..., 3); NumPy's own maximum over so short an axis is ten times slower."""
    red, green, blue = (np.abs(difference[..., channel]) for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Inner product over three channels (..., 3)."""
    red, green, blue = (one[..., channel] * other[..., channel] for channel in range(3))
    return red + green + blue
