"""The one thread that runs pipelines: a bounded queue in which the newest paint of a client wins."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sketch2video.errors import first_line, printable, refusal
from sketch2video.studio.paint_jobs import Job, Stopped

T = TypeVar("T")

MOST_WAITING = 64
"""Most calls, and most jobs, that wait."""
MOST_FINISHED = 64
"""Most finished jobs whose results are kept, and"""
MOST_RESULT_BYTES = 128 * 2**20
"""most bytes of their results together; the newest is kept in any case."""
CALLS_IN_A_ROW = 4
"""Calls go before jobs, but after so many of them a job is next."""

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """The queue is full."""


class Worker:
    """Runs functions one at a time: calls, which somebody waits for, and jobs, which post events.

    A client has one job at a time: a new one replaces its queued one, in its place, and stops its running one. A call
    waits for the running job at most.

    Args:
        size_of: bytes of a job's result.
    """

    def __init__(self, size_of: Callable[[Any], int] = lambda result: 0) -> None:
        self._size_of = size_of
        self._wake = threading.Condition()
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._queue: OrderedDict[str, tuple[Job, Callable[[Job], tuple[Any, dict[str, Any]]]]] = OrderedDict()
        self._running: Job | None = None
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="studio-worker", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run a function before queued jobs.

        Raises:
            BusyError: too many calls wait.
        """
        future: Future[T] = Future()
        with self._wake:
            if self._closed or len(self._calls) >= MOST_WAITING:
                raise BusyError
            self._calls.append((future, function))
            self._wake.notify()
        return future

    def submit(self, client: str, function: Callable[[Job], tuple[Any, dict[str, Any]]]) -> Job:
        """Queue a job.

        Args:
            client: whose earlier jobs are dropped.
            function: called with the job, to report progress; returns the result and the data of the event ``done``.

        Raises:
            BusyError: too many jobs wait.
        """
        job = Job(client)
        with self._wake:
            replaced = self._queue.get(client)
            if self._closed or (replaced is None and len(self._queue) >= MOST_WAITING):
                raise BusyError
            self._queue[client] = (job, function)  # a replaced one keeps its place
            self._jobs[job.id] = job
            self._forget()
            if self._running is not None and self._running.client == client:
                self._running.stop("dropped")
            self._wake.notify()
        if replaced is not None:
            replaced[0].end("dropped", {})
        return job

    def find(self, identifier: str) -> Job | None:
        """A job by its id; None if there is none, or its result is no longer kept."""
        with self._wake:
            return self._jobs.get(identifier)

    def cancel(self, job: Job) -> None:
        """End a job: at once if it is queued, after its present step if it is running."""
        self._stop(job.client, "cancelled", job)

    def drop(self, client: str) -> None:
        """Drop the jobs of a client, queued or running."""
        self._stop(client, "dropped")

    def _stop(self, client: str, how: str, only: Job | None = None) -> None:
        with self._wake:
            queued = self._queue.get(client)
            queued = self._queue.pop(client) if queued and only in (None, queued[0]) else None
            running = self._running
            if running is not None and running.client == client and only in (None, running):
                running.stop(how)
        if queued:
            queued[0].end(how, {})

    def stop(self) -> None:
        """Take nothing more, and end all jobs; the running function ends after its present step."""
        with self._wake:
            self._closed = True
            jobs = [job for job, _ in self._queue.values()]
            self._queue.clear()
            calls = list(self._calls)
            self._calls.clear()
            if self._running is not None:
                self._running.stop("cancelled")
                jobs.append(self._running)
            self._wake.notify()
        for job in jobs:
            job.end("cancelled", {})
        for future, _ in calls:
            future.cancel()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self.stop()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        row = 0
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._calls or self._queue or self._closed)
                if self._closed:
                    return
                job = function = None
                if self._calls and (row < CALLS_IN_A_ROW or not self._queue):
                    future, call = self._calls.popleft()
                else:
                    _, (job, function) = self._queue.popitem(last=False)
                    self._running = job
            if job is None or function is None:
                row += 1
                _answer(future, call)
                del future, call
                continue
            row = 0
            self._do(job, function)
            with self._wake:
                self._running = None
                self._forget()
            del job, function

    def _do(self, job: Job, function: Callable[[Job], tuple[Any, dict[str, Any]]]) -> None:
        try:
            job.progress("starting", 0, 1)
            job.result, data = function(job)
        except Stopped:
            job.end(job.stopping or "cancelled", {})
        except Exception as error:
            logger.debug("a job failed", exc_info=error)
            job.end("failed", {"message": reason(error)})
        else:
            job.end("done", data)

    def _forget(self) -> None:
        """Remove the oldest finished jobs beyond the limits."""
        finished = [job for job in self._jobs.values() if job.ended]
        total = sum(self._size_of(job.result) for job in finished if job.result is not None)
        for count, job in zip(range(len(finished), 1, -1), finished, strict=False):
            if count <= MOST_FINISHED and total <= MOST_RESULT_BYTES:
                break
            del self._jobs[job.id]
            total -= self._size_of(job.result) if job.result is not None else 0


def reason(error: BaseException) -> str:
    """An exception in one line for the user; that of a bug names its type."""
    known = refusal(error)
    if known is not None:
        return first_line(str(known))
    text = printable(first_line(str(error)))[:300]
    if isinstance(error, ValueError) and text:
        return text
    return (
        f"the model failed ({type(error).__name__}{': ' if text else ''}{text}); choose other settings or another model"
    )


def _answer(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
