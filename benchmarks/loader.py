"""Random frames of a long video: by seeking, and by decoding all of it: ``python -m benchmarks.loader``.

The video is made here: H.264 with B-frames, a texture that drifts under moving discs. What is compared gives the same
frames, which is checked. "decode all" is what the third paper's loader does, without its cost of keeping the frames:
only the requested ones become RGB. "first sample" has the cost of making the index in it.

Times are CPU time on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import cv2
import numpy as np
import typer

from benchmarks.clock import clocked
from benchmarks.command import run as run_command
from benchmarks.plots import save_loader
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.media.containers import opened_video, pixel_aspect_of
from sketch2video.media.seeking import FrameReader, index_frames
from sketch2video.media.shown import shown

HEIGHT, WIDTH, FPS = 240, 320, 25
GROUPS = (30, 250)
"""Frames from a key frame to the next; 250 is x264's own choice."""
PATIENCE = {"decode all": 3, "seek, first sample": 5, "seek": 20}
"""Samples of each method."""

Method = Callable[[Sequence[int]], np.ndarray]


def write_long_video(path: Path, frames: int, group: int) -> None:
    """Write an mp4 of this many frames with a key frame every ``group`` frames."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
    discs = rng.uniform(0, 1, (6, 6))
    with av.open(str(path), "w") as container:
        options = {"threads": "1", "preset": "veryfast", "bf": "3", "sc_threshold": "0", "crf": "20"}
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", group
        for number in range(frames):
            picture: np.ndarray = np.roll(texture, number, 1)
            for x, y, across, down, red, blue in discs:
                centre = int((x + across * number / 90) % 1 * WIDTH), int((y + down * number / 120) % 1 * HEIGHT)
                cv2.circle(picture, centre, 18, (int(255 * red), 128, int(255 * blue)), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def by_decoding_all(path: Path, numbers: Sequence[int]) -> np.ndarray:
    """The frames with these numbers, all frames of the file having been decoded."""
    found: dict[int, np.ndarray] = {}
    with opened_video(path) as (container, stream):
        pixel_aspect = pixel_aspect_of(stream)
        for number, frame in enumerate(container.decode(stream)):
            if number in numbers:
                found[number] = shown(frame, pixel_aspect)
    return np.stack([found[number] for number in numbers])


def by_first_seeking(path: Path, numbers: Sequence[int]) -> np.ndarray:
    """The same of a file that has not been seen before."""
    with FrameReader(path) as reader:
        return reader.frames(numbers)


def measured(path: Path, wanted: int, group: int) -> list[dict[str, Any]]:
    """Rows of the table for one file, one a method."""
    with FrameReader(path, index_frames(path)) as reader:
        methods: dict[str, Method] = {
            "decode all": lambda numbers: by_decoding_all(path, numbers),
            "seek, first sample": lambda numbers: by_first_seeking(path, numbers),
            "seek": reader.frames,
        }
        rng = np.random.default_rng(group)
        samples = [
            sorted(rng.choice(len(reader), wanted, replace=False).tolist()) for _ in range(max(PATIENCE.values()))
        ]
        rows: list[dict[str, Any]] = []
        pictures: dict[tuple[int, ...], np.ndarray] = {}
        for name, method in methods.items():
            seconds = []
            for sample in samples[: PATIENCE[name]]:
                taken, cpu = clocked(partial(method, sample))
                seconds.append(cpu)
                pictures.setdefault(tuple(sample), taken)
                if not np.array_equal(pictures[tuple(sample)], taken):
                    raise AssertionError(f"{name} gives other frames")
            mean = float(np.mean(seconds))
            rows.append({"group": group, "method": name, "ms_a_sample": 1000 * mean, "frames_a_second": wanted / mean})
        rows[-1]["decoded_a_sample"] = reader.decoded / PATIENCE["seek"]
        rows[0]["decoded_a_sample"] = len(reader)
        return rows


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of the results."""
    base = {row["group"]: row["ms_a_sample"] for row in rows if row["method"] == "decode all"}
    cells = [
        (
            f"{row['group']}",
            row["method"],
            f"{row['ms_a_sample']:.1f}",
            f"{row['frames_a_second']:.1f}",
            f"{base[row['group']] / row['ms_a_sample']:.1f}",
        )
        for row in rows
    ]
    return as_table(("key frame every", "method", "ms a sample", "frames/s", "times decode all"), cells) + "\n"


def main(
    frames: Annotated[int, typer.Option(min=1, help="Frames of the video.")] = 2400,
    wanted: Annotated[int, typer.Option(min=1, help="Random frames a sample.")] = 8,
    reports: Annotated[Path, typer.Option(help="Where loader.{json,md,png} go.")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure what random frames of a long video cost."""
    page = page_of("loader", write)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for group in GROUPS:
            path = Path(folder) / f"{group}.mp4"
            write_long_video(path, frames, group)
            rows += measured(path, min(wanted, frames), group)
    about = {"frames": frames, "height": HEIGHT, "width": WIDTH, "codec": "h264, 3 B-frames", "wanted": wanted}
    publish("loader", as_markdown(rows), {"video": about, "rows": rows}, reports, page)
    save_loader(reports / "loader.png", rows)
    print(f"written to {reports}/loader.png")


if __name__ == "__main__":
    run_command(main)
