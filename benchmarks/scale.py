"""Time and memory of the data stages as clips grow in number: ``python -m benchmarks.scale [COUNT ...]``.

The clips are embedded scenes, made, drawn and fitted in a temporary folder with the parameters of ``params.yaml``.
Memory is the proportional set size of this process and its workers together, sampled four times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import psutil
import typer

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.curves.fitting.stage import fit
from sketch2video.data.ingest.stage import ingest
from sketch2video.files import write_json
from sketch2video.params import Params, load_params
from sketch2video.scenes.synthetic import combinations
from sketch2video.sketches.stage import sketch

INTERVAL = 0.25
"""Seconds between two samples of memory."""


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """Sample memory while the block runs; it yields a function of the peak so far, in MiB."""
    peak, done = 0.0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(INTERVAL):
            total = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:  # it has just ended
                    continue
            peak = max(peak, total / 2**20)

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        yield lambda: peak
    finally:
        done.set()
        watcher.join()


def measured(params: Params, count: int) -> list[dict[str, float | int | str]]:
    """Rows of the table for about ``count`` clips, one a stage."""
    each = max(round(count / len(combinations())), 1)
    synthetic = params.ingest.synthetic.model_copy(update={"clips_per_combination": each})
    params = params.model_copy(update={"ingest": params.ingest.model_copy(update={"synthetic": synthetic})})
    rows: list[dict[str, float | int | str]] = []
    with TemporaryDirectory() as temporary:
        clips, sketches, curves = (Path(temporary, name) for name in ("clips", "sketches", "curves"))
        stages: dict[str, Callable[[], None]] = {
            "ingest": lambda: ingest(params, clips),
            "sketch": lambda: sketch(params, clips, sketches, sheet=Path(temporary, "sheet.png")),
            "fit": lambda: fit(params, clips, sketches, curves, Path(temporary, "fit.json")),
            "fit again": lambda: fit(params, clips, sketches, curves, Path(temporary, "fit.json")),
        }
        for name, stage in stages.items():
            begun = time.monotonic()
            with peak_memory() as peak:
                stage()
            seconds = time.monotonic() - begun
            rows.append({"clips": each * len(combinations()), "stage": name, "seconds": seconds, "peak_mib": peak()})
    return rows


def main(
    counts: Annotated[list[int] | None, typer.Argument(help="Numbers of clips.")] = None,
    output: Annotated[Path, typer.Option(help="File of the results.")] = Path("reports/bench/scale.json"),
    write: Write = False,
) -> None:
    """Measure the data stages for growing numbers of clips."""
    page = page_of("scale", write)
    params = load_params()
    rows = [row for count in counts or [1000, 10_000] for row in measured(params, count)]
    write_json(output, rows)
    cells = []
    for row in rows:
        clips, seconds, peak = (float(row[name]) for name in ("clips", "seconds", "peak_mib"))
        cells.append([f"{clips:.0f}", str(row["stage"]), f"{seconds:.1f}", f"{clips / seconds:.0f}", f"{peak:.0f}"])
    show("scale", as_table(["clips", "stage", "seconds", "clips a second", "peak MiB"], cells), page)
    print(f"written to {output}")


if __name__ == "__main__":
    run_command(main)
