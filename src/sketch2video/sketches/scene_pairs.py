"""Pictures with drawings for the sketcher, made of the synthetic scenes: more varied than those of the demo.

One to eight objects of any size and rotation, cut off by the frame and by each other, deformed, on backgrounds of any
brightness; objects and background have textures that a person would not draw. A picture is a function of its seed and
number alone. The drawing is the true outline of everything that is visible.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from sketch2video.data.clips.jobs import map_jobs
from sketch2video.params import BaseParams
from sketch2video.scenes.fixed_point import FRACTION_BITS, fixed_point
from sketch2video.scenes.synthetic import COLOURS, SHAPES, Combination, Scene, SceneObject, render_scene

STREAM = 0x5CE7C4
"""First word of the seeds: no other part of the project uses this stream."""

TRAINING, HELD_OUT = 0, 1

_ZOOM = 2
"""Size of the rendered scene relative to the picture, its centre crop: deformation reads pixels beyond the edge."""
_AT_ONCE = 250
"""Pictures that a process makes at a time."""


def scene_pairs(
    number: int, size: int, seed: int, part: int, where: BaseParams | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and their drawings.

    Args:
        number: N.
        size: S, pixels.
        seed: with ``STREAM`` the seed of everything.
        part: ``TRAINING`` or ``HELD_OUT``, which share no scene.
        where: where the work is done, see :func:`~sketch2video.data.clips.jobs.map_jobs`.

    Returns:
        uint8 (N, S, S, 3) RGB and uint8 (N, S, S), 255 ink on 0.
    """
    jobs = [(range(number)[start : start + _AT_ONCE], size, seed, part) for start in range(0, number, _AT_ONCE)]
    pairs = [pair for some in map_jobs(_pairs, jobs, where, "scenes") for pair in some]
    pictures, drawings = zip(*pairs, strict=True)
    return np.stack(pictures), np.stack(drawings)


def _pairs(indices: range, size: int, seed: int, part: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [_pair(np.random.default_rng([STREAM, seed, part, index]), size) for index in indices]


def _pair(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    scene = Scene(
        objects=tuple(_object(rng) for _ in range(rng.integers(1, 9))),
        background_seed=int(rng.integers(2**31)),
        background_colour=tuple(rng.uniform(0.1, 0.9) + rng.uniform(-0.15, 0.15, 3)),
        background_velocity=(0.0, 0.0),
        light=float(rng.uniform(-math.pi, math.pi)),
        fps=1.0,
    )
    rendered = render_scene(scene, _ZOOM * size, 1)
    picture = _textured(rng, rendered.frames[0].astype(np.float32), rendered.masks[0])
    bend = _Bend(rng)
    pixels = (np.arange(size) + 0.5) / size
    across, down = np.moveaxis(bend(np.stack(np.meshgrid(pixels, pixels), -1)) * _ZOOM * size - 0.5, -1, 0)
    positions = across.astype(np.float32), down.astype(np.float32)
    bent = cv2.remap(picture, *positions, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    outlines = [bend.inverse(outline) for outline in rendered.outlines[0].astype(np.float64)]
    return np.clip(bent, 0, 255).round().astype(np.uint8), _drawn(outlines, size)


def _object(rng: np.random.Generator) -> SceneObject:
    x, y = rng.uniform(0.2, 0.8, 2)
    return SceneObject(
        what=Combination(str(rng.choice(SHAPES)), COLOURS[0], "left to right"),
        radius=float(np.exp(rng.uniform(math.log(0.05), math.log(0.25)))),
        angle=float(rng.uniform(-math.pi, math.pi)),
        start=(float(x), float(y)),
        end=(float(x), float(y)),
        orbit=0.0,
        phase=0.0,
        turn=1,
        hue=float(rng.uniform(0, 360)),
    )


def _textured(rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give background and objects textures and a brightness of their own."""
    for region in range(int(mask.max()) + 1):
        here = (mask == region)[..., None]
        shade = rng.uniform(-60, 60) if region else 0.0
        if rng.random() < 0.7:
            colour = rng.uniform(0.5, 1.0, 3) * rng.uniform(0, 25)
            picture = picture + here * colour * _texture(rng, len(picture))[..., None]
        picture = picture + here * shade
    return picture


def _texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """A texture of mean 0 and deviation about 1: stripes, or noise of some coarseness and direction; (size, size)."""
    if rng.random() < 0.4:
        x, y = np.meshgrid(np.arange(size), np.arange(size))
        direction, length = rng.uniform(0, math.pi), rng.uniform(3, 12)
        wave = np.sin(2 * math.pi * (x * math.cos(direction) + y * math.sin(direction)) / length)
        return wave if rng.random() < 0.5 else np.sign(wave) * 0.7
    across, down = np.exp(rng.uniform(math.log(0.4), math.log(4), 2))
    noise = cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), across, sigmaY=down)
    return noise / noise.std()


class _Bend:
    """A smooth map from positions in the picture to positions in the scene, both in frame widths, and its inverse."""

    def __init__(self, rng: np.random.Generator) -> None:
        stretch = np.diag(np.exp(rng.uniform(-0.25, 0.25, 2)))
        turn = rng.uniform(0, math.pi)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        self.matrix = rotation @ stretch @ rotation.T / _ZOOM
        self.waves = rng.uniform(-1.2, 1.2, (3, 2))  # per frame width: few enough for the inverse to be unique
        self.heights = rng.uniform(-0.02, 0.02, (3, 2))
        self.phases = rng.uniform(0, 2 * math.pi, 3)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """(..., 2) -> (..., 2)."""
        return (positions - 0.5) @ self.matrix.T + 0.5 + self._shift(positions)

    def inverse(self, positions: np.ndarray) -> np.ndarray:
        """(..., 2) -> (..., 2), by fixed-point iteration."""
        back = np.linalg.inv(self.matrix).T
        found = (positions - 0.5) @ back + 0.5
        for _ in range(20):
            found = (positions - self._shift(found) - 0.5) @ back + 0.5
        return found

    def _shift(self, positions: np.ndarray) -> np.ndarray:
        return np.sin(2 * math.pi * positions @ self.waves.T + self.phases) @ self.heights


def _drawn(outlines: list[np.ndarray], size: int) -> np.ndarray:
    """The visible parts of outlines (P, 2), given from back to front: uint8 (size, size), 255 ink on 0."""
    ink = np.zeros((size, size), np.uint8)
    for outline in outlines:
        vertices = fixed_point(outline, size)
        cv2.fillPoly(ink, [vertices], 0, cv2.LINE_8, FRACTION_BITS)
        cv2.polylines(ink, [vertices], True, 255, 1, cv2.LINE_8, FRACTION_BITS)
    return ink
