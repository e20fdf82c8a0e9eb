import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.server import run
from sketch2video.durations import VARIABLE, chart

SKETCH2VIDEO = [sys.executable, "-c", "from sketch2video.cli import main; main()"]


def test_a_command_appends_its_seconds(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    begun = time.monotonic()
    for steps in ("one", "two"):
        subprocess.run(
            [*SKETCH2VIDEO, "no-such-command", "--", steps],
            env={**os.environ, VARIABLE: str(file)},
            capture_output=True,
        )
    total = time.monotonic() - begun
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert (first["command"], second["command"]) == ("no-such-command one", "no-such-command two")
    assert 0 < first["seconds"] + second["seconds"] < total


def test_the_chart_shows_shares_and_what_is_left(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    assert chart(file, 10) == ""
    file.write_text('{"command": "ingest", "seconds": 15}\n{"command": "train_video_ldm sketch_ldm", "seconds": 60}\n')
    assert chart(file, 100) == "\n".join(
        [
            "ingest                        0:15   15%  ########",
            "train_video_ldm sketch_ldm    1:00   60%  ##############################",
            "between commands              0:25   25%  ############",
            "all                           1:40",
        ]
    )


def test_a_command_within_a_command_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    program = "import subprocess, sys; from sketch2video.cli import main; subprocess.run(sys.argv[1:]); main()"
    nested = [sys.executable, "-c", program, *SKETCH2VIDEO, "profile", "--help"]
    subprocess.run(nested, env={**os.environ, VARIABLE: str(file)}, capture_output=True)
    assert len(file.read_text().splitlines()) == 1


def test_a_run_ends_with_the_chart(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert run([*SKETCH2VIDEO, "profile", "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("profile --help") for line in lines)
    assert lines[-1].startswith("all")
