"""Accuracy of foreground segmentation: ``python -m benchmarks.foreground [--video FILE --mask FILE]``.

The embedded scenes have true masks: one and two objects, in every motion, over a static and a moving background, at the
size and length of ``params.yaml``. The score is the IoU (intersection over union) of the found and true foreground of a
frame, mean over the frames of a clip.

A video of the user's needs a mask video with as many frames. The foreground is white, or the colour ``--colour``, such
as "150,5,61" for people in ADE20K's colours.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import typer

from benchmarks.clock import clocked
from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.errors import UserError
from sketch2video.media.codec import read_clip, read_companion
from sketch2video.media.writing import write_png
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import COLOURS, MOTIONS, SHAPES, Combination, render_scene, sample_scene
from sketch2video.steadiness.segmenters import MOTION, segment

SHOWN_FRAMES, SIDE = 5, 160
"""Frames of a clip on the sheet, and their side, px."""
NEAR = 40
"""Tolerance of a mask's colour, of 255: video codecs change colours."""
TRUE, FOUND = (0, 255, 0), (255, 0, 255)
"""RGB of the outlines."""


class Clip(NamedTuple):
    """A clip with its true foreground.

    Attributes:
        about: columns by which the table is grouped: background (``ground``), motion, and the clip's name.
        frames: uint8 (T, H, W, 3).
        truth: bool (T, H, W).
    """

    about: dict[str, str]
    frames: np.ndarray
    truth: np.ndarray


def main(
    segmenter: Annotated[str, typer.Option(help="motion, or a folder or hub id of a SAM")] = MOTION,
    video: Annotated[Path | None, typer.Option(help="A video to measure on instead of the scenes")] = None,
    mask: Annotated[Path | None, typer.Option(help="Its mask, a video with as many frames")] = None,
    colour: Annotated[str, typer.Option(help="RGB of the mask's foreground")] = "255,255,255",
    size: Annotated[int | None, typer.Option(help="Side of the frames, px; by default that of params.yaml")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes of each motion, background and number of objects")] = 2,
    reports: Annotated[Path, typer.Option(help="Where foreground.{json,md,png} go")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure how much of the true foreground is found, and show it."""
    name = "foreground" if video is None else f"foreground_{video.stem}"
    page = page_of(name, write)
    base = load_params().base
    size = size or base.size
    if (video is None) != (mask is None):
        raise UserError("--video and --mask belong together; give both or neither")
    if video is not None and mask is not None:
        clips = [users_clip(video, mask, rgb_of(colour), base.frames, size)]
    else:
        clips = embedded_clips(base.seed, scenes, base.frames, size)
    found, rows = [], []
    for clip in clips:
        masks, seconds = clocked(functools.partial(segment, clip.frames, segmenter))
        scores = ious(masks, clip.truth)
        found.append(masks)
        rows.append(clip.about | {"iou": scores.mean(), "worst": scores.min(), "ms": 1000 * seconds / len(masks)})
    table = pd.DataFrame(rows)
    about = {"segmenter": segmenter, "clips": len(clips), "frames": base.frames, "size": size}
    results = {"protocol": about, "clips": table.to_dict("records")}
    publish(name, markdown(table, about), results, reports, page)
    save_sheet(reports / f"{name}.png", clips, found, table)
    print(f"written to {reports}/{name}.png")


def embedded_clips(seed: int, scenes: int, frames: int, size: int) -> list[Clip]:
    """Scenes of every motion with one and two objects, static and moving backgrounds, ``scenes`` of each."""
    clips = []
    for number in range(scenes * len(MOTIONS)):
        i, turn = number % len(MOTIONS), number // len(MOTIONS)
        words = [
            Combination(SHAPES[(i + turn) % 6], COLOURS[(i + 2 * turn) % 6], MOTIONS[i]),
            Combination(SHAPES[(i + turn + 2) % 6], COLOURS[(i + 2 * turn + 3) % 6], MOTIONS[(i + turn + 1) % 6]),
        ]
        for moving in (False, True):
            for objects in (1, 2):
                rng = np.random.default_rng([seed, number])
                scene = sample_scene(rng, words[:objects], moving, frames=frames)
                rendered = render_scene(scene, size, frames)
                ground = "moving" if moving else "still"
                motion = MOTIONS[i] if objects == 1 else "two objects"
                about = {"clip": scene.label, "ground": ground, "motion": motion}
                clips.append(Clip(about, rendered.frames, rendered.masks > 0))
    return clips


def users_clip(video: Path, mask: Path, rgb: tuple[int, int, int], frames: int, size: int) -> Clip:
    """A video and what its mask shows in a colour.

    Raises:
        UserError: a file cannot be read, the mask has another number of frames, or nowhere the colour.
    """
    clip = read_clip(video, frames, size)
    truth = np.abs(read_companion(mask, clip).astype(int) - rgb).max(-1) <= NEAR
    if not truth.any():
        raise UserError(f"{mask} shows the colour {rgb} nowhere; name its foreground's with --colour R,G,B")
    return Clip({"clip": video.stem, "ground": "video", "motion": "video"}, clip.frames, truth)


def rgb_of(text: str) -> tuple[int, int, int]:
    """The colour that "R,G,B" names.

    Raises:
        UserError: it is not three numbers from 0 to 255.
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) <= 255 for part in parts):
        raise UserError(f"--colour {text} is no colour; give three numbers from 0 to 255, such as 150,5,61")
    red, green, blue = map(int, parts)
    return red, green, blue


def ious(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union of each frame's masks, bool (T, H, W): (T,); 1 where both are empty."""
    union = (found | truth).sum((1, 2))
    return np.where(union, (found & truth).sum((1, 2)) / np.maximum(union, 1), 1.0)


def markdown(table: pd.DataFrame, about: dict[str, Any]) -> str:
    """The table by background and motion."""
    columns = ["background", "motion", "clips", "IoU", "worst clip", "worst frame", "CPU ms a frame"]
    lines = []
    for ground, rows_of_ground in table.groupby("ground", sort=False):
        groups = [*rows_of_ground.groupby("motion", sort=False), ("all", rows_of_ground)]
        for motion, rows in groups if len(groups) > 2 else groups[:1]:
            numbers = (rows["iou"].mean(), rows["iou"].min(), rows["worst"].min())
            cells = [f"{number:.3f}" for number in numbers]
            lines.append([str(ground), str(motion), str(len(rows)), *cells, f"{rows['ms'].mean():.0f}"])
    setting = (
        f"Segmenter `{about['segmenter']}`, {about['clips']} clips of {about['frames']} frames of {about['size']} px."
    )
    return f"{setting}\n\n{as_table(columns, lines)}\n"


def save_sheet(path: Path, clips: list[Clip], found: list[np.ndarray], table: pd.DataFrame) -> None:
    """The worst clips, at most twelve: their frames with the true outline (green) and the found one (magenta); PNG."""
    strips = []
    for i in table["iou"].sort_values().index[:12]:
        indices = np.linspace(0, len(clips[i].frames) - 1, SHOWN_FRAMES).round().astype(int)
        strips.append(np.hstack([_outlined(clips[i].frames[t], clips[i].truth[t], found[i][t]) for t in indices]))
    write_png(path, np.vstack(strips))


def _outlined(frame: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    enlarged = (SIDE, SIDE)
    picture = cv2.resize(frame, enlarged, interpolation=cv2.INTER_NEAREST)
    for mask, colour in ((truth, TRUE), (found, FOUND)):
        large = cv2.resize(mask.astype(np.uint8), enlarged, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, 1)
    return picture


if __name__ == "__main__":
    run_command(main)
