"""Execution of the jobs of a data stage in processes or on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from sketch2video.errors import UserError
from sketch2video.params import BaseParams

CLUSTER_PATIENCE = 30
"""Timeout of the connection to a Dask scheduler, seconds."""


def number_of_workers(workers: int) -> int:
    """Processes to use: ``workers``, or one a core for 0."""
    if workers:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_jobs(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    where: BaseParams | None,
    description: str,
    unit: str = "shard",
) -> list[Any]:
    """Call ``function(*job)`` for every job, with a progress bar that counts ``unit``; results in the jobs' order.

    Jobs run on the Dask cluster ``where.cluster``, else in ``where.workers`` processes, else, with one worker, one job
    or ``where=None``, in this process. ``function`` must be importable (a module's top level)
    unless it stays in this process; workers of a cluster must see the same files at the same paths.

    Raises:
        UserError: a process was killed from outside, or the cluster cannot be reached.
    """
    if where is not None and where.cluster is not None:
        return _on_cluster(function, jobs, where.cluster, description, unit)
    workers = 1 if where is None else min(number_of_workers(where.workers), len(jobs))
    if workers <= 1:
        return [function(*job) for job in tqdm(jobs, desc=description, unit=unit)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker) as pool:
        indices = {pool.submit(function, *job): index for index, job in enumerate(jobs)}
        try:
            return _gather(indices, as_completed(indices), description, unit)
        except BrokenProcessPool as error:
            raise UserError(
                f"{description}: a process was killed, often for want of memory; lower base.workers"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _on_cluster(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], address: str, description: str, unit: str
) -> list[Any]:
    try:
        from distributed import Client, KilledWorker
        from distributed import as_completed as completed
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise UserError("base.cluster needs Dask: pip install 'sketch2video[cluster]'") from error
    try:
        client = Client(address, timeout=CLUSTER_PATIENCE)
    except (OSError, ValueError) as error:
        raise UserError(f"base.cluster: no Dask scheduler answers at {address}; start one or set it to null") from error
    with client:
        futures = client.map(_on_one_thread, [function] * len(jobs), jobs, pure=False)
        indices = {future: index for index, future in enumerate(futures)}
        try:
            return _gather(indices, completed(futures), description, unit)
        except (KilledWorker, CommClosedError) as error:
            raise UserError(
                f"{description}: a worker of {address} was lost, often for want of memory; run the command again"
            ) from error


def _gather(indices: dict[Any, int], completed: Iterable[Any], description: str, unit: str) -> list[Any]:
    """Results of futures in the order of their indices, with a progress bar."""
    results: list[Any] = [None] * len(indices)
    for future in tqdm(completed, total=len(indices), desc=description, unit=unit):
        results[indices[future]] = future.result()
    return results


def _on_one_thread(function: Callable[..., Any], job: tuple[Any, ...]) -> Any:
    _keep_to_one_thread()
    return function(*job)


def _start_worker() -> None:
    """Keep a worker's libraries to one thread, since the parallelism is over shards, and let it end with its parent."""
    _keep_to_one_thread()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _keep_to_one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
    threadpool_limits(1)  # of libraries that are loaded, such as NumPy's BLAS
    os.environ["OMP_NUM_THREADS"] = "1"  # of those that are loaded later


def _exit_with_parent() -> None:
    """Without this, the workers of a killed command would keep writing while the command is started again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
