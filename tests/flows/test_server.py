from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import server
from flows.server import HOST, Service, free_port, main, responds, run
from sketch2video.errors import UserError


def test_a_port_in_use_is_not_taken() -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        preferred = busy.getsockname()[1]
        assert free_port(preferred) != preferred
    assert free_port(preferred) == preferred


FILES = [sys.executable, "-u", "-m", "http.server", "0", "--bind", HOST]
"""A server at a port that the system chooses; it prints its address."""


def address_in(log: Path) -> str:
    """The address that a server of FILES has printed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if log.exists() and (found := re.search(r"\(http://.*?/\)", log.read_text())):
            return found[0].strip("()")
        time.sleep(0.05)
    raise AssertionError(f"{log}: no address")


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that refuses connections, and that no other process can take meanwhile."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        yield f"http://{HOST}:{bound.getsockname()[1]}"


def test_a_service_ends_with_its_children(tmp_path: Path) -> None:
    service = Service("files", ["bash", "-c", f"{shlex.join(FILES)} & wait"], os.environ, tmp_path)
    try:
        address = address_in(service.log)
        service.wait_until_healthy(address)
    finally:
        service.stop()
    assert not responds(address)


def test_a_service_ends_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import os, time; from pathlib import Path; from flows.server import Service;"
        f"Service('files', {FILES!r}, os.environ, Path({str(tmp_path)!r})); time.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        address = address_in(tmp_path / "files.log")
        assert responds(address)
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 30
    while responds(address) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not responds(address)


def test_a_service_that_dies_says_why(silent: str, tmp_path: Path) -> None:
    service = Service("thing", [sys.executable, "-c", "import sys; sys.exit('no database')"], os.environ, tmp_path)
    with pytest.raises(UserError, match=r"the thing ended with code 1 \(no database\); see .*thing\.log"):
        service.wait_until_healthy(silent)


def test_a_service_that_does_not_respond_is_named(silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    service = Service("thing", [sys.executable, "-c", "import time; time.sleep(100)"], os.environ, tmp_path)
    try:
        with pytest.raises(UserError, match=rf"the thing does not respond at {silent} after 0 s; see .*thing\.log"):
            service.wait_until_healthy(silent)
    finally:
        service.stop()
    assert service.process.poll() is not None


def test_a_given_server_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    told = tmp_path / "told"
    program = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(os.environ['PREFECT_API_URL']); exit(7)"
    assert run([sys.executable, "-c", program]) == 7
    assert told.read_text() == "http://elsewhere/api"


def test_a_command_that_is_not_there_is_a_users_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setattr(sys, "argv", ["server", "run", "--", "no-such-command"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "flows.server: no-such-command cannot be run (No such file or directory); check its spelling\n"
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prefect's folder, in which `up` notes its address."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


TELL = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(os.environ['PREFECT_API_URL'])"


def no_server(*arguments: object, **settings: object) -> None:
    raise AssertionError("a server is started")


def test_the_server_of_a_running_up_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "up.url").write_text("http://there/api")
    asked: list[str] = []
    monkeypatch.setattr(server, "responds", lambda url: asked.append(url) or True)
    monkeypatch.setattr(server, "prefect_server", no_server)
    assert run([sys.executable, "-c", TELL, str(home / "told")]) == 0
    assert (home / "told").read_text() == "http://there/api"
    assert asked == ["http://there/api/health"]


def test_the_server_of_an_up_that_has_ended_is_not_used(
    silent: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "up.url").write_text(f"{silent}/api")

    @contextmanager
    def another(*, interface: bool) -> Iterator[tuple[dict[str, str], None]]:
        yield {**os.environ, "PREFECT_API_URL": "http://another/api"}, None

    monkeypatch.setattr(server, "prefect_server", another)
    assert run([sys.executable, "-c", TELL, str(home / "told")]) == 0
    assert (home / "told").read_text() == "http://another/api"


def test_two_of_them_do_not_run_in_one_project(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "up.url").write_text("http://there/api")
    monkeypatch.setattr(server, "responds", lambda url: True)
    monkeypatch.setattr(server, "Service", no_server)
    with pytest.raises(UserError, match="running already: http://there/api; end it with Ctrl-C"):
        server.up()
