from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sketch2video.errors import UserError
from sketch2video.guard import guarded
from sketch2video.studio import server
from tests.studio.serving import parsed

SKETCH2VIDEO = (sys.executable, "-c", "from sketch2video.cli import main; main()")


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a folder, and the address that it prints."""
    command = [*SKETCH2VIDEO, "studio", "--no-browser", *arguments]
    environment = guarded({**os.environ, "PYTHONUNBUFFERED": "1"})
    environment.pop("MLFLOW_TRACKING_URI", None)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        found = re.search(r"http://\S+", line)
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def test_the_command_serves_the_model_that_is_named_and_ends_with_ctrl_c(
    tiny_pipeline_folder: Path, tmp_path: Path
) -> None:
    arguments = ("--model", str(tiny_pipeline_folder), "--output", "videos", "--port", "0")
    with (
        started(*arguments, folder=tmp_path) as (process, address),
        httpx.Client(base_url=address, timeout=60, transport=httpx.HTTPTransport(retries=5)) as client,
    ):
        (model,) = client.get("/api/models").json()["models"]
        assert model["name"] == str(tiny_pipeline_folder)
        asked = {"model": model["id"], "caption": "a red circle", "client": "a"}
        job = client.post("/api/paint", json=asked).json()["job"]
        assert parsed(client.get(f"/api/paint/{job}/events").text)[-1][0] == "done"
        assert len(client.get("/api/gallery").json()["items"]) == 1
        long = asked | {"frames": 256, "sampling": {"num_inference_steps": 200}}
        job = client.post("/api/paint", json=long).json()["job"]
        with client.stream("GET", f"/api/paint/{job}/events") as stream:
            pieces = stream.iter_text()
            assert "progress" in next(pieces)
            process.send_signal(signal.SIGINT)
            assert parsed("".join(pieces))[-1][0] == "cancelled"
        assert process.wait(20) in (0, -signal.SIGINT, 130)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 2
    assert not (tmp_path / "mlruns").exists()


def test_mistakes_end_with_one_line(tmp_path: Path) -> None:
    command = [*SKETCH2VIDEO, "studio", "--no-browser", "--model", "nothing"]
    ended = subprocess.run(command, cwd=tmp_path, env=guarded(os.environ), capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("sketch2video: nothing holds no pipeline")
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_named_or_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"127\.0\.0\.1:{used} cannot be used"):
            server._bound("127.0.0.1", used)
        monkeypatch.setattr(server, "PORT", used)
        with server._bound("127.0.0.1", None) as listening:
            assert listening.getsockname()[1] != used
    for host in ("203.0.113.1", "a..b"):
        with pytest.raises(UserError, match="choose another --port or --host"):
            server._bound(host, None)
