"""Clips to measure on: the embedded scenes, of which the truth is known, or real videos.

Protocol for real clips: 16 frames, every second one from the first; the middle square; 128 x 128 px, resized by area;
ink by OpenCV's ``Canny(80, 160)`` after ``bilateralFilter(grey, 7, 60, 5)``. Embedded scenes have the size and the
number of frames of ``params.yaml`` and are drawn as the stage ``sketch`` draws them.

Whether a cut divides two frames is determined by the video, not by any method: half the L1 distance of their colour
histograms (6 x 6 x 6 cells of RGB) is above 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from sketch2video.data.sources.captions import read_captions
from sketch2video.errors import UserError
from sketch2video.media.codec import read_frames
from sketch2video.media.containers import VIDEOS
from sketch2video.media.pictures import middle_square
from sketch2video.params import Params
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES, Combination, render_scene, sample_scene
from sketch2video.sketches import extract_sketches

FRAMES, EVERY, SIZE = 16, 2, 128
CUT = 0.5
BINS = 6
PAIRS = 12
"""Number of embedded scenes with two objects and a moving background."""

TABLE = "captions.csv"


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip and its drawing.

    Attributes:
        name: of the clip.
        frames: uint8 (T, H, W, 3) RGB.
        ink: uint8 (T, H, W), 255 ink on 0.
        outlines: (T, O, 128, 2), px, the objects' true outlines, point for point through time; None for real clips.
        shape: word for the only object's shape; None if there are several, or the clip is real.
    """

    name: str
    frames: np.ndarray
    ink: np.ndarray
    outlines: np.ndarray | None = None
    shape: str | None = None

    def first(self, frames: int | None) -> Clip:
        """The clip's first frames; None: all of it."""
        outlines = None if self.outlines is None else self.outlines[:frames]
        return Clip(self.name, self.frames[:frames], self.ink[:frames], outlines, self.shape)

    @cached_property
    def together(self) -> np.ndarray:
        """Which pairs of neighbouring frames no cut divides: (T - 1,) bool."""
        histograms = np.stack([colour_histogram(frame) for frame in self.frames])
        return np.abs(np.diff(histograms, axis=0)).sum(1) / 2 <= CUT

    @cached_property
    def flow(self) -> np.ndarray:
        """Dense optical flow from each frame to the next: (T - 1, H, W, 2) px (Kroeger et al. 2016)."""
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in self.frames]
        flows = [estimator.calc(a, b, np.zeros((*a.shape, 2), np.float32)) for a, b in pairwise(grey)]
        return np.stack(flows) if flows else np.zeros((0, *self.ink.shape[1:], 2), np.float32)


def colour_histogram(frame: np.ndarray) -> np.ndarray:
    """Share of the pixels of a frame (H, W, 3) in each of 6 x 6 x 6 cells of RGB: (216,)."""
    cells = (frame.reshape(-1, 3).astype(np.int64) * BINS) // 256
    return np.bincount(cells @ [BINS * BINS, BINS, 1], minlength=BINS**3) / len(cells)


def embedded_clips(params: Params) -> list[Clip]:
    """Every shape in every motion, one object each, and some scenes of two objects with a moving background."""
    single = [
        [Combination(shape, COLOURS[(i + j) % len(COLOURS)], motion)]
        for i, shape in enumerate(SHAPES)
        for j, motion in enumerate(MOTIONS)
    ]
    double = [[single[i][0], single[(7 * i + 9) % len(single)][0]] for i in range(0, 3 * PAIRS, 3)]
    return [_embedded(params, seed, what) for seed, what in enumerate(single + double)]


def _embedded(params: Params, seed: int, what: list[Combination]) -> Clip:
    size, frames = params.base.size, params.base.frames
    scene = sample_scene(np.random.default_rng([params.base.seed, seed]), what, len(what) > 1, frames=frames)
    rendered = render_scene(scene, size, frames)
    shape = what[0].shape if len(what) == 1 else None
    ink = extract_sketches(
        rendered.frames,
        smoothing=params.sketch.smoothing,
        contrast=params.sketch.contrast,
        min_length=params.sketch.min_length,
    )
    return Clip(f"{seed:02d} {scene.label}", rendered.frames, ink, rendered.outlines * size, shape)


def real_clips(source: Path) -> list[Clip]:
    """The videos of a source, see :func:`videos_of`, by the protocol.

    Raises:
        UserError: there is no such file or folder, it names no video, a row of the CSV cannot be used, or a video
            cannot be read.
    """
    return [_real(video.path) for video in videos_of(source)]


def chosen_clips(source: Path | None, params: Params) -> list[Clip]:
    """:func:`real_clips` of a source, or without one the embedded scenes."""
    return embedded_clips(params) if source is None else real_clips(source)


class NamedVideo(NamedTuple):
    """A video file with its caption, and its label if it has one; without a CSV the caption is the file's name."""

    path: Path
    caption: str
    label: str | None = None


def videos_of(source: Path) -> list[NamedVideo]:
    """The videos of a CSV of captions, of a folder with a ``captions.csv``, or of a folder of videos.

    Each file comes once, with the first of its captions.

    Raises:
        UserError: there is no such file or folder, it names no video, or a row of the CSV cannot be used.
    """
    table = source / TABLE if source.is_dir() else source
    if table.suffix == ".csv" and table.exists():
        found = read_captions(table.parent, table.name)
        if found.rejected:
            first = found.rejected[0]
            raise UserError(f"{table}, line {first.row}: {first.reason}; fix or remove the row")
        named: dict[str, NamedVideo] = {}
        for row in found.rows:
            named.setdefault(row.path, NamedVideo(table.parent / row.path, row.caption, row.label))
        return list(named.values())
    if not source.is_dir():
        raise UserError(f"{source} is not there; give a CSV of captions, or a folder of videos")
    videos = sorted(path for path in source.iterdir() if path.suffix.lower() in VIDEOS)
    if not videos:
        raise UserError(f"{source} holds no video and no {TABLE}; give a CSV of captions, or a folder of videos")
    return [NamedVideo(path, path.stem) for path in videos]


def _real(path: Path) -> Clip:
    frames = np.stack([middle_square(frame, SIZE) for frame in islice(read_frames(path), 0, EVERY * FRAMES, EVERY)])
    return Clip(path.stem, frames, canny(frames))


def canny(frames: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The ink of real clips, by the protocol: uint8 (T, H, W)."""
    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    return np.stack([cv2.Canny(cv2.bilateralFilter(picture, 7, 60, 5), 80, 160) for picture in grey])
