"""Routes of paints: queue one, follow its progress, cancel it, and get its frames."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse

from sketch2video.media.writing import write_video, write_webm
from sketch2video.studio.paint_jobs import ENDS, Event, Job
from sketch2video.studio.painting import Painted
from sketch2video.studio.schemas import Accepted, FrameSheet, PaintRequest
from sketch2video.studio.sheets import frame_sheet
from sketch2video.studio.state import MISSING, PROBLEMS, Shared, as_json

router = APIRouter(prefix="/api", responses=PROBLEMS | MISSING)

JobId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

EVENT: dict[str, Any] = {
    "type": "object",
    "description": "progress {stage, step, steps}, then one of done {key, seconds, numbers}, failed {message},"
    " dropped {}, cancelled {}; the data are JSON",
    "properties": {"event": {"enum": ["progress", *ENDS]}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
"""Schema of an event of a paint."""

HEARTBEAT = 15.0
"""Seconds after which a comment keeps a quiet stream of events open."""


def job_of(job: JobId, studio: Shared) -> Job:
    """The job of the path."""
    found = studio.worker.find(job)
    if found is None:
        raise HTTPException(404, "there is no such job, or its result is no longer kept; paint again")
    return found


def painted_of(job: Annotated[Job, Depends(job_of)]) -> Painted:
    """The result of the job of the path."""
    if not isinstance(job.result, Painted):
        raise HTTPException(404, "this job has no video; wait for its event done")
    return job.result


@router.post("/paint", response_model=Accepted, status_code=202)
def paint(asked: PaintRequest, studio: Shared) -> Response:
    """Queue a paint; the client's earlier ones are dropped."""
    return as_json(Accepted(job=studio.paint(asked).id), 202)


@router.get(
    "/paint/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"description": "events", "content": {"text/event-stream": {"schema": EVENT}}}},
)
async def events(job: Annotated[Job, Depends(job_of)]) -> StreamingResponse:
    """Server-sent events of a paint. Of its progress the newest is sent; the last event is never left out."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(job), media_type="text/event-stream", headers=headers)


@router.delete("/paint/{job}", status_code=204, response_class=Response)
def cancel(job: Annotated[Job, Depends(job_of)], studio: Shared) -> Response:
    """Cancel a paint; one that has ended stays as it is."""
    studio.worker.cancel(job)
    return Response(status_code=204)


@router.get("/frames/{job}", response_model=FrameSheet)
def frames(painted: Annotated[Painted, Depends(painted_of)]) -> Response:
    """The frames in one lossless picture: faster for a page than a video."""
    return as_json(frame_sheet(painted.video.frames, painted.video.fps))


@router.get(
    "/video/{job}.{kind}",
    response_class=Response,
    responses={200: {"description": "the video", "content": {"video/mp4": {}, "video/webm": {}}}},
)
def video(painted: Annotated[Painted, Depends(painted_of)], kind: Literal["mp4", "webm"]) -> Response:
    """The painted frames as a video file."""
    with tempfile.TemporaryDirectory(prefix="sketch2video-studio-") as folder:
        path = Path(folder) / f"video.{kind}"
        (write_video if kind == "mp4" else write_webm)(path, painted.video.frames, painted.video.fps)
        data = path.read_bytes()
    return Response(data, headers={"cache-control": "no-store"}, media_type=f"video/{kind}")


async def _stream(job: Job) -> AsyncIterator[str]:
    loop, wake = asyncio.get_running_loop(), asyncio.Event()

    def notify() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(wake.set)

    sent = -1
    with job.listening(notify):
        while True:
            wake.clear()
            event = job.latest
            if event is not None and event.number > sent:
                sent = event.number
                yield _as_text(event)
                if event.name in ENDS:
                    return
            try:
                await asyncio.wait_for(wake.wait(), HEARTBEAT)
            except TimeoutError:
                yield ": nothing new\n\n"


def _as_text(event: Event) -> str:
    return f"event: {event.name}\ndata: {json.dumps(event.data)}\n\n"
