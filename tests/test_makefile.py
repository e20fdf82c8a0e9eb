"""`make demo` with stand-ins for the commands that it runs: what each receives."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# `make test` exports them to these tests, where a second make would read them as a user's wishes.
EXPORTED = re.search(r"^export (PROFILE.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()

STAND_IN = """#!{python}
import json, os, subprocess, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(os.environ["LOG"], "a") as log:
    print(json.dumps([name, *arguments, *os.environ.get("WRITE", "").split()]), file=log)
if name == "sketch2video" and arguments[0] == "check" and os.environ.get("REFUSE"):
    sys.exit(2)
if arguments[:3] == ["-m", "flows.server", "run"]:
    sys.exit(subprocess.run(arguments[4:]).returncode)
"""


@pytest.fixture(params=["project", "what is this? #1 50% it's"])
def project(request, tmp_path):
    folder = tmp_path / request.param
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / "reports").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    for name in ("sketch2video", "python", "dvc"):
        stand_in = folder / ".venv/bin" / name
        stand_in.write_text(STAND_IN.format(python=sys.executable))
        stand_in.chmod(0o755)
    (folder / ".venv/.ready").write_text("")
    shutil.copytree(ROOT / "prompts", folder / "prompts")
    return folder


def make(project, *arguments, **environment):
    """Exit code of make, what it printed, and the commands that it ran."""
    log = project / "log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name not in EXPORTED}
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=project,
        env=kept | {"LOG": str(log)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, [json.loads(line) for line in log.read_text().splitlines()]


NAMES = ["plain.csv", "my clips/two words.csv", 'it\'s "it".csv', "what?#1 50%.csv", "12:30.csv", "-n.csv", "a;b&c.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_names_reach_the_commands_as_they_are(project, name):
    done, commands = make(project, "demo", f"SOURCE={name}", f"PROMPTS={name}")
    assert done.returncode == 0, done.stderr
    assert commands[:2] == [["sketch2video", "source", "--", name], ["sketch2video", "check", f"--prompts={name}"]]
    assert commands[-1] == ["sketch2video", "generate", "--", name]
    assert f"report   {project}/reports/sketch_ldm/index.html" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "checked", "prompts"),
    [
        ([], ["--prompts=prompts/demo.txt"], "prompts/demo.txt"),
        (["SOURCE=synthetic"], ["--prompts=prompts/demo.txt"], "prompts/demo.txt"),
        (["PROFILE=fine"], ["--prompts=prompts/demo.txt"], "prompts/demo.txt"),
        (["PROFILE=rich"], ["--prompts=prompts/rich.txt"], "prompts/rich.txt"),
        (["SOURCE=two words.csv"], [], "reports/captions.txt"),
    ],
)
def test_scenes_and_videos_of_ones_own_bring_their_captions(project, arguments, checked, prompts):
    done, commands = make(project, "demo", *arguments)
    assert done.returncode == 0, done.stderr
    assert ["sketch2video", "check", *checked] in commands
    assert commands[-1] == ["sketch2video", "generate", "--", prompts]


def test_tables_are_written_where_asked(project):
    for asked, received in (([], []), (["WRITE=1"], ["1"])):
        _, commands = make(project, "results", "SYSTEMS=sketch_ldm text_ldm", *asked)
        assert commands[-1] == ["python", "-m", "benchmarks.results", "sketch_ldm", "text_ldm", *received]


def test_prompts_that_cannot_be_used_end_it_before_the_graph_starts(project):
    done, commands = make(project, "demo", "PROMPTS=missing.txt", REFUSE="1")
    assert done.returncode == 2
    assert [command[1] for command in commands] == ["check"]
