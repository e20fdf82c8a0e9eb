"""Tracking: from drawings through time to canonical strokes through time.

Stroke s in frame t + 1 *is* stroke s in frame t, moved and solved again
(:mod:`~sketch2video.curves.fitting.tracker`). Shots, between cuts that are given or detected, are tracked separately.
A shot is tracked forwards, and, if new strokes appear, also backwards: objects are distinguished best where they do not
overlap, which may be at the end. Strokes are then selected from both (:mod:`~sketch2video.curves.fitting.lives`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from operator import attrgetter, itemgetter

import cv2
import numpy as np
import scipy.fft

from sketch2video.curves.equation.sequence import CurveSequence
from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.curves.fitting.harmonics import share_harmonics
from sketch2video.curves.fitting.ink_map import InkFrame
from sketch2video.curves.fitting.lives import Life, Shot, most_at_once, needed
from sketch2video.curves.fitting.order import in_order, start_canonically_for_life
from sketch2video.curves.fitting.series import close, lengths
from sketch2video.curves.fitting.tracker import Tracker

CUT = 0.35
"""Below this correlation, at the best shift, two drawings are of different shots (the same shot: 0.6 and more)."""


def fit_curves(
    ink: np.ndarray,
    cuts: np.ndarray | None = None,
    *,
    budget: int = 288,
    strokes: int = 24,
    harmonics: int = 32,
    rounds: int = 3,
    stiffness: float = 0.001,
) -> CurveSequence:
    """Fit tracked, canonical strokes to a drawing through time.

    One outline is one stroke for as long as it exists; a closed outline is a closed stroke that starts at its topmost
    point and runs clockwise; the pen position is the share of the arc length; strokes are ordered by birth, the
    longer first.

    Args:
        ink: (T, H, W) uint8, 255 ink on 0, or bool. Ink is above 127; grey levels say where lines are to a fraction of
            a pixel.
        cuts: (T,) bool, true where a shot begins and all strokes with it; None: cuts are detected.
        budget: numbers a frame, visibilities counted.
        strokes: S, the most strokes of a frame.
        harmonics: K, the most harmonics of a stroke.
        rounds: largest number of iterations of assignment and solution in a frame; fewer if the discrepancy
            no longer decreases (:data:`.tracker.FALL`).
        stiffness: weight of the previous frame's coefficients, which grows with k².

    Raises:
        TypeError: ``ink`` is not a uint8 or bool array.
        ValueError: ``ink`` does not have three axes, or one of them is empty; ``cuts`` is not as long; the budget is
            too small for the strokes.
    """
    drawing = _checked(ink)
    if budget < 5 * strokes:
        raise ValueError(f"a budget of {budget} numbers cannot hold {strokes} strokes, which need {5 * strokes}")
    frames, _, width = drawing.shape
    if cuts is not None and np.shape(cuts) != (frames,):
        raise ValueError(f"cuts must have the shape ({frames},) as the ink has, not {np.shape(cuts)}")
    inked = [InkFrame.of(*centre_lines(picture)) for picture in drawing]
    tracker = partial(Tracker, width, budget, strokes, harmonics, rounds, stiffness)
    lives: list[Life] = []
    starts = find_cuts([frame.skeleton for frame in inked]) if cuts is None else cuts
    for shot in np.split(np.arange(frames), np.flatnonzero(starts)):
        if len(shot):
            found = _lives_of_shot(tracker, [inked[t] for t in shot], strokes)
            lives += [replace(life, first=life.first + shot[0]) for life in found]
    past = _in_slots(lives, frames, strokes, harmonics)
    _keep_within(*past, (budget - strokes) // 2)
    start_canonically_for_life(*past)
    coefficients, visibility = in_order(*past[:2])
    return CurveSequence((coefficients / width).astype(np.float32), visibility)


def find_cuts(skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """Cuts between drawings, bool (H, W) each: (T,) bool, true where a new shot begins."""
    spectra = [_spectrum(skeleton) if skeleton.any() else None for skeleton in skeletons]
    return np.array([False, *(a is not None and b is not None and _likeness(a, b) < CUT for a, b in pairwise(spectra))])


def _lives_of_shot(make: Callable[[], Tracker], inked: Sequence[InkFrame], strokes: int) -> Sequence[Life]:
    """The strokes of a shot."""
    tracker = make()
    forwards = _track(tracker, inked)
    if all(life.first == 0 for life in forwards):
        return forwards
    shot = Shot.of(inked, tracker.reach, tracker.gap)
    return needed([forwards, _track(make(), inked, -1)], shot, strokes)


def _track(tracker: Tracker, inked: Sequence[InkFrame], step: int = 1) -> list[Life]:
    """Carry strokes through the frames of a shot, forwards (1) or backwards (-1)."""
    seen: dict[int, list[tuple[int, np.ndarray, bool]]] = {}
    for t in range(len(inked))[::step]:
        tracker.advance(inked[t])
        now = tracker.coefficients.copy()
        for slot in np.flatnonzero(tracker.alive).tolist():
            seen.setdefault(int(tracker.life[slot]), []).append((t, now[slot], bool(tracker.closed[slot])))
    lives = [sorted(life, key=itemgetter(0)) for life in seen.values()]
    whole = [_through(life) for life in lives]
    if most_at_once(whole) <= len(tracker.alive):
        return whole
    # Slots of occluded strokes may be in use by others: they are then not drawn.
    runs = [np.split(np.arange(len(life)), 1 + np.flatnonzero(np.diff([t for t, *_ in life]) > 1)) for life in lives]
    return [_through([life[i] for i in run]) for life, parts in zip(lives, runs, strict=True) for run in parts]


def _through(seen: Sequence[tuple[int, np.ndarray, bool]]) -> Life:
    """The life of a stroke from the frames in which it was visible; between them it is interpolated linearly."""
    times, parts = [t for t, *_ in seen], np.array([part for _, part, _ in seen])
    if times[-1] - times[0] == len(times) - 1:
        return Life(times[0], parts, seen[0][2])
    frames = np.arange(times[0], times[-1] + 1)
    before = np.searchsorted(times, frames, side="right") - 1
    after = np.minimum(before + 1, len(times) - 1)
    share = (frames - np.take(times, before)) / np.maximum(np.take(times, after) - np.take(times, before), 1)
    return Life(times[0], parts[before] + share[:, None, None] * (parts[after] - parts[before]), seen[0][2])


def _in_slots(
    lives: Sequence[Life], frames: int, strokes: int, harmonics: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (T, S, 2, K), the number of the life of each stroke, 0 for none, and whether it is closed (T, S)."""
    coefficients = np.zeros((frames, strokes, 2, harmonics))
    number, closed = np.zeros((2, frames, strokes), np.int64)
    for name, life in enumerate(sorted(lives, key=attrgetter("first")), 1):
        lived = slice(life.first, life.end)
        slot = np.flatnonzero(~number[lived].any(0))[0]
        coefficients[lived, slot], number[lived, slot], closed[lived, slot] = life.coefficients, name, life.closed
    return coefficients, number, closed


