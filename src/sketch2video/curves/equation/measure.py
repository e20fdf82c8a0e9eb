"""Distances between curves and the ink that they were fitted to, and their motion through time."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from sketch2video.curves.equation.nearest import nearest_points
from sketch2video.curves.equation.sequence import CurveSequence

POINTS = 192
"""Pen positions per stroke at which distances are measured."""

BLUR = 1.0
"""Standard deviation in px of the blur before two drawings are compared, so small displacements are small errors."""


class FitError(NamedTuple):
    """Errors of a clip's curves, means over its frames.

    Attributes:
        ink_to_curve: px from an ink pixel to the nearest visible curve; a frame width where there is ink but no curve.
        curve_to_ink: px from a visible curve's points within the frame to the nearest ink pixel; a frame width where
            there is none. Curves may leave the frame, as what they show does: no drawing has ink there.
        rendered_discrepancy: mean squared difference between the rendered and the actual drawing, both blurred by one
            pixel, as a share of the actual drawing's mean square: 0 is perfect, 1 is no better than an empty drawing.
    """

    ink_to_curve: float
    curve_to_ink: float
    rendered_discrepancy: float


def fit_error(sequence: CurveSequence, ink: np.ndarray) -> FitError:
    """Compare curves with the ink (T, H, W) uint8 that they were fitted to."""
    _, height, width = ink.shape
    there, back = distances(sequence.points(POINTS) * width, sequence.visible, ink)
    drawn = sequence.render(height, width)
    return FitError(there, back, rendered_discrepancy(drawn, ink))


def distances(points: np.ndarray, visible: np.ndarray, ink: np.ndarray) -> tuple[float, float]:
    """Distance from ink to curves and from curves to ink, px; see :class:`FitError`.

    Args:
        points: (T, S, n, 2), px, points along each stroke.
        visible: (T, S) bool.
        ink: (T, H, W) uint8.
    """
    frames, height, width = ink.shape
    there, back = np.zeros(frames), np.zeros(frames)
    for t, shown in enumerate(visible):
        rows, columns = np.nonzero(ink[t] > 127)
        pixels, curve = np.stack([columns, rows], 1) + 0.5, points[t][shown].reshape(-1, 2)
        if len(pixels) and len(curve):
            to_curve, to_ink = nearest_distances(pixels, curve)
            drawn = ((curve >= 0) & (curve <= (width, height))).all(1)
            there[t], back[t] = to_curve.mean(), to_ink[drawn].mean() if drawn.any() else 0.0
        else:
            there[t], back[t] = width * (len(pixels) > 0), width * (len(curve) > 0)
    return float(there.mean()), float(back.mean())


def nearest_distances(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances from each of ``points`` (N, 2) to the nearest of ``others`` (M, 2), and back: (N,) and (M,)."""
    return nearest_points(others, points)[0], nearest_points(points, others)[0]


def rendered_discrepancy(drawn: np.ndarray, ink: np.ndarray) -> float:
    """See :class:`FitError`; both uint8 (T, H, W). 0 if both are empty."""
    difference = total = 0.0
    for hypothesis, actual in zip(drawn, ink, strict=True):
        a, b = (cv2.GaussianBlur(x.astype(np.float32) / 255, (0, 0), BLUR) for x in (hypothesis, actual))
        difference += float(((a - b) ** 2).mean())
        total += float((b**2).mean())
    return difference / total if total else float(difference > 0)


def displacement(
    points: np.ndarray,
    visible: np.ndarray,
    together: np.ndarray | None = None,
    flow: np.ndarray | None = None,
    *,
    across: bool = False,
) -> np.ndarray:
    """Motion of strokes from each frame to the next: the mean distance of a stroke's points, px.

    Args:
        points: (T, S, n, 2), px; point j of a stroke is compared with point j of the stroke in the same slot.
        visible: (T, S) bool; a stroke counts where both frames show it.
        together: (T - 1,) bool, the pairs of frames without a cut between them; None: all.
        flow: (T - 1, H, W, 2), px right and down, optical flow of each pixel to the next frame. Its median at a
            stroke's points, a shift of the whole stroke, is subtracted first; None: nothing is subtracted.
        across: count only motion perpendicular to the stroke: motion of a line along itself is not visible.

    Returns:
        One number for every stroke that is visible in both frames of a pair: (M,), in temporal order.
    """
    pairs, strokes = np.nonzero(_stays(visible, together))
    steps = points[pairs + 1, strokes] - points[pairs, strokes]
    if flow is not None:
        height, width = flow.shape[1:3]
        at = np.clip(points[pairs, strokes], 0, (width - 1, height - 1)).astype(np.int64)
        steps = steps - np.median(flow[pairs[:, None], at[..., 1], at[..., 0]], axis=1, keepdims=True)
    if across:
        along = np.gradient(points[pairs, strokes], axis=1)
        turned = steps[..., 0] * along[..., 1] - steps[..., 1] * along[..., 0]
        return np.asarray(np.abs(turned / np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-9)).mean(1))
    return np.asarray(np.hypot(steps[..., 0], steps[..., 1]).mean(1))


def kept(visible: np.ndarray, together: np.ndarray | None = None) -> float:
    """Share of strokes that are still visible in the next frame; 1 if there is no stroke.

    Args:
        visible: (T, S) bool.
        together: (T - 1,) bool, which pairs of frames no cut divides; None: all.
    """
    shown = visible[:-1] if together is None else visible[:-1][together]
    return float(_stays(visible, together).sum() / shown.sum()) if shown.any() else 1.0


def _stays(visible: np.ndarray, together: np.ndarray | None) -> np.ndarray:
    """Strokes that are visible in both frames of a pair: (T - 1, S) bool, false if there is a cut between them."""
    stays = visible[:-1] & visible[1:]
    return stays if together is None else stays & together[:, None]
