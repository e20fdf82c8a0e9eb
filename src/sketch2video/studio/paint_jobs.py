"""Jobs of the worker, and their events: progress, and exactly one end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ENDS = ("done", "failed", "dropped", "cancelled")
"""Names of the last event of a job."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        number: position among the job's events.
        name: ``progress`` or one of :data:`ENDS`.
        data: JSON-able.
    """

    number: int
    name: str
    data: dict[str, Any]


class Stopped(BaseException):
    """Raised in a job's function when its result is no longer wanted; libraries do not catch it as an error."""


class Job:
    """A paint that is queued, running or finished; its methods may be called from any thread.

    Of the events only the newest progress and the end are kept.

    Attributes:
        id: random, so that it cannot be guessed.
        client: who asked for it.
        result: what its function returned; None until it is done.
    """

    def __init__(self, client: str) -> None:
        self.id = secrets.token_urlsafe(16)
        self.client = client
        self.result: Any = None
        self._lock = threading.Lock()
        self._latest: Event | None = None
        self._stop: str | None = None
        self._listeners: set[Callable[[], None]] = set()

    @property
    def latest(self) -> Event | None:
        """The newest event; None if there was none."""
        return self._latest

    @property
    def ended(self) -> bool:
        """Whether the last event has happened."""
        return self._latest is not None and self._latest.name in ENDS

    def stop(self, how: str) -> None:
        """Ask the running function to stop; the job then ends as ``dropped`` or ``cancelled``."""
        self._stop = self._stop or how

    @property
    def stopping(self) -> str | None:
        """How the job will end, if it has been asked to stop."""
        return self._stop

    def progress(self, stage: str, step: int, steps: int) -> None:
        """Report progress: ``step`` of ``steps`` of a stage are finished.

        Raises:
            Stopped: the result is no longer wanted.
        """
        if self._stop is not None:
            raise Stopped(self._stop)
        self._post("progress", {"stage": stage, "step": step, "steps": steps})

    def end(self, name: str, data: dict[str, Any]) -> None:
        """Post the last event; further ones are ignored."""
        self._post(name, data)

    def _post(self, name: str, data: dict[str, Any]) -> None:
        with self._lock:
            if self.ended:
                return
            self._latest = Event(self._latest.number + 1 if self._latest else 0, name, data)
            listeners = list(self._listeners)
        for notify in listeners:
            notify()

    @contextmanager
    def listening(self, notify: Callable[[], None]) -> Iterator[None]:
        """Call ``notify`` after every event, in the thread that posts it."""
        with self._lock:
            self._listeners.add(notify)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(notify)
