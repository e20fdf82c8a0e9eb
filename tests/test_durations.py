import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.server import run
from sketch2video import durations
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
    assert begun < first["begun"] < first["begun"] + first["seconds"] < second["begun"]


def test_a_record_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "FILE", str(tmp_path / "missing" / "file"))
    durations.record()
    assert list(tmp_path.iterdir()) == []


def test_the_chart_shows_commands_from_start_to_end(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    assert chart(file, 0, 10) == ""
    commands = ("train_curve_vae shared", 20, 60), ("ingest", 5, 15), ("train_video_ldm sketch_ldm", 30, 70)
    file.write_text(
        "".join(
            json.dumps({"command": name, "begun": 1000 + at, "seconds": time}) + "\n" for name, at, time in commands
        )
    )
    assert chart(file, 1000, 100).splitlines() == [
        "ingest                        0:15    ######",
        "train_curve_vae shared        1:00          ########################",
        "train_video_ldm sketch_ldm    1:10              ############################",
        "all                           1:40",
    ]


def test_a_command_within_a_command_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    program = "import subprocess, sys; from sketch2video.cli import main; subprocess.run(sys.argv[1:]); main()"
    nested = [sys.executable, "-c", program, *SKETCH2VIDEO, "profile", "--help"]
    subprocess.run(nested, env={**os.environ, VARIABLE: str(file)}, capture_output=True)
    (line,) = file.read_text().splitlines()
    outer = " ".join([*SKETCH2VIDEO, "profile", "--help"])
    assert json.loads(line)["command"] == outer


def test_a_command_may_pass_its_record_on_to_those_that_it_starts(tmp_path: Path) -> None:
    file = tmp_path / "durations.jsonl"
    program = (
        "import os, subprocess, sys; from sketch2video.cli import main; from sketch2video.durations import passed_on;"
        " [subprocess.run(sys.argv[1:], env={**os.environ, **passed_on()}) for _ in range(2)]; main()"
    )
    nested = [sys.executable, "-c", program, *SKETCH2VIDEO, "profile", "--help"]
    subprocess.run(nested, env={**os.environ, VARIABLE: str(file)}, capture_output=True)
    assert [json.loads(line)["command"] for line in file.read_text().splitlines()] == ["profile --help"] * 2


def test_a_run_ends_with_the_chart(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert run([*SKETCH2VIDEO, "profile", "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("profile --help") for line in lines)
    assert lines[-1].startswith("all")
