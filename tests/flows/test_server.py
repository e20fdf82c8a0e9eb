from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.server import HOST, Service, free_port, main, responds, run
from sketch2video.errors import UserError


def test_a_port_in_use_is_not_taken() -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        preferred = busy.getsockname()[1]
        assert free_port(preferred) != preferred
    assert free_port(preferred) == preferred


def test_a_service_ends_with_its_children(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", HOST]
    shell = ["bash", "-c", f"{' '.join(command)} & wait"]
    service = Service("files", shell, os.environ, tmp_path)
    service.wait_until_healthy(f"http://{HOST}:{port}/")
    service.stop()
    assert not responds(f"http://{HOST}:{port}/")


def test_a_service_ends_with_a_killed_parent(tmp_path: Path) -> None:
    port = free_port()
    program = (
        "import os, sys, time; from pathlib import Path; from flows.server import Service;"
        f"Service('files', [sys.executable, '-m', 'http.server', '{port}', '--bind', '{HOST}'], os.environ,"
        f" Path({str(tmp_path)!r})).wait_until_healthy('http://{HOST}:{port}/'); print('ready', flush=True);"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while responds(f"http://{HOST}:{port}/") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not responds(f"http://{HOST}:{port}/")


def test_a_service_that_dies_says_why(tmp_path: Path) -> None:
    service = Service("thing", [sys.executable, "-c", "import sys; sys.exit('no database')"], os.environ, tmp_path)
    with pytest.raises(UserError, match=r"the thing ended with code 1 \(no database\); see .*thing\.log"):
        service.wait_until_healthy(f"http://{HOST}:{free_port()}/")


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
