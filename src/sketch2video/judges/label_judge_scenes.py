"""Embedded scenes with two objects, drawn or as videos: further training data for the judges of their labels.

A training split has each of the 21 pairs of shapes a few dozen times, often with one object in front of the other, and
lacks the held-out combinations; any number of scenes of all combinations can be generated. Drawings are of true
outlines, with hidden parts removed, since fitting curves to as many would take most of the time.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from sketch2video.data.clips.shards import named_labels
from sketch2video.scenes.fixed_point import FRACTION_BITS, fixed_point
from sketch2video.scenes.synthetic import MOTIONS, SHAPES, combinations, render_at, sample_scene
from sketch2video.scenes.two_objects import AND, labels_of_two

JUDGE_STREAM = 0x10D6E
"""First word of the judges' seeds, which no other part of the project uses."""

_WORDS = {"label.shapes": SHAPES, "label.motions": MOTIONS}


def shows_two_objects(table: pd.DataFrame) -> bool:
    """Whether the clips of a table have the labels of embedded scenes with two objects."""
    return all(
        name in table and table[name].notna().any() and all(_is_pair(word, words) for word in table[name].dropna())
        for name, words in _WORDS.items()
    )


def _is_pair(word: str, words: tuple[str, ...]) -> bool:
    parts = word.split(AND)
    return len(parts) == 2 and set(parts) <= set(words)


def scenes_of_two(number: int, size: int, frames: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Drawings of scenes with two objects of any shapes and motions.

    Args:
        number: N, number of scenes; scene i is a function of (seed, i), with random numbers that ingest does not use.
        size: S, side of the frames, px.
        frames: T.
        seed: random seed.

    Returns:
        Ink uint8 (N, T, S, S), 255 on 0, and N rows with the columns ``label.shapes``, null as in ingest, and
        ``label.motions``.
    """
    ink, rows = np.zeros((number, frames, size, size), np.uint8), []
    every = combinations()
    for index in range(number):
        rng = np.random.default_rng([JUDGE_STREAM, 2, seed, index])
        what = [every[rng.integers(len(every))] for _ in range(2)]
        scene = sample_scene(rng, what, frames=frames)
        outlines = np.stack([[one.outline(t) for one in scene.objects] for t in np.linspace(0, 1, frames)])
        masks = draw_outlines(ink[index], outlines)
        rows.append(named_labels(labels_of_two(what, masks, outlines)))
    return ink, pd.DataFrame(rows, columns=list(_WORDS))


def videos_of_two(number: int, size: int, times: np.ndarray, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Videos of scenes with two objects of any shapes, colours and motions; the ground moves in every second one.

    Args:
        number: N, number of scenes; scene i is a function of (seed, i), with random numbers that ingest does not use.
        size: S, side of the frames, px.
        times: T times of the frames in [0, 1].
        seed: random seed.

    Returns:
        Frames uint8 (N, T, S, S, 3), and N rows with all labels of
        :func:`~sketch2video.scenes.two_objects.labels_of_two`, as columns ``label.*``.
    """
    frames, rows = np.zeros((number, len(times), size, size, 3), np.uint8), []
    every = combinations()
    for index in range(number):
        rng = np.random.default_rng([JUDGE_STREAM, 3, seed, index])
        what = [every[rng.integers(len(every))] for _ in range(2)]
        rendered = render_at(sample_scene(rng, what, moving_background=bool(index % 2)), size, times)
        frames[index] = rendered.frames
        rows.append(named_labels(labels_of_two(what, rendered.masks, rendered.outlines, in_front=True)))
    return frames, pd.DataFrame(rows)


def draw_outlines(ink: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Draw outlines (T, O, P, 2), frame widths, from back to front.

    Args:
        ink: uint8 (T, S, S), changed in place.
        outlines: outlines of a scene's objects.

    Returns:
        Masks uint8 (T, S, S): o + 1 where object o is in front, else 0.
    """
    masks = np.zeros_like(ink)
    vertices = fixed_point(outlines, ink.shape[-1])
    for picture, mask, objects in zip(ink, masks, vertices, strict=True):
        for number, outline in enumerate(objects, 1):
            cv2.fillPoly(mask, [outline], number, cv2.LINE_8, FRACTION_BITS)
            cv2.fillPoly(picture, [outline], 0, cv2.LINE_8, FRACTION_BITS)
            cv2.polylines(picture, [outline], True, 255, 1, cv2.LINE_AA, FRACTION_BITS)
    return masks
