"""Which stage or flow each command of models calls, and with what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sketch2video.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without a Prefect server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "stage", "owner"),
    [
        (["train", "video_ldm"], "video_ldm", "sketch_ldm"),
        (["train", "video_ldm", "--system", "text_ldm"], "video_ldm", "text_ldm"),
        (["train", "curve_vae"], "curve_vae", "shared"),
        (["train", "train_curve_vae"], "train_curve_vae", "shared"),
        (["assemble"], "assemble", "sketch_ldm"),
        (["assemble", "text_ldm"], "assemble", "text_ldm"),
        (["evaluate"], "evaluate", "sketch_ldm"),
        (["evaluate", "long_video"], "evaluate", "long_video"),
    ],
)
def test_a_command_runs_the_stage_of_its_owner_and_prints_metrics(
    arguments: list[str], stage: str, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, str]] = []

    def run_stage(name: str, system: str) -> dict[str, float]:
        called.append((name, system))
        return {"loss": 0.25}

    monkeypatch.setattr("sketch2video.stages.run.run_stage", run_stage)
    answer = CliRunner().invoke(app, arguments)
    assert (answer.exit_code, answer.output) == (0, "loss 0.25\n")
    assert called == [(stage, owner)]


FLOWS = [
    (["train", "curve_vae"], ["flows.stage", "curve_vae", "shared"]),
    (["evaluate", "text_ldm"], ["flows.stage", "evaluate", "text_ldm"]),
    (["register"], ["flows.register"]),
    (["register", "--model", "models/x"], ["flows.register", "--model=models/x"]),
    (["generate", "prompts.txt"], ["flows.generate", "--", "prompts.txt"]),
    (
        ["generate", "--model", "m", "--output", "-o", "--seed", "3", "--", "-p.txt"],
        ["flows.generate", "--model=m", "--output=-o", "--seed=3", "--", "-p.txt"],
    ),
]


@pytest.mark.parametrize("code", [0, 2, 7])
@pytest.mark.parametrize(("arguments", "forwarded"), FLOWS)
def test_with_a_server_a_command_is_its_flow(
    folder: Path, arguments: list[str], forwarded: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        assert env["PREFECT_API_URL"] == "http://there/api"
        called.append(command)
        return subprocess.CompletedProcess(command, code)

    (folder / "flows").mkdir()
    for name in ("stage", "register", "generate"):
        (folder / "flows" / f"{name}.py").touch()
    monkeypatch.setenv("PREFECT_API_URL", "http://there/api")
    monkeypatch.setattr("sketch2video.cli.models.subprocess.run", run)
    assert CliRunner().invoke(app, arguments).exit_code == code
    assert called == [[sys.executable, "-m", *forwarded]]


def test_without_flows_a_command_runs_directly_even_with_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str | None] = []
    monkeypatch.setenv("PREFECT_API_URL", "http://there/api")
    monkeypatch.setattr("sketch2video.stages.register.register", called.append)
    assert CliRunner().invoke(app, ["register", "--model", "models/x"]).exit_code == 0
    assert called == ["models/x"]
