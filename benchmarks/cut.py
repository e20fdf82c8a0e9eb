"""Cut one video into overlapping clips, so that a model can learn it: ``python -m benchmarks.cut VIDEO FOLDER``.

The graph takes a clip for a whole action. Who tunes on a single video, as Tune-A-Video does, wants its pieces instead,
each at the rate of the whole. ``sketch2video source FOLDER/captions.csv`` then makes them the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.command import run as run_command
from sketch2video.diffusion.windows import window_starts
from sketch2video.errors import UserError
from sketch2video.files import replacing
from sketch2video.media.codec import read_excerpt
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.writing import write_video

FPS = 8.0
"""Of the pieces' files; the rate conditions the model, and is the same for all pieces."""
HELD_OUT = 8
"""Every so manieth piece is of the test split. It shares frames with its neighbours: nothing is held out in truth."""


def main(
    video: Annotated[Path, typer.Argument(help="To be cut")],
    folder: Annotated[Path, typer.Argument(help="Gets the pieces and captions.csv")],
    caption: Annotated[str, typer.Option(help="Of all pieces")],
    frames: Annotated[int, typer.Option(min=2, help="Evenly spread over the video")] = 128,
    length: Annotated[int, typer.Option(min=2, help="Frames of a piece")] = 16,
    stride: Annotated[int, typer.Option(min=1, help="Frames from one piece to the next")] = 2,
) -> None:
    """Cut a video into overlapping clips."""
    if not caption.strip():
        raise UserError("the caption is empty; describe the video: --caption TEXT")
    if frames < length:
        raise UserError(f"{frames} frames have no piece of {length}; use more --frames or a shorter --length")
    try:
        shown = read_excerpt(video, frames, "spread")
    except RejectedVideo as error:
        raise UserError(f"{error}; name another video or fewer --frames") from error
    starts = window_starts(frames, length, stride)
    names = [f"{start:04d}.mp4" for start in starts]
    folder.mkdir(parents=True, exist_ok=True)
    for name, start in zip(names, starts, strict=True):
        write_video(folder / name, shown[start : start + length], FPS)
    split = np.where(np.arange(len(names)) % HELD_OUT == HELD_OUT // 2, "test", "train")
    with replacing(folder / "captions.csv") as partial:
        pd.DataFrame({"path_to_video": names, "caption": caption, "split": split}).to_csv(partial, index=False)
    print(f"{len(names)} pieces in {folder}; next: sketch2video source {folder / 'captions.csv'}")


if __name__ == "__main__":
    run_command(main)
