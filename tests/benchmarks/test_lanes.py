"""The queue of experiments, with the real git and DVC and a graph that takes no time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.lanes import Lanes, alone, code_version, committed, last_commit
from sketch2video.errors import UserError

PROJECT = Path(__file__).parents[2]

GRAPH = """
stages:
  ingest:
    cmd: python src/stage.py data/clips
    params: [base.frames]
    outs:
      - data/clips: {persist: true}
  train:
    cmd: python src/stage.py models/net
    deps: [data/clips]
    params: [base.seed]
    outs: [models/net]
  evaluate:
    cmd: python src/stage.py reports/metrics.json
    deps: [models/net]
    params: [base.seed]
    metrics:
      - reports/metrics.json: {cache: false}
"""
OTHER = """
stages:
  evaluate:
    cmd: python src/stage.py reports/other/metrics.json
    wdir: ../..
    deps: [data/clips]
    params: [base.seed]
    metrics:
      - reports/other/metrics.json: {cache: false}
"""
STAGE = """
import os, pathlib, sys, time, yaml
output = pathlib.Path(sys.argv[1])
with open(os.environ["DONE"], "a") as stream:
    print(output, file=stream)
seed = yaml.safe_load(open("params.yaml"))["base"]["seed"]
if seed == 13:
    sys.exit(1)
if output.name == "net" and os.path.exists(os.environ["DONE"] + ".hold"):
    pathlib.Path(os.environ["DONE"] + ".pid").write_text(str(os.getpid()))
    time.sleep(600)
output.parent.mkdir(parents=True, exist_ok=True)
output.write_text('{"seed": %d}' % seed)
"""
DRIVER = """
import sys
from pathlib import Path
from benchmarks.lanes import Lanes, last_commit
folder = Path(sys.argv[1])
project = folder / "project"
Lanes(project, last_commit(project), folder / "lanes", {}).reproduce("lane", "seed-1", folder / "1.yaml")
"""


def git(*arguments: str, place: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=place, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Holds ``project``, a repository with that graph, and parameter files ``<seed>.yaml``."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "flows").mkdir()
    (project / "systems/text_ldm").mkdir(parents=True)
    (project / "src/stage.py").write_text(STAGE)
    for name in ("__init__.py", "server.py"):
        shutil.copyfile(PROJECT / "flows" / name, project / "flows" / name)
    (project / "dvc.yaml").write_text(GRAPH)
    (project / "systems/text_ldm/dvc.yaml").write_text(OTHER)
    (project / "params.yaml").write_text("base: {seed: 0, frames: 16}\n")
    (project / ".gitignore").write_text("__pycache__/\n/data/\n/models/\n/reports/\n")
    (project / ".dvc").mkdir()
    shutil.copyfile(PROJECT / ".dvc/config", project / ".dvc/config")
    (project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git("init", "--quiet", place=project)
    git("config", "user.name", "somebody", place=project)
    git("config", "user.email", "somebody@example.org", place=project)
    git("add", ".", place=project)
    git("commit", "--quiet", "-m", "all", place=project)
    for seed in (1, 2, 13):
        (tmp_path / f"{seed}.yaml").write_text(f"base: {{seed: {seed}, frames: 16}}\n")
    monkeypatch.setenv("DONE", str(tmp_path / "done"))
    return tmp_path


def lanes_of(folder: Path) -> Lanes:
    """Lanes of the project's last commit."""
    project = folder / "project"
    return Lanes(project, last_commit(project), folder / "lanes", {})


def runs(folder: Path) -> list[str]:
    return (folder / "done").read_text().split()


