"""How fast the studio answers, and whether it stays so: ``python -m benchmarks.studio [MODEL]``.

The server is the command's own, in a process of its own. Times are those of a client on the same machine, from the
request to the last byte, and the server's CPU time, which other work on the machine does not lengthen. Set
``OMP_NUM_THREADS=1`` to measure one core. A paint is timed from its request to the event ``done`` and the sheet of its
frames, as the page shows it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import httpx
import numpy as np
import psutil
import typer

from benchmarks.command import run
from sketch2video.guard import guarded
from sketch2video.studio.documents import to_curves
from sketch2video.studio.schemas import Drawing

CAPTION = "a red circle moves left to right"
IN_A_ROW, AT_ONCE = 200, 20
REPEATED = 20
FAR = 0.1
NEAR = 6
"""Pixels from a stroke, before or after it is moved, or within it, that count as near."""


def main(
    model: Annotated[Path, typer.Argument(help="A pipeline's or a system's folder.")] = Path("models/sketch_ldm"),
) -> None:
    """Measure drawing, first video, repaint, 200 paints in a row and 20 at once."""
    with TemporaryDirectory() as folder, started(model, Path(folder)) as (process, client):
        chosen = client.get("/api/models").json()["models"][0]["id"]

        def draw(seed: int = 0) -> dict[str, Any]:
            asked = {"model": chosen, "caption": CAPTION, "seed": seed}
            return dict(client.post("/api/draw", json=asked).raise_for_status().json())

        def paint_job(seed: int, drawing: dict[str, Any] | None, name: str, gallery: bool) -> tuple[str, str]:
            asked = {"model": chosen, "caption": CAPTION, "seed": seed, "client": name, "gallery": gallery}
            response = client.post("/api/paint", json={**asked, "drawing": drawing}).raise_for_status()
            job = response.json()["job"]
            end = client.get(f"/api/paint/{job}/events").text.strip().split("\n\n")[-1]
            assert end.startswith("event: done"), end
            sheet = client.get(f"/api/frames/{job}").raise_for_status().json()["frames"][0]
            return str(json.loads(end.split("data: ")[1])["key"]), sheet

        def paint(seed: int, drawing: dict[str, Any] | None, name: str = "page", gallery: bool = True) -> str:
            return paint_job(seed, drawing, name, gallery)[0]

        def painted(seed: int, drawing: dict[str, Any]) -> np.ndarray:
            size = client.get("/api/models").json()["models"][0]["size"]
            return frames_of(paint_job(seed, drawing, "page", False)[1], drawing["frames"], size)

        show("drawing", process, [partial(draw, seed) for seed in range(REPEATED)])
        show("first video, from text", process, [partial(paint, seed, None) for seed in range(REPEATED)])
        drawing = draw()["drawing"]
        moves = [moved(drawing, step / 100) for step in range(REPEATED)]
        show("repaint of a changed drawing", process, [partial(paint, 0, each) for each in moves])
        changes = []
        for seed in range(8):
            before = draw(seed)["drawing"]
            after = moved(before, FAR)
            changes.append(change(painted(seed, before), painted(seed, after), before, after))
        near, far = np.mean(changes, axis=0)
        print(f"a stroke moved by {FAR} frame widths changes pixels by {near:.3f} near it and {far:.3f} elsewhere")
        same = partial(paint, 0, drawing, gallery=False)
        memory = resident(process)
        show(f"{IN_A_ROW} paints in a row", process, [same] * IN_A_ROW)
        print(f"memory before and after: {memory:.0f} and {resident(process):.0f} MiB")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            begin = time.perf_counter()
            keys = list(pool.map(lambda number: same(name=f"page-{number}"), range(AT_ONCE)))
        print(f"{AT_ONCE} clients at once: {len(keys)} videos in {time.perf_counter() - begin:.2f} s")
        if len(set(keys)) > 1:
            raise typer.Exit(1)


@contextmanager
def started(model: Path, output: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """The running command, when its first model is loaded, and a client."""
    arguments = ["studio", "--no-browser", "--port=0", f"--model={model}", f"--output={output}"]
    command = [sys.executable, "-c", "from sketch2video.cli import main; main()", *arguments]
    process = subprocess.Popen(
        command, env=guarded({**os.environ, "PYTHONUNBUFFERED": "1"}), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise typer.Exit(process.wait())
        with httpx.Client(base_url=found[0], timeout=120, transport=httpx.HTTPTransport(retries=9)) as client:
            while not client.get("/api/models").json()["models"][0]["loaded"]:
                time.sleep(0.1)
            time.sleep(2.0)  # the first call prepares the libraries
            yield psutil.Process(process.pid), client
    finally:
        process.terminate()
        process.wait()


def moved(drawing: dict[str, Any], by: float) -> dict[str, Any]:
    """A drawing whose first stroke is moved to the right at its middle frame."""
    frame, (first, *others) = drawing["frames"] // 2, drawing["strokes"]
    key = {"frame": frame, "x": [first["x"][frame][0] + by, *first["x"][frame][1:]], "y": first["y"][frame]}
    return drawing | {"strokes": [first | {"keys": [key]}, *others]}


def frames_of(sheet: str, count: int, size: int) -> np.ndarray:
    """The frames (T, S, S, 3) in [0, 1] of a sheet, a data URL."""
    data = np.frombuffer(base64.b64decode(sheet.partition(",")[2]), np.uint8)
    picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    columns = picture.shape[1] // size
    tiles = [picture[i // columns * size :, i % columns * size :][:size, :size] for i in range(count)]
    return np.stack(tiles) / 255.0


def change(first: np.ndarray, second: np.ndarray, *drawings: dict[str, Any]) -> tuple[float, float]:
    """Mean absolute difference of two videos near the strokes of their drawings, and elsewhere."""
    size = first.shape[1]
    near = np.zeros(first.shape[:3], np.uint8)
    for drawing in drawings:
        curves = to_curves(Drawing.model_validate(drawing))
        points = np.round(curves.points(128) * size).astype(np.int32)
        for frame, stroke in np.argwhere(curves.visible):
            cv2.fillPoly(near[frame], [points[frame, stroke]], 1)
            cv2.polylines(near[frame], [points[frame, stroke]], False, 1, 2 * NEAR)
    difference = np.abs(first - second).mean(-1)
    return float(difference[near > 0].mean()), float(difference[near == 0].mean())


def resident(process: psutil.Process) -> float:
    """Resident memory, MiB."""
    return float(process.memory_info().rss / 2**20)


def show(name: str, process: psutil.Process, calls: Sequence[Callable[[], Any]]) -> None:
    """Make calls, and print median, 95th percentile and maximum of their seconds, and the server's CPU time for one."""
    seconds, used = [], cpu_seconds(process)
    for call in calls:
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    median, high = np.quantile(seconds, [0.5, 0.95])
    each = (cpu_seconds(process) - used) / len(calls)
    print(f"{name:30} {median:5.2f} s, 95% {high:5.2f} s, all {max(seconds):5.2f} s, CPU {each:5.2f} s", flush=True)


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    run(main)