def _keep_within(coefficients: np.ndarray, number: np.ndarray, closed: np.ndarray, harmonics: int) -> None:
    """Reallocate harmonics in frames (T, S, 2, K) whose strokes have more than ``harmonics``; in place."""
    size = coefficients.shape[-1]
    for series, alive, rings in zip(coefficients, number > 0, closed > 0, strict=True):
        used = (size - (series[alive] != 0).any(1)[:, ::-1].argmax(1)).sum()
        if used > harmonics:
            kept = np.arange(size) < share_harmonics(series[alive], lengths(series[alive]), harmonics)[:, None]
            series[alive] *= kept[:, None]
            series[alive & rings] = close(series[alive & rings])


def _checked(ink: np.ndarray) -> np.ndarray:
    ink = np.asarray(ink)
    if ink.ndim != 3 or 0 in ink.shape:
        raise ValueError(f"ink must have the shape (frames, height, width), none of them zero, not {ink.shape}")
    if ink.dtype == np.bool_:
        return ink
    if ink.dtype != np.uint8:
        raise TypeError(f"ink must be uint8 (255 ink on 0) or bool, not {ink.dtype}")
    return ink


def _spectrum(skeleton: np.ndarray) -> np.ndarray:
    """Fourier transform of a blurred, small, centred drawing of unit energy."""
    height, width = skeleton.shape
    scale = min(64 / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.GaussianBlur(cv2.resize(skeleton.astype(np.float32), size, interpolation=cv2.INTER_AREA), (0, 0), 0.8)
    small -= small.mean()
    return np.asarray(scipy.fft.rfft2(np.asarray(small / max(float(np.linalg.norm(small)), 1e-9), np.float32)))


def _likeness(spectrum: np.ndarray, other: np.ndarray) -> float:
    """Largest circular cross-correlation of two drawings, at most 1."""
    return float(scipy.fft.irfft2(np.conj(spectrum) * other).max())
