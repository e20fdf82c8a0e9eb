"""Labels and captions of embedded scenes with two objects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sketch2video.scenes.fixed_point import FRACTION_BITS, fixed_point

# These names are private, but must stay: a change to the code of that file would make all existing clips anew.
from sketch2video.scenes.synthetic import (
    _OPENINGS,
    _WORDS_FOR_MOTION,
    _WORDS_FOR_SHAPE,
    Combination,
    Scene,
    SceneObject,
)

AND = " and "
SEEN = 0.5
"""Share of an object that must be visible in some frame for its shape and colour to be labels."""
OVERLAP = (0.15, 0.85)
"""Shares of the object behind that the one in front hides, between which the picture shows which one is in front."""
OVERLAPPING = 1 / 8
"""Minimum share of the frames with such an overlap for the order to be a label."""


def labels_of_two(
    what: Sequence[Combination], masks: np.ndarray, outlines: np.ndarray, in_front: bool = False
) -> dict[str, str]:
    """``shapes``, such as "circle and star", ``colours`` and ``motions``, likewise, words in alphabetical order.

    One object has no such labels, and there are no ``shapes`` and ``colours`` where one object hides the other in all
    frames.

    Args:
        what: the objects from back to front.
        masks, outlines: of the :class:`~sketch2video.scenes.synthetic.RenderedScene`.
        in_front: also ``front_shape`` and ``front_colour``, of the object in front, where the objects overlap visibly.
    """
    if len(what) != 2:
        return {}
    labels = {"motions": AND.join(sorted(one.motion for one in what))}
    if most_in_sight(masks, outlines).min() >= SEEN:
        labels["shapes"] = AND.join(sorted(one.shape for one in what))
        labels["colours"] = AND.join(sorted(one.colour for one in what))
    if in_front and overlap_visibly(masks, outlines):
        labels |= {"front_shape": what[1].shape, "front_colour": what[1].colour}
    return labels


def most_in_sight(masks: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """The largest share of each object that any frame shows: float64 (O,), about 1 where nothing hides it.

    Args:
        masks: uint8 (T, S, S), o + 1 where object o is in front.
        outlines: (T, O, P, 2), frame widths, closed implicitly.
    """
    x, y = np.moveaxis(outlines.astype(np.float64) * masks.shape[-1], -1, 0)
    areas = 0.5 * np.abs((x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1))
    shown = np.stack([(masks == o + 1).sum((1, 2)) for o in range(outlines.shape[1])], 1)
    shares: np.ndarray = (shown / areas).max(0)
    return shares


def hidden_share(masks: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Share of the object behind that the object in front hides in each frame: float64 (T,) in [0, 1].

    Args:
        masks: uint8 (T, S, S), 2 where the object in front is.
        outlines: (T, 2, P, 2), frame widths, closed implicitly; the object behind is the first.
    """
    vertices = fixed_point(outlines[:, 0], masks.shape[-1])
    shares = np.zeros(len(masks))
    for t, mask in enumerate(masks):
        inside = cv2.fillPoly(np.zeros_like(mask), [vertices[t]], 1, cv2.LINE_8, FRACTION_BITS) > 0
        shares[t] = (mask[inside] == 2).mean() if inside.any() else 0.0
    return shares


def overlap_visibly(masks: np.ndarray, outlines: np.ndarray) -> bool:
    """Whether enough frames show that one object is in front of the other; arguments as of :func:`hidden_share`."""
    shares = hidden_share(masks, outlines)
    return bool(((shares >= OVERLAP[0]) & (shares <= OVERLAP[1])).mean() >= OVERLAPPING)


def ordered_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption that says which object is in front, such as "a red disc that grows behind a blue star that ...".

    Args:
        scene: a scene with two objects that overlap visibly.
        rng: random generator of the wording.
    """
    behind, front = (_described(one, rng) for one in scene.objects)
    words = f"{front} in front of {behind}" if rng.random() < 0.5 else f"{behind} behind {front}"
    return str(rng.choice(_OPENINGS)) + words


def _described(one: SceneObject, rng: np.random.Generator) -> str:
    shape, motion = rng.choice(_WORDS_FOR_SHAPE[one.what.shape]), rng.choice(_WORDS_FOR_MOTION[one.what.motion])
    return f"a {one.what.colour} {shape} that {motion}"
