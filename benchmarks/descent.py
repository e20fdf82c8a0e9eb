"""Gradient descent from scratch: one frame, strokes drawn by the differentiable renderer, Adam (Kingma and Ba 2015)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from sketch2video.curves.equation.render import render_ink
from sketch2video.curves.fitting.series import project

# Tried on a frame of an embedded scene and one of a real clip, 100 steps, budget 288, in twelve combinations: 4, 8, 12
# and 16 strokes; learning rates 0.003, 0.01, 0.03 and 0.06; lines or ellipses along clusters of the ink, or circles on
# a grid, to begin with. These came nearest to the ink, both ways together; a lone stroke does best from an ellipse
# (0.31 against 1.24 px).
STROKES = 12
STEPS = 150
LEARNING_RATE = 0.01
"""Frame widths a step for a stroke's position; harmonic k moves 1 / (k + 1) as far."""

WATCHED = frozenset(times * 2**power for power in range(20) for times in (1, 3))
"""Steps after which a descent is looked at: evenly spread over a logarithmic axis."""

SAMPLES = 96
COARSE, FINE = 6.0, 2.0
"""Width of the pen in px at the beginning and from the middle on: a wide line is pulled by ink that is farther away."""


def descend(
    picture: np.ndarray,
    budget: int,
    *,
    strokes: int = STROKES,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    start: str = "lines",
    watch: Callable[[float, np.ndarray], None] | None = None,
) -> np.ndarray:
    """Draw one frame by gradient descent on the mean squared difference of drawings.

    Args:
        picture: (H, W) uint8, 255 ink on 0.
        budget: numbers, visibilities counted; every stroke gets as many harmonics.
        strokes: S.
        steps: of Adam.
        learning_rate: see :data:`LEARNING_RATE`; it falls to a tenth by half a cosine.
        start: "lines" along clusters of the ink, or "ellipses" around them.
        watch: called after 1, 2, 3, 4, 6, 8, 12 ... and all steps with the CPU seconds spent on them, its own not
            counted, and the coefficients.

    Returns:
        Coefficients (S, 2, K) float32, frame widths.
    """
    height, width = picture.shape
    harmonics = (budget - strokes) // (2 * strokes)
    begin = time.process_time()
    first = _start(picture, strokes, harmonics, start)
    initial = torch.from_numpy(first.astype(np.float32))
    move = torch.zeros_like(initial, requires_grad=True)
    size = 1.0 / (1 + torch.arange(harmonics))
    optimizer = torch.optim.Adam([move], lr=learning_rate)
    visibility = torch.ones(strokes)
    ink = picture.astype(np.float32) / 255
    watched = 0.0
    for step in range(1, steps + 1):
        share = (step - 1) / steps
        optimizer.param_groups[0]["lr"] = learning_rate * (0.55 + 0.45 * math.cos(math.pi * share))
        pen = max(FINE, COARSE + (FINE - COARSE) * 2 * share)
        target = torch.from_numpy(_drawn_with(ink, pen))
        drawing = render_ink(initial + move * size, visibility, height, width, points=SAMPLES, thickness=pen)
        loss = (drawing - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watch is not None and (step == steps or step in WATCHED):
            pause = time.process_time()
            watch(pause - begin - watched, (initial + move.detach() * size).numpy())
            watched += time.process_time() - pause
    return np.asarray((initial + move.detach() * size).numpy())


def _drawn_with(ink: np.ndarray, pen: float) -> np.ndarray:
    """Lines one px wide as the renderer's pen would draw them: Beer and Lambert's law over a Gaussian."""
    sigma = pen / 2 / math.sqrt(2 * math.log(3 / math.log(2)))
    depth = cv2.GaussianBlur(ink, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) * 3.0
    return np.asarray(1 - np.exp(-depth), np.float32)


def _start(picture: np.ndarray, strokes: int, harmonics: int, start: str) -> np.ndarray:
    """First coefficients (S, 2, K), frame widths; see :func:`descend`."""
    rows, columns = np.nonzero(picture > 127)
    ink = (np.stack([columns, rows], 1) + 0.5).astype(np.float32)
    if len(ink) < strokes:
        return np.random.default_rng(0).normal(0.5, 0.1, (strokes, 2, harmonics)) / (1 + np.arange(harmonics)) ** 2
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 20, 0.0)
    _, labels, centres = cv2.kmeans(ink, strokes, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    u = (np.arange(4 * harmonics) + 0.5) / (4 * harmonics)
    first = np.zeros((strokes, 2, harmonics))
    for s in range(strokes):
        apart = ink[labels[:, 0] == s] - centres[s]
        spread, axes = np.linalg.eigh(apart.T @ apart / max(len(apart), 1) + 1e-3 * np.eye(2))
        short, long = (np.sqrt(spread) * axes).T
        if start == "lines":
            line = math.sqrt(3) * (2 * u[:, None] - 1) * long
        else:
            angle = 2 * math.pi * u[:, None]
            line = math.sqrt(2) * (np.cos(angle) * long + np.sin(angle) * short)
        first[s] = project(centres[s] + line, harmonics)
    return first / picture.shape[1]
