"""Jobs of a data stage, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tqdm import tqdm

from sketch2video.errors import UserError


def number_of_workers(workers: int) -> int:
    """Processes to use: ``workers``, or one a core for 0."""
    return (
        workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or os.cpu_count() or 1
    )


def map_jobs(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], workers: int, description: str
) -> list[Any]:
    """Call ``function(*job)`` for every job in processes of their own, with a progress bar; results in order of jobs.

    ``function`` must be importable (a module's top level). With one worker or one job everything stays in this process.

    Raises:
        UserError: a process was killed from outside.
    """
    workers = min(number_of_workers(workers), len(jobs))
    if workers <= 1:
        return [function(*job) for job in tqdm(jobs, desc=description, unit="shard")]
    results: list[Any] = [None] * len(jobs)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker) as pool:
        places = {pool.submit(function, *job): place for place, job in enumerate(jobs)}
        try:
            for future in tqdm(as_completed(places), total=len(jobs), desc=description, unit="shard"):
                results[places[future]] = future.result()
        except BrokenProcessPool as error:
            raise UserError(
                f"{description}: a process was killed, often for want of memory; lower base.workers"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _start_worker() -> None:
    """Keep a worker's libraries to one thread, since the parallelism is over shards, and let it end with its parent."""
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch reads it once it is imported
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Without this, the workers of a killed command would go on writing beside the command that is started again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
