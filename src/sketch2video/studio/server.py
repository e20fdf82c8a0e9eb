"""The studio's server: it chooses a port, prints its address, and opens the page."""

from __future__ import annotations

import logging
import socket
import threading
import webbrowser
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sketch2video.errors import UserError, printable
from sketch2video.inputs.targets import check_folder_target
from sketch2video.params import find_params
from sketch2video.studio.app import create_app
from sketch2video.studio.models import find_models

PORT = 8420
"""The first port that is tried; where others use it, one of the next ones."""
_TRIED = 20

REGISTERED = "sketch2video"
"""Name of the registered model outside of a project."""


def serve(model: str | None, port: int | None, host: str, output: Path, browser: bool) -> None:
    """Serve the page until Ctrl-C.

    Args:
        model: registered model or folder, offered first; None: all that are found.
        port: None: the first free one from :data:`PORT` on.
        host: address to bind to.
        output: folder of the gallery.
        browser: whether to open the page in a browser.

    Raises:
        UserError: the model cannot be used, the port is in use, or the folder cannot be written.
    """
    check_folder_target(output, "--output")
    params = find_params()
    registered = params.register_.name if params else REGISTERED
    find = partial(find_models, model, registered if _has_registry() else None)
    if model is not None:
        find()  # names what is wrong before anything starts
    listening = _bound(host, port)
    number = listening.getsockname()[1]
    names = () if host in ("127.0.0.1", "localhost", "::1") else (socket.gethostname(),)
    app = create_app(find, output, params=params, host=host, names=names, preload=True)
    shown = (
        "127.0.0.1" if host in ("", "0.0.0.0") else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    )
    address = f"http://{shown}:{number}"
    config = uvicorn.Config(
        app,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=256,
        timeout_graceful_shutdown=2,
    )
    print(f"studio   {address}   (Ctrl-C ends it)", flush=True)
    if names:
        print("studio   other machines can use it, too: there are no accounts", flush=True)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    _Server(config, app).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that ends its streams of events when it is to exit: it waits for all responses."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not in the handler of a signal: the interrupted thread may hold the worker's locks.
        if (studio := getattr(self._app.state, "studio", None)) is not None:
            threading.Thread(target=studio.worker.stop, daemon=True).start()
        super().handle_exit(sig, frame)


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket that is bound to a port, to the first free one if none is named.

    Raises:
        UserError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = [port] if port is not None else [*range(PORT, PORT + _TRIED), 0]
    for number in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen(128)
        except (OSError, UnicodeError) as error:  # a name that is none, such as a..b
            listening.close()
            if number != ports[-1]:
                continue
            reason = printable(getattr(error, "strerror", None) or str(error))
            raise UserError(f"{host}:{number} cannot be used ({reason}); choose another --port or --host") from error
        return listening
    raise AssertionError("the last port either is bound or raises")


def _has_registry() -> bool:
    """Whether there is a registry to look into; the project's own is not made here."""
    from sketch2video.tracking.store import STORE, is_own_store

    return not is_own_store() or (STORE / "mlflow.db").is_file()
