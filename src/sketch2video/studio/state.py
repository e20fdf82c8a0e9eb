"""What the routes of one application share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel

from sketch2video.errors import UserError
from sketch2video.generation.videos import Model
from sketch2video.params import Params
from sketch2video.studio.gallery import Gallery
from sketch2video.studio.models import Models
from sketch2video.studio.paint_jobs import Job
from sketch2video.studio.painting import Painted, paint
from sketch2video.studio.schemas import PaintRequest, Problem, Sampling
from sketch2video.studio.worker import Worker, reason

T = TypeVar("T")

EXAMPLE = "a red circle moves left to right"
"""Caption of the first call, in which libraries prepare themselves."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": description}
    for code, description in (
        (400, "the body cannot be read"),
        (403, "the request is of another page"),
        (413, "the request is too large"),
        (422, "the request cannot be answered as it is"),
        (429, "too many requests wait"),
    )
}
"""Responses that every route may give."""

MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "there is no such thing"}}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Studio:
    """What the routes share.

    Attributes:
        models: the list of models, and the loaded ones.
        worker: runs the pipelines.
        gallery: the painted videos.
        params: of the project; None outside of one.
    """

    models: Models
    worker: Worker
    gallery: Gallery
    params: Params | None

    def with_model(self, identifier: str, function: Callable[[Model], T]) -> Future[T]:
        """Call a function with a model of the list, in the worker's thread.

        The future raises a UserError, whatever goes wrong: the server goes on.

        Raises:
            UserError: there is no such model.
            BusyError: too many calls wait.
        """
        offer = self.models.find(identifier)

        def call() -> T:
            try:
                return function(self.models.load(offer))
            except Exception as error:
                logger.debug("a call failed", exc_info=error)
                raise UserError(reason(error)) from error

        return self.worker.call(call)

    def paint(self, asked: PaintRequest) -> Job:
        """Queue a paint.

        Raises:
            UserError: there is no such model.
            BusyError: too many paints wait.
        """
        offer = self.models.find(asked.model)

        def run(job: Job) -> tuple[Painted, dict[str, Any]]:
            model = self.models.load(offer)
            painted = paint(model, asked, job)
            if asked.gallery:
                self.gallery.add(painted)
            seconds = round(sum(model.pipeline.timings.seconds.values()), 4)
            return painted, {"key": painted.key, "seconds": seconds, "numbers": painted.numbers}

        return self.worker.submit(asked.client, run)

    def preload(self) -> None:
        """Load the default model and call it once, which prepares the libraries."""
        try:
            offers = self.models.offers()
            if not offers:
                return
            asked = PaintRequest(
                model=offers[0].id,
                caption=EXAMPLE,
                frames=None,
                sampling=Sampling(),
                client="studio:preload",
                gallery=False,
            )
            self.paint(asked)
        except Exception as error:
            logger.warning("the first model is not ready: %s", reason(error))

    def close(self) -> None:
        """End the threads."""
        self.worker.close()
        self.gallery.close()


def studio_of(request: Request) -> Studio:
    """The studio of the application that serves a request."""
    studio: Studio = request.app.state.studio
    return studio


Shared = Annotated[Studio, Depends(studio_of)]
"""The studio, as an argument of a route."""


def painted_bytes(result: Any) -> int:
    """Bytes of a job's result."""
    return result.num_bytes if isinstance(result, Painted) else 0


def as_json(value: BaseModel, status: int = 200) -> Response:
    """A response with a model, which is not validated again."""
    return Response(value.model_dump_json(), status, {"cache-control": "no-store"}, "application/json")
