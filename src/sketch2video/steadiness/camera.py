"""Estimation of the camera's motion from frames: homographies between the backgrounds of frames.

Direct registration as in Odobez and Bouthemy 1995 ("Robust multiresolution estimation of parametric motion models"):
all pixels contribute by their gradients, with robust weights against pixels that do not move with the background.
Features would be detected mainly on the moving objects, which often have the only sharp edges.

Homographies are in px of the frames, as in OpenCV: integer coordinates are pixel centres.
"""

from __future__ import annotations

import cv2
import numpy as np

from sketch2video.steadiness.light import evenly_lit

STILL = 0.5
"""Maximum motion of the frame's corners, in px, for a static camera."""

_SIDE = 128
"""Maximum of the longer side of the registered pictures, px."""
_COARSEST = 16
_ROUNDS = 8
_GAIN = 0.93
"""Ratio of the remaining differences below which a motion model with more parameters is accepted."""
_OVERLAP = 0.7
"""Minimum overlap with the anchor frame; below it a new anchor is chosen."""
_LIKENESS = 0.85
"""Minimum correlation with the anchor frame on the overlap, as generated backgrounds change; below it likewise."""
_TUKEY = 4.685
"""Parameter of Tukey's weights: residuals beyond so many standard deviations have no weight."""


def camera_path(frames: np.ndarray) -> np.ndarray:
    """Estimate the camera's path: homographies from the background of the first frame to that of each frame.

    The simplest of three models that explains the frames is used: a static camera, shifts, or homographies. Changes of
    light are removed before the models are compared.

    Args:
        frames: uint8 (T, H, W, 3), T ≥ 1.

    Returns:
        float64 (T, 3, 3) homographies from the first frame to each; all the identity for a static camera.
    """
    height, width = frames.shape[1:3]
    factor = min(1.0, _SIDE / max(height, width))
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = [_grey(frame, size) for frame in frames]
    lit = list(evenly_lit(np.stack(small)))
    path = np.tile(np.eye(3), (len(frames), 1, 1))
    for shift_only in (True, False):
        candidate = _followed(small, shift_only=shift_only)
        if _remaining(lit, candidate) < _GAIN * _remaining(lit, path):
            path = candidate
    scale = np.diag([width / size[0], height / size[1], 1.0])
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # scaling keeps the pixel grid, not pixel centres
    scale = np.linalg.inv(centre) @ scale @ centre
    path = scale @ path @ np.linalg.inv(scale)
    return path if _travel(path, width, height) > STILL else np.tile(np.eye(3), (len(frames), 1, 1))


def is_still(path: np.ndarray) -> bool:
    """Whether a path (T, 3, 3) of :func:`camera_path` is that of a static camera."""
    return bool((path == np.eye(3)).all())


