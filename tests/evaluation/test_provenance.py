"""What is recorded of a measurement."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime

import pytest
import torch

from sketch2video.evaluation import provenance
from sketch2video.evaluation.provenance import commit


def git(*words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_a_change_of_code_or_parameters_counts_one_of_a_page_does_not(repository):
    assert commit() == "no commit"
    git("init")
    for name in ("params.yaml", "README.md"):
        (repository / name).write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    said = re.fullmatch(r"commit ([0-9a-f]{7,})", commit())
    assert said
    assert head.startswith(said[1])
    (repository / "README.md").write_text("2")
    assert commit() == said[0]
    (repository / "params.yaml").write_text("2")
    assert commit() == f"{said[0]} with changes"


def test_without_git_there_is_no_commit(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert commit() == "no commit"


def test_the_line_names_machine_threads_precision_and_day(monkeypatch):
    monkeypatch.setattr(provenance, "precision", lambda: "no")
    before = datetime.now(UTC).date().isoformat()
    line = provenance.provenance().split(", ")
    assert line[1:4] == [f"{os.cpu_count()} cores", "1 thread" if torch.get_num_threads() == 1 else
                         f"{torch.get_num_threads()} threads", "fp32"]  # fmt: skip
    assert line[-2] in (before, datetime.now(UTC).date().isoformat())
    assert platform.system() != "Linux" or line[0] in open("/proc/cpuinfo").read()  # noqa: PTH123, SIM115
