"""Synthetic scenes: shaded objects that move over a textured background, with complete background truth.

They are the embedded data set: a machine without a network can train, run and *judge* the whole system on them. All
randomness is in :func:`sample_scene`; a :class:`Scene` determines every byte of its :class:`RenderedScene`.

Coordinates are in frame widths, x right, y down; angles in radians, positive from x towards y (clockwise on screen).
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan")
MOTIONS = ("left to right", "right to left", "top to bottom", "bottom to top", "growing", "in a circle")

OUTLINE_POINTS = 128
START_DIRECTION = (-1 / math.sqrt(10), -3 / math.sqrt(10))
"""An outline starts at its extreme point in this direction: at its top, and at the left one of two equal tops."""

SHAPE_COLOURS = {
    "circle": (230, 25, 75),
    "square": (60, 180, 75),
    "triangle": (0, 130, 200),
    "star": (245, 130, 48),
    "cross": (145, 30, 180),
    "heart": (70, 240, 240),
}
"""RGB of each shape in a semantic map; the background is black. They are independent of the objects' own colours."""

_SUPERSAMPLING = 4
_SUBPIXEL_BITS = 4
_HUES = {"red": 0, "yellow": 52, "green": 125, "cyan": 183, "blue": 225, "purple": 288}  # degrees
_WORDS_FOR_SHAPE = {
    "circle": ("circle", "circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "star": ("star", "star", "five-pointed star"),
    "cross": ("cross", "cross", "plus sign"),
    "heart": ("heart",),
}
_WORDS_FOR_MOTION = {
    "left to right": ("moves left to right", "slides from the left to the right", "travels from left to right"),
    "right to left": ("moves right to left", "slides from the right to the left", "travels from right to left"),
    "top to bottom": ("moves top to bottom", "sinks from the top to the bottom", "travels from top to bottom"),
    "bottom to top": ("moves bottom to top", "rises from the bottom to the top", "travels from bottom to top"),
    "growing": ("grows", "is growing", "keeps growing larger"),
    "in a circle": ("moves in a circle", "goes round in a circle", "is circling around"),
}
_OPENINGS = ("", "", "", "a video of ", "here ")


class Combination(NamedTuple):
    """Shape, colour and motion of one object."""

    shape: str
    colour: str
    motion: str


@dataclass(frozen=True)
class SceneObject:
    """One object and its path.

    Attributes:
        what: shape, colour and motion.
        radius: of the shape's circumscribed circle, frame widths; at the end of the clip if it grows.
        angle: rotation of the shape, radians.
        start, end: centre at both ends of the clip; for a circular path ``start`` is the middle of that circle.
        orbit: radius of a circular path, else 0.
        phase: angle at which a circular path starts.
        turn: +1 clockwise, -1 anticlockwise along a circular path.
        hue: degrees, near the colour's own.
    """

    what: Combination
    radius: float
    angle: float
    start: tuple[float, float]
    end: tuple[float, float]
    orbit: float
    phase: float
    turn: int
    hue: float

    def centre(self, time: float) -> np.ndarray:
        """Position of the centre at ``time`` in [0, 1]: (2,), frame widths."""
        if self.orbit:
            a = self.phase + self.turn * 2 * math.pi * time
            return np.array(self.start) + self.orbit * np.array([math.cos(a), math.sin(a)])
        return (1 - time) * np.array(self.start) + time * np.array(self.end)

    def scale(self, time: float) -> float:
        """Radius at ``time`` in [0, 1], frame widths."""
        return self.radius * (0.4 + 0.6 * time) if self.what.motion == "growing" else self.radius

    def outline(self, time: float) -> np.ndarray:
        """True outline at ``time``: (128, 2) by arc length, clockwise from its canonical start, closed implicitly."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        turned = _unit_outline(self.what.shape) @ np.array([[c, s], [-s, c]])
        turned = np.roll(turned, -int(np.argmax(turned @ np.array(START_DIRECTION))), axis=0)
        return self.centre(time) + self.scale(time) * turned


@dataclass(frozen=True)
class Scene:
    """Everything about a clip: objects from back to front, background, light and frame rate."""

    objects: tuple[SceneObject, ...]
    background_seed: int
    background_colour: tuple[float, float, float]
    background_velocity: tuple[float, float]
    light: float
    fps: float

    @property
    def combination(self) -> Combination | None:
        """Shape, colour and motion of the only object; None if there are several."""
        return self.objects[0].what if len(self.objects) == 1 else None

    @property
    def label(self) -> str:
        """The content of the scene, in canonical words."""
        return " and ".join(f"{o.what.colour} {o.what.shape} {o.what.motion}" for o in self.objects)


class RenderedScene(NamedTuple):
    """A clip and its background truth.

    Attributes:
        frames: uint8 (T, S, S, 3) RGB.
        outlines: float32 (T, O, 128, 2), frame widths, clockwise by arc length.
        masks: uint8 (T, S, S): 0 background, o + 1 where object o covers at least half of the pixel and is in front.
    """

    frames: np.ndarray
    outlines: np.ndarray
    masks: np.ndarray


def combinations() -> list[Combination]:
    """All 216 combinations of shape, colour and motion."""
    return [Combination(*c) for c in itertools.product(SHAPES, COLOURS, MOTIONS)]


def held_out(number: int, seed: int) -> set[Combination]:
    """Combinations that the training split does not contain: balanced over shapes, colours and motions.

    They are taken from Latin squares, so that up to 36 of them hide no *pair* of attributes: training still shows every
    shape in every colour, every colour in every motion and every shape in every motion.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    shift = int(rng.integers(6))
    shapes, colours, motions = rng.permutation(6), rng.permutation(6), rng.permutation(6)
    chosen = [
        Combination(SHAPES[shapes[i]], COLOURS[colours[j]], MOTIONS[motions[(i + j + shift + square) % 6]])
        for square in range(6)
        for j in range(6)
        for i in range(6)
    ]
    return set(chosen[:number])


def sides(number: int, seed: int) -> dict[str, list[Combination]]:
    """The combinations of each split: the :func:`held_out` ones for ``test``, the others for ``train``."""
    hidden = held_out(number, seed)
    return {
        "train": [combination for combination in combinations() if combination not in hidden],
        "test": [combination for combination in combinations() if combination in hidden],
    }


def scene_rng(seed: int, scene_id: str) -> np.random.Generator:
    """The generator of everything random in one scene; scenes do not depend on each other."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(scene_id.encode()).digest()[:8], "big")])


def sample_scene(
    rng: np.random.Generator,
    what: list[Combination],
    moving_background: bool = False,
    duration: float | None = None,
    frames: int = 16,
) -> Scene:
    """Draw a scene at random.

    Args:
        rng: the only source of randomness.
        what: shape, colour and motion of each object, from back to front.
        moving_background: the background drifts, as under a panning camera.
        duration: seconds of the action; drawn from [1, 3] if None.
        frames: T; the frame rate is (T - 1) / duration.
    """
    objects = tuple(_sample_object(rng, combination) for combination in what)
    seconds = float(rng.uniform(1.0, 3.0)) if duration is None else duration
    grey = rng.uniform(0.45, 0.75)
    colour = grey + rng.uniform(-0.05, 0.05, 3)
    heading = rng.uniform(0, 2 * math.pi)
    speed = rng.uniform(0.1, 0.3) if moving_background else 0.0
    return Scene(
        objects=objects,
        background_seed=int(rng.integers(2**31)),
        background_colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        background_velocity=(speed * math.cos(heading), speed * math.sin(heading)),
        light=float(rng.uniform(-0.75, -0.25) * math.pi),
        fps=round((frames - 1) / seconds, 3),
    )


def _sample_object(rng: np.random.Generator, what: Combination) -> SceneObject:
    radius = float(rng.uniform(0.15, 0.21))
    near, far = rng.uniform(0.22, 0.28), rng.uniform(0.72, 0.78)
    side, drift = rng.uniform(0.3, 0.7), rng.uniform(-0.05, 0.05)
    middle = rng.uniform(0.45, 0.55, 2)
    paths = {
        "left to right": ((near, side), (far, side + drift)),
        "right to left": ((far, side), (near, side + drift)),
        "top to bottom": ((side, near), (side + drift, far)),
        "bottom to top": ((side, far), (side + drift, near)),
    }
    if what.motion == "growing":
        radius = float(rng.uniform(0.24, 0.32))
    start, end = paths.get(what.motion, (middle, middle))
    return SceneObject(
        what=what,
        radius=radius,
        angle=float(rng.uniform(-0.12, 0.12)),
        start=(float(start[0]), float(start[1])),
        end=(float(end[0]), float(end[1])),
        orbit=float(rng.uniform(0.16, 0.22)) if what.motion == "in a circle" else 0.0,
        phase=float(rng.uniform(0, 2 * math.pi)),
        turn=int(rng.choice([-1, 1])),
        hue=float(_HUES[what.colour] + rng.uniform(-7, 7)),
    )


def caption_of(scene: Scene, rng: np.random.Generator) -> str:
    """A caption in varied wording, such as "a video of a red disc that ..."; every word of it is true."""
    parts = []
    for one in scene.objects:
        shape = str(rng.choice(_WORDS_FOR_SHAPE[one.what.shape]))
        parts.append(f"a {one.what.colour} {shape} {rng.choice(_WORDS_FOR_MOTION[one.what.motion])}")
    return str(rng.choice(_OPENINGS)) + " and ".join(parts)


def still_caption_of(scene: Scene, rng: np.random.Generator) -> str:
    """A caption of a single frame, such as "a red disc": the object without its motion."""
    return " and ".join(f"a {one.what.colour} {rng.choice(_WORDS_FOR_SHAPE[one.what.shape])}" for one in scene.objects)


def semantic_map(scene: Scene, masks: np.ndarray) -> np.ndarray:
    """Semantic maps: each shape in its own colour (:data:`SHAPE_COLOURS`), on black: uint8 (T, S, S, 3).

    Args:
        scene: whose objects the masks number.
        masks: of its :class:`RenderedScene`, uint8 (T, S, S).
    """
    palette = [(0, 0, 0), *(SHAPE_COLOURS[one.what.shape] for one in scene.objects)]
    return np.array(palette, np.uint8)[masks]


def render_scene(scene: Scene, size: int, frames: int) -> RenderedScene:
    """Render a scene: objects with a lit and a dark side, a soft shadow on the background, anti-aliased outlines.

    Args:
        scene: what to show.
        size: S, pixels.
        frames: T.
    """
    return render_at(scene, size, np.linspace(0, 1, frames))


def render_at(scene: Scene, size: int, times: np.ndarray) -> RenderedScene:
    """Render a scene at T times in [0, 1]; see :func:`render_scene`."""
    pixel_centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(pixel_centres, pixel_centres, indexing="ij")
    background = _background(scene, size)
    light = np.array([math.cos(scene.light), math.sin(scene.light)], np.float32)
    outlines = np.stack([[o.outline(float(t)) for o in scene.objects] for t in times]).astype(np.float32)
    video = np.empty((len(times), size, size, 3), np.uint8)
    masks = np.zeros((len(times), size, size), np.uint8)
    for t, time in enumerate(times):
        picture = _shifted(
            background, scene.background_velocity[0] * time * size, scene.background_velocity[1] * time * size, size
        )
        for o, one in enumerate(scene.objects):
            radius, centre = one.scale(float(time)), one.centre(float(time))
            shadow = _coverage(outlines[t, o] - light * radius * 0.25, size)
            shadow = cv2.GaussianBlur(shadow, (0, 0), max(size * radius * 0.22, 0.5))
            picture = picture * (1 - 0.35 * shadow[..., None])
            covered = _coverage(outlines[t, o], size)
            towards_light = ((x - centre[0]) * light[0] + (y - centre[1]) * light[1]) / radius
            picture += covered[..., None] * (_shaded(one.hue, towards_light) - picture)
            masks[t][covered >= 0.5] = o + 1
        video[t] = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    return RenderedScene(video, outlines, masks)


def _unit_outline(shape: str) -> np.ndarray:
    """Outline of radius 1 about the origin: (128, 2), clockwise on screen (y down), evenly spaced by arc length."""
    if shape == "circle":
        return 0.88 * _circle(np.linspace(0, 2 * math.pi, OUTLINE_POINTS, endpoint=False))
    if shape == "square":
        corners = _circle(np.array([1.25, 1.75, 0.25, 0.75]) * math.pi)
    elif shape == "triangle":
        corners = _circle(np.array([-1 / 2, 1 / 6, 5 / 6]) * math.pi) + np.array([0, 0.12])
    elif shape == "star":
        corners = _circle(-math.pi / 2 + np.arange(10) * math.pi / 5) * np.where(np.arange(10) % 2, 0.45, 1.05)[:, None]
    elif shape == "cross":
        w = 0.34
        quarter = np.array([[-w, -w], [-w, -1.0], [w, -1.0]])
        corners = np.concatenate([quarter @ np.array([[c, s], [-s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))])
    elif shape == "heart":
        a = np.linspace(0, 2 * math.pi, 400, endpoint=False)
        across = 16 * np.sin(a) ** 3
        up = 13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)
        corners = np.stack([across, -up - 2.5], 1) / 16.5
    else:
        raise ValueError(f"unknown shape {shape!r}; known are {', '.join(SHAPES)}")
    ends = np.concatenate([corners, corners[:1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ends, axis=0), axis=1))])
    at = np.linspace(0, along[-1], OUTLINE_POINTS, endpoint=False)
    return np.stack([np.interp(at, along, ends[:, axis]) for axis in range(2)], 1)


def _circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def _coverage(outline: np.ndarray, size: int) -> np.ndarray:
    """Share of each pixel inside a closed outline (P, 2): float32 (S, S) in [0, 1]."""
    fine = np.zeros((size * _SUPERSAMPLING,) * 2, np.uint8)
    # OpenCV's integer coordinates name pixel centres; ours name the pixel grid.
    vertices = ((outline * size * _SUPERSAMPLING - 0.5) * 2**_SUBPIXEL_BITS).round().astype(np.int32)
    cv2.fillPoly(fine, [vertices], 2, cv2.LINE_8, _SUBPIXEL_BITS)
    # fillPoly covers every pixel that the outline touches; on average half of such a pixel is inside.
    cv2.polylines(fine, [vertices], True, 1, 1, cv2.LINE_8, _SUBPIXEL_BITS)
    return cv2.resize(fine.astype(np.float32) / 2, (size, size), interpolation=cv2.INTER_AREA)


def _shaded(hue: float, towards_light: np.ndarray) -> np.ndarray:
    """Colour of a surface of one hue, brighter towards the light: float32 (S, S, 3) in [0, 1]."""
    value = np.clip(0.8 + 0.2 * towards_light, 0.45, 1.0)
    saturation = np.clip(0.92 - 0.18 * np.maximum(towards_light, 0), 0, 1)
    hues = np.full_like(value, hue % 360)
    return cv2.cvtColor(np.stack([hues, saturation, value], -1).astype(np.float32), cv2.COLOR_HSV2RGB)


def _background(scene: Scene, size: int) -> np.ndarray:
    """Textured background, twice as large as the frame so that it can move: float32 (2S, 2S, 3)."""
    rng = np.random.default_rng(scene.background_seed)
    texture = np.zeros((2 * size, 2 * size), np.float32)
    for cells, weight in ((4, 0.05), (16, 0.02), (48, 0.015)):
        noise = rng.standard_normal((cells, cells)).astype(np.float32)
        texture += weight * cv2.resize(noise, (2 * size, 2 * size), interpolation=cv2.INTER_CUBIC)
    return np.array(scene.background_colour, np.float32) + texture[..., None]


def _shifted(background: np.ndarray, dx: float, dy: float, size: int) -> np.ndarray:
    """The frame's part of the background after it moved by (dx, dy) pixels, to subpixel accuracy."""
    middle = size / 2
    move = np.array([[1, 0, dx - middle], [0, 1, dy - middle]], np.float32)
    return cv2.warpAffine(background, move, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
