"""The store of runs and registered models, and errors of the connection to it."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from requests import RequestException
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from sketch2video.errors import UserError, first_line, printable
from sketch2video.tracking.databases import sqlite_url

STORE = Path("mlruns")
"""Folder of the default store, relative to the project's folder; ``MLFLOW_TRACKING_URI`` names another one."""

PATIENCE = 8.0
"""Timeout of a store in seconds. MLflow itself retries for minutes."""

_TRUSTED = 5.0
"""Seconds after a successful check within which a store is not checked again."""

_REQUEST = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=sketch2video"
_TIMEOUTS = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "timeout"}
"""Names of the timeout of a connection in seconds, by the driver of the database."""

_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

logger = logging.getLogger(__name__)

_checked: dict[str, float] = {}
_with_tables: set[str] = set()


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or the absolute URI of the SQLite database in ``mlruns/`` below the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_uri()


def is_own_store() -> bool:
    """Whether the store is in the project's folder. (MLflow sets the environment variable to the URI in use.)"""
    return tracking_uri() == _own_uri()


def _own_uri() -> str:
    return sqlite_url((STORE / "mlflow.db").resolve())


def registry_uri() -> str:
    """``MLFLOW_REGISTRY_URI``, or the URI of the tracking store."""
    return os.environ.get("MLFLOW_REGISTRY_URI") or tracking_uri()


@contextmanager
def store_errors(missing: str | None = None, *, registry: bool = False, patient: bool = False) -> Iterator[None]:
    """Check that the store responds, and convert errors of MLflow and of databases in the ``with`` block to one line.

    Args:
        missing: message if the store lacks the requested item; None: the store's own message.
        registry: whether the block uses the registry of models, too.
        patient: whether to warn only if the store does not respond: MLflow then retries for some minutes, in which a
            server may be restarted. For data that must not be lost.

    Raises:
        UserError: the store does not respond within :data:`PATIENCE` seconds, or is not MLflow's.
    """
    for uri in {tracking_uri(), registry_uri()} if registry else {tracking_uri()}:
        try:
            check_store(uri)
        except UserError as error:
            if not patient:
                raise
            logger.warning("%s; trying again", error)
    try:
        yield
    except MlflowException as error:
        if missing is not None and error.error_code in _NOT_FOUND:
            raise UserError(missing) from error
        raise _fault(registry_uri() if registry else tracking_uri(), error) from error
    except (SQLAlchemyError, RequestException, ImportError) as error:
        raise _fault(registry_uri() if registry else tracking_uri(), error) from error


def check_store(uri: str) -> None:
    """Check a store by one short request.

    Raises:
        UserError: it does not respond, or is not MLflow's.
    """
    if time.monotonic() - _checked.get(uri, -_TRUSTED) < _TRUSTED:
        return
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
    if scheme in ("http", "https"):
        _within(PATIENCE, lambda: _check_server(uri), uri)
    elif scheme in ("sqlite", *_TIMEOUTS):
        _within(PATIENCE, lambda: _check_database(uri), uri)
        _make_tables(uri)
    elif scheme in ("", "file") and not os.environ.get("MLFLOW_ALLOW_FILE_STORE"):
        raise UserError(
            f"MLflow at {shown(uri)}: runs are not kept in a plain folder; set MLFLOW_TRACKING_URI to the address of a"
            " server, or to a database such as sqlite:///mlruns/mlflow.db"
        )
    else:
        try:
            MlflowClient(uri, uri)  # does not connect
        except MlflowException as error:
            raise _fault(uri, error) from error
    _checked[uri] = time.monotonic()


def shown(uri: str) -> str:
    """A URI for printing, without a password."""
    return printable(re.sub(r"//([^/@:]*):[^/@]*@", r"//\1:***@", uri))


def _check_server(uri: str) -> None:
    response = http_request(
        get_default_host_creds(uri), _REQUEST, "GET", max_retries=0, timeout=PATIENCE, raise_on_status=False
    )
    if response.status_code in (401, 403):
        raise UserError(
            f"MLflow at {shown(uri)} refuses the credentials (status {response.status_code});"
            " set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if response.status_code >= 500:
        raise MlflowException(f"its server responds with status {response.status_code}")
    try:
        response.json()
    except ValueError as error:
        raise MlflowException("the server there is not MLflow") from error


def _check_database(uri: str) -> None:
    url = make_url(uri)
    timeout = _TIMEOUTS.get(url.get_backend_name())
    if timeout is None and url.database and not url.database.startswith((":memory:", "file:")):
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)  # as MLflow does
    engine = create_engine(url, connect_args={timeout: int(PATIENCE)} if timeout else {})
    try:
        with engine.connect() as connection:
            if timeout is None:
                connection.exec_driver_sql("PRAGMA schema_version")  # reads the file
    except OperationalError as error:
        if "locked" not in str(error):  # then another process is writing into it
            raise
    finally:
        engine.dispose()


def _make_tables(uri: str) -> None:
    """Make the tables of a new SQLite database, one process at a time: MLflow fails where two of them make them."""
    file = make_url(uri).database if uri.startswith("sqlite") and uri not in _with_tables else None
    if not file or file.startswith((":memory:", "file:")):
        return
    import fcntl  # not on Windows

    handle = os.open(Path(file).parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        MlflowClient(uri, uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise _fault(uri, error) from error
    finally:
        os.close(handle)
    _with_tables.add(uri)


def _within(seconds: float, check: Callable[[], None], uri: str) -> None:
    """Call ``check`` in a thread with a timeout: no timeout of a library covers all of its steps."""
    faults: list[Exception] = []

    def run() -> None:
        try:
            check()
        except Exception as error:
            faults.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise _fault(uri, f"no response after {seconds:.0f} s")
    if faults:
        raise faults[0] if isinstance(faults[0], UserError) else _fault(uri, faults[0]) from faults[0]


def _fault(uri: str, reason: Exception | str) -> UserError:
    """An error of the store at a URI, in one line with the fix."""
    text = str(getattr(reason, "orig", None) or reason)
    first = first_line(text) or type(reason).__name__
    fix = (
        "start it or set MLFLOW_TRACKING_URI to another store"
        if not is_own_store()
        else "check the file, or set MLFLOW_TRACKING_URI to another store"
    )
    return UserError(f"MLflow at {shown(uri)} does not respond as it should ({_brief(first)}); {fix}")


_CAUSES: tuple[tuple[str, str], ...] = (
    ("Connection refused", "nothing listens there"),
    ("NameResolutionError", "there is no such host"),
    ("Failed to resolve", "there is no such host"),
    ("timed out", "no response in time"),
    ("unable to open database file", "the database file cannot be opened"),
    ("readonly database", "the database file cannot be written"),
)


def _brief(reason: str, causes: Collection[tuple[str, str]] = _CAUSES) -> str:
    """A short form of a library's message if it is a known one."""
    return next((words for sign, words in causes if sign in reason), shown(reason)[:300])
