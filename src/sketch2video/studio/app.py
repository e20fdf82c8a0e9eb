"""The studio's application: its routes, and what they share. The API is documented at ``/api/openapi.json``."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sketch2video.errors import UserError, first_line, printable
from sketch2video.params import Params
from sketch2video.studio import drawing_routes, gallery_routes, painting_routes
from sketch2video.studio.gallery import Gallery
from sketch2video.studio.models import Models, Offer
from sketch2video.studio.security import LocalOnly
from sketch2video.studio.state import Studio, painted_bytes
from sketch2video.studio.worker import BusyError, Worker

VERSION = "1"
"""Of the API; increased whenever a script that uses it has to be changed."""

STATIC = Path(__file__).with_name("static")


def create_app(
    find: Callable[[], list[Offer]],
    output: Path,
    *,
    params: Params | None = None,
    host: str = "127.0.0.1",
    names: tuple[str, ...] = (),
    preload: bool = False,
) -> FastAPI:
    """Make the application.

    Args:
        find: makes the list of models, the default one first; see :func:`~sketch2video.studio.models.find_models`.
        output: folder of the gallery.
        params: of the project, for sketching and fitting; None: the defaults.
        host: address that the server is bound to.
        names: further names of this machine in ``Host``.
        preload: whether to load the default model at the start, so that the first request is fast.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        studio = Studio(Models(find), Worker(painted_bytes), Gallery(output), params)
        app.state.studio = studio
        if preload:
            threading.Thread(target=studio.preload, name="studio-preload", daemon=True).start()
        try:
            yield
        finally:
            studio.close()

    app = FastAPI(
        title="sketch2video studio",
        version=VERSION,
        description="Draw captions, change strokes, paint videos over drawings.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the pages of FastAPI load scripts from the network
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(drawing_routes.router)
    app.include_router(painting_routes.router)
    app.include_router(gallery_routes.router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UserError, _refused)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(HTTPException, _http)
    if STATIC.is_dir():
        app.mount("/", _Page(directory=STATIC, html=True), name="page")
    app.add_middleware(LocalOnly, host=host, names=names)
    return app


class _Page(StaticFiles):
    """The page's files; browsers ask each time whether they have changed, so that an update is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("cache-control", "no-cache")
        return response


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A request that is not as the API says, in one line; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first["loc"][1:])
    message = str(first["msg"]).removeprefix("Value error, ")
    return _problem(422, f"{where}: {message}" if where else message)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return _problem(422, first_line(str(error)))


async def _busy(request: Request, error: Exception) -> JSONResponse:
    return _problem(429, "too many requests wait; try again in a moment", {"retry-after": "1"})


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, str(error.detail), dict(error.headers or {}))


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": printable(detail)[:500]}, status, headers)
