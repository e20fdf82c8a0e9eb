"""URLs of SQLite databases in folders with any names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PREFECT = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
_SPECIAL = frozenset("?#%")
"""Characters with a special meaning in URLs."""


def sqlite_url(path: Path, driver: str = "sqlite") -> str:
    """The URL of a database file for SQLAlchemy.

    It names the driver if the path has special characters: MLflow takes everything after ``sqlite:///`` for a path
    without decoding it, and would create its folders.
    """
    from sqlalchemy import URL  # not above: `flows` must be imported fast

    if driver == "sqlite" and _SPECIAL & set(str(path)):
        driver = "sqlite+pysqlite"
    return URL.create(driver, database=str(path)).render_as_string(hide_password=False)


def prefect_database(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variable with the URL of Prefect's database, if Prefect's default URL would be wrong.

    Prefect inserts the path of its home into a URL without encoding; a home such as ``what is this?/.prefect`` would
    give another path. Empty if the default is right or the user has set a URL.
    """
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser().absolute()
    if not _SPECIAL & set(str(home)) or any(environment.get(name) for name in _PREFECT):
        return {}
    return {_PREFECT[0]: sqlite_url(home / "prefect.db", "sqlite+aiosqlite")}


def set_prefect_database() -> None:
    """Set this variable for the process and its children. Must be called before Prefect is imported."""
    os.environ.update(prefect_database(os.environ))
