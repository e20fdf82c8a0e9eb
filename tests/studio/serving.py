"""A studio on a free port, and a client that paints."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from sketch2video.studio.app import create_app
from sketch2video.studio.models import Offer
from sketch2video.systems.facts import pipeline_facts

CAPTION = "a red circle moves left to right"

LINE: dict[str, Any] = {
    "id": "a",
    "x": [[0.5, 0.1 + 0.02 * t] for t in range(8)],
    "y": [[0.4, -0.2, 0.05]] * 8,
    "visible": [True] * 8,
    "keys": [],
}
DRAWING: dict[str, Any] = {"frames": 8, "fps": 8.0, "strokes": [LINE]}


@dataclass(frozen=True)
class Served:
    """A running studio."""

    app: FastAPI
    client: httpx.Client
    output: Path

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.client.base_url).rstrip("/")

    def draw(self, **more: Any) -> dict[str, Any]:
        """The response of a draw that succeeds."""
        response = self.client.post("/api/draw", json={"model": "sketch", "caption": CAPTION} | more)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def submit(self, **more: Any) -> str:
        """Queue a paint; its job."""
        asked = {"model": "sketch", "caption": CAPTION, "client": "test", "gallery": False, **more}
        response = self.client.post("/api/paint", json=asked)
        assert response.status_code == 202, response.text
        return str(response.json()["job"])

    def events(self, job: str) -> list[tuple[str, dict[str, Any]]]:
        """All events of a job, until its end."""
        with self.client.stream("GET", f"/api/paint/{job}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            return parsed("".join(stream.iter_text()))

    def paint(self, **more: Any) -> tuple[str, dict[str, Any]]:
        """A paint that succeeds: its job, and the data of the event done."""
        job = self.submit(**more)
        name, data = self.events(job)[-1]
        assert name == "done", data
        return job, data

    def frames(self, job: str) -> dict[str, Any]:
        """The painted frames as a sheet."""
        return dict(self.client.get(f"/api/frames/{job}").raise_for_status().json())


def parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Server-sent events, without comments."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            assert lines[0].startswith("event: ")
            assert lines[1].startswith("data: ")
            events.append((lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))))
    return events


def offer(name: str, folder: Path) -> Offer:
    """A model of the list."""
    return Offer(name, f"the model {name}", str(folder), folder, None, pipeline_facts(folder))


@contextmanager
def served(find: Callable[[], list[Offer]], output: Path, **settings: Any) -> Iterator[Served]:
    """Serve a studio until the block ends."""
    app = create_app(find, output, **settings)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    limits = httpx.Limits(max_connections=200)
    with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60, limits=limits) as client:
        try:
            yield Served(app, client, output)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