def seen_from(picture: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Warp a picture to another frame, given the homography from that frame to the picture; zero outside."""
    size = picture.shape[1::-1]
    return cv2.warpPerspective(picture, homography, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def within(homography: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels of a frame that are visible in another one: bool (H, W), given the homography to the other frame."""
    return seen_from(np.ones(shape, np.float32), homography) > 0.99


def overlap(homography: np.ndarray, shape: tuple[int, ...]) -> float:
    """The share of a frame (H, W) that is visible in another one, given the homography to the other frame."""
    return float(seen_from(np.ones(shape, np.float32), homography).mean())


def _grey(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def _first_guess(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """No motion, or the shift of phase correlation if it gives smaller differences."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F) if min(before.shape) > 1 else None
    guess = np.eye(3)
    if window is not None:
        guess[:2, 2] = cv2.phaseCorrelate(before.copy(), after.copy(), window)[0]  # it may change its arguments
    if max(abs(guess[0, 2]) / before.shape[1], abs(guess[1, 2]) / before.shape[0]) > 0.3:
        return np.eye(3)
    return guess if _difference(before, after, guess) < _difference(before, after, np.eye(3)) else np.eye(3)


def _difference(fixed: np.ndarray, moving: np.ndarray, homography: np.ndarray) -> float:
    """Median absolute difference on the overlap."""
    inside = within(homography, moving.shape)
    if inside.mean() < 0.2:
        return float("inf")
    return float(np.median(np.abs(seen_from(moving, homography) - fixed)[inside]))


def _likeness(fixed: np.ndarray, moving: np.ndarray, homography: np.ndarray) -> float:
    """Correlation on the overlap, in [-1, 1]; 1 without contrast."""
    inside = within(homography, moving.shape)
    here, there = fixed[inside], seen_from(moving, homography)[inside]
    if not here.size or here.std() < 1 or there.std() < 1:
        return 1.0
    return float(np.corrcoef(here, there)[0, 1])


def _registered(fixed: np.ndarray, moving: np.ndarray, guess: np.ndarray, *, shift_only: bool) -> np.ndarray:
    """The homography from ``fixed`` to ``moving``, estimated from coarse to fine."""
    levels = [(fixed, moving)]
    while min(levels[-1][0].shape) >= 2 * _COARSEST:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    found = guess
    for level in reversed(range(len(levels))):
        halved = np.diag([0.5**level, 0.5**level, 1.0])  # pyrDown keeps every second pixel's centre
        at_level = halved @ found @ np.linalg.inv(halved)
        found = np.linalg.inv(halved) @ _refined(*levels[level], at_level, shift_only=shift_only) @ halved
    return found


def _refined(fixed: np.ndarray, moving: np.ndarray, homography: np.ndarray, *, shift_only: bool) -> np.ndarray:
    """Gauss-Newton steps with Tukey's weights at one resolution; stops if a step diverges."""
    height, width = fixed.shape
    unit = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x * 2 / width - 1, y * 2 / height - 1
    for _ in range(_ROUNDS):
        inside = within(homography, moving.shape)
        if inside.mean() < 0.2:
            break
        warped = seen_from(moving, homography)
        residual = warped - fixed
        residual -= np.median(residual[inside])
        mean = (warped + fixed) / 2
        across = cv2.Scharr(mean, cv2.CV_32F, 1, 0, scale=1 / 32) * width / 2
        down = cv2.Scharr(mean, cv2.CV_32F, 0, 1, scale=1 / 32) * height / 2
        sigma = 1.4826 * np.median(np.abs(residual[inside])) + 0.1
        weight = np.clip(1 - (residual / (_TUKEY * sigma)) ** 2, 0, None) ** 2 * inside
        if shift_only:
            columns = [across, down]
        else:
            along = across * x + down * y
            columns = [across, down, across * x, across * y, down * x, down * y, -along * x, -along * y]
        jacobian = np.stack(columns, -1).reshape(height * width, -1).astype(np.float64)
        weighted = jacobian * weight.reshape(-1, 1)
        normal = weighted.T @ jacobian
        normal += 1e-6 * np.trace(normal) / len(normal) * np.eye(len(normal)) + 1e-9 * np.eye(len(normal))
        step = -np.linalg.solve(normal, weighted.T @ residual.reshape(-1))
        if not np.abs(step).max() < 1:
            break
        homography = homography @ np.linalg.inv(unit) @ _small_motion(step) @ unit
        homography = homography / homography[2, 2]
        if np.abs(step).max() * max(height, width) / 2 < 0.005:
            break
    return homography


def _small_motion(step: np.ndarray) -> np.ndarray:
    motion = np.eye(3)
    motion[:2, 2] = step[:2]
    if len(step) > 2:
        motion[0, :2] += step[2:4]
        motion[1, :2] += step[4:6]
        motion[2, :2] += step[6:8]
    return motion


def _followed(frames: list[np.ndarray], *, shift_only: bool) -> np.ndarray:
    """The path (T, 3, 3) step by step, with each frame registered to the last anchor to avoid accumulated errors."""
    path = [np.eye(3)]
    anchor = 0
    for t in range(1, len(frames)):
        step = _registered(frames[t - 1], frames[t], _first_guess(frames[t - 1], frames[t]), shift_only=True)
        if not shift_only:
            step = _registered(frames[t - 1], frames[t], step, shift_only=False)
        from_anchor = step @ path[-1] @ np.linalg.inv(path[anchor])
        from_anchor = _refined(frames[anchor], frames[t], from_anchor, shift_only=shift_only)
        path.append(from_anchor @ path[anchor])
        path[-1] = path[-1] / path[-1][2, 2]
        if (
            overlap(from_anchor, frames[t].shape) < _OVERLAP
            or _likeness(frames[anchor], frames[t], from_anchor) < _LIKENESS
        ):
            anchor = t
    return np.stack(path)


def _remaining(frames: list[np.ndarray], path: np.ndarray) -> float:
    """Mean difference of distant frames along a camera's path; distant, so that small motions are detected."""
    gap = max(1, len(frames) // 5)
    pairs = [(t, t + gap) for t in range(len(frames) - gap)]
    left = [_difference(frames[a], frames[b], path[b] @ np.linalg.inv(path[a])) for a, b in pairs]
    return float(np.mean(left)) if left else 0.0


def _travel(path: np.ndarray, width: int, height: int) -> float:
    """Maximum distance of any corner from its position in the first frame, px."""
    corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float64)
    return max(float(np.abs(cv2.perspectiveTransform(corners, step) - corners).max()) for step in path)
