from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

NAMES = {"pipeline", "train", "evaluate", "register", "generate"}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def start(project: Any, log: Path) -> tuple[subprocess.Popen[str], str]:
    """``make up`` in a project: the process, and what it said once all was running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.server", "up"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
    )
    said = ""
    for line in process.stdout or []:
        said += line
        if "Ctrl-C" in line:
            return process, said
    pytest.fail(f"flows.server up ended with {process.wait()}:\n{said}{log.read_text()}")


def call(url: str, values: dict[str, Any] | None = None) -> Any:
    """GET, or POST of ``values``, to Prefect's API."""
    data = None if values is None else json.dumps(values).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=60
    ) as r:
        return json.load(r)


def test_a_worker_generates_from_a_deployment(fresh: Any, tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_pipeline_folder, fresh.folder / "models" / "sketch_ldm")
    (fresh.folder / "prompts.txt").write_text("a red circle\na blue star\n")
    process, said = start(fresh, tmp_path / "log")
    try:
        prefect, mlflow = re.search(r"PREFECT_API_URL=(\S+)\)", said)[1], re.search(r"MLflow +(\S+)", said)[1]
        deployments = call(f"{prefect}/deployments/filter", {})
        assert {deployment["name"] for deployment in deployments} == NAMES
        with urllib.request.urlopen(f"{mlflow}/health", timeout=60) as answer:
            assert answer.status == 200

        chosen = next(deployment["id"] for deployment in deployments if deployment["name"] == "generate")
        parameters = {"prompts": "prompts.txt", "model": "models/sketch_ldm", "output": "out"}
        run = call(f"{prefect}/deployments/{chosen}/create_flow_run", {"parameters": parameters})
        deadline = time.monotonic() + 400
        while run["state_type"] not in ENDED and time.monotonic() < deadline:
            time.sleep(0.5)
            run = call(f"{prefect}/flow_runs/{run['id']}")
        worker = (fresh.folder / ".prefect" / "logs" / "worker.log").read_text()
        assert run["state_type"] == "COMPLETED", worker
        rows = [json.loads(line) for line in (fresh.folder / "out" / "manifest.jsonl").read_text().splitlines()]
        assert [row["caption"] for row in rows] == ["a red circle", "a blue star"]
        assert all((fresh.folder / "out" / row["video"]).stat().st_size for row in rows)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    for address in (prefect, mlflow):
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=5)
