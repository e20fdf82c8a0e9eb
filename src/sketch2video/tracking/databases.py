"""Addresses of SQLite databases, whatever the names of their folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PREFECT = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
_SPECIAL = frozenset("?#%")
"""What means something else in an address than in a file's name."""


def sqlite_url(path: Path, driver: str = "sqlite") -> str:
    """The address of a database file for SQLAlchemy, and for what uses it.

    With the driver in its name where the path has special characters: of an address that begins with ``sqlite:///``
    MLflow takes the rest for a path as it is, and would make its folders.
    """
    from sqlalchemy import URL  # not above: `flows` is to be imported in a moment

    if driver == "sqlite" and _SPECIAL & set(str(path)):
        driver = "sqlite+pysqlite"
    return URL.create(driver, database=str(path)).render_as_string(hide_password=False)


def prefect_database(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variable with which Prefect finds its database where its own address of it would be wrong.

    Prefect writes the path of its home into an address as it is; a home such as ``what is this?/.prefect`` would lead
    out of the folder. Empty where that does no harm or the user has set an address.
    """
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser().absolute()
    if not _SPECIAL & set(str(home)) or any(environment.get(name) for name in _PREFECT):
        return {}
    return {_PREFECT[0]: sqlite_url(home / "prefect.db", "sqlite+aiosqlite")}


def set_prefect_database() -> None:
    """Set that variable for this process and those that it starts. It must be called before Prefect is imported."""
    os.environ.update(prefect_database(os.environ))