@pytest.mark.slow
def test_experiments_of_a_lane_share_data_and_are_known_to_the_project(folder):
    project, lanes = folder / "project", lanes_of(folder)
    for seed in (1, 2):
        place = lanes.reproduce("lane", f"seed-{seed}", folder / f"{seed}.yaml")
        assert json.loads((place / "reports/metrics.json").read_text()) == {"seed": seed}
        assert json.loads((place / "reports/other/metrics.json").read_text()) == {"seed": seed}
    assert runs(folder).count("data/clips") == 1
    assert runs(folder).count("models/net") == 2
    assert git("status", "--porcelain", place=project) == ""
    shown = subprocess.run(
        [Path(sys.executable).parent / "dvc", "exp", "show", "--json"], cwd=project, check=True, capture_output=True
    )
    found = {
        one["name"]: one["revs"][0]["data"]["metrics"]["reports/metrics.json"]["data"]
        for baseline in json.loads(shown.stdout)
        for one in baseline["experiments"] or []
    }
    assert found == {"seed-1": {"seed": 1}, "seed-2": {"seed": 2}}
    lanes.remove("lane")
    assert not place.exists()


@pytest.mark.slow
def test_a_killed_experiment_ends_with_its_processes_and_goes_on_from_its_last_stage(folder):
    (folder / "done.hold").touch()
    paths = os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, folder], env={**os.environ, "PYTHONPATH": paths})
    wait_for((folder / "done.pid").exists)
    time.sleep(0.5)
    child = int((folder / "done.pid").read_text())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    (folder / "done.hold").unlink()
    place = lanes_of(folder).reproduce("lane", "seed-1", folder / "1.yaml")
    assert json.loads((place / "reports/metrics.json").read_text()) == {"seed": 1}
    assert runs(folder).count("data/clips") == 1
    assert runs(folder).count("models/net") == 2


@pytest.mark.slow
def test_a_failed_experiment_names_its_log(folder):
    lanes = lanes_of(folder)
    with pytest.raises(UserError, match=r"`dvc repro .*` ended with code \d+; see .*seed-13\.log"):
        lanes.reproduce("lane", "seed-13", folder / "13.yaml")
    assert "failed to reproduce 'ingest'" in (folder / "lanes/seed-13.log").read_text()


def test_code_must_be_as_committed_and_parameters_need_not(folder):
    project = folder / "project"
    first = last_commit(project)
    before = code_version(project, first)
    (project / "params.yaml").write_text("base: {seed: 5, frames: 16}\n")
    assert code_version(project, first) == before
    assert committed(project, "params.yaml", first) == "base: {seed: 0, frames: 16}\n"
    (project / "src/stage.py").write_text("pass\n")
    with pytest.raises(UserError, match=r"src/stage\.py is not as committed"):
        code_version(project, first)
    git("commit", "--all", "--quiet", "-m", "changed", place=project)
    with pytest.raises(UserError, match=r"src/stage\.py is not as committed"):
        code_version(project, first)
    after = code_version(project, last_commit(project))
    assert after["src"] != before["src"]
    assert after["flows"] == before["flows"]
    assert committed(project, "params.yaml", first) != committed(project, "params.yaml", last_commit(project))


@pytest.mark.parametrize("how", [[], ["--amend"]])
def test_every_experiment_runs_the_code_of_the_start(folder, monkeypatch, how):
    class Enough(Exception):
        pass

    code = []

    def read(lanes, checkout, log, *arguments):
        code.append((checkout.name, (checkout / "src/stage.py").read_text()))
        raise Enough

    monkeypatch.setattr(Lanes, "_dvc", read)
    project, lanes = folder / "project", lanes_of(folder)

    def reproduce(runner, lane):
        with pytest.raises(Enough):
            runner.reproduce(lane, "seed-1", folder / "1.yaml")

    reproduce(lanes, "old")
    (project / "src/stage.py").write_text("pass\n")
    git("commit", "--all", "--quiet", "-m", "changed", *how, place=project)
    for lane in ("old", "new"):
        reproduce(lanes, lane)
    assert code == [("old", STAGE), ("old", STAGE), ("new", STAGE)]
    reproduce(lanes_of(folder), "old")
    assert code[-1] == ("old", "pass\n"), "the next run has the new code"


def test_one_process_at_a_time_uses_the_lanes(tmp_path):
    (tmp_path / ".partial-0-lane").mkdir()
    with alone(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        with pytest.raises(UserError, match="already"), alone(tmp_path):
            pass
    with alone(tmp_path):
        pass


def wait_for(what, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)
