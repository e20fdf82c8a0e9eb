import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sketch2video.profiles import apply_profile
from sketch2video.systems.registry import DEFAULT, system_names

ROOT = Path(__file__).resolve().parents[2]


RECORDER = Path(__file__).with_name("recorder")


@dataclass(frozen=True)
class Project:
    """A copy of the project in a folder of its own, with commands that see nothing of the original."""

    folder: Path

    @property
    def records(self):
        """Folder of what the processes of this project read of its parameters; see ``recorder/sitecustomize.py``."""
        return self.folder.with_name(f"{self.folder.name}-records")

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        return kept | {
            # The copy's code, by the interpreter and the libraries of this one.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, (self.folder / "src", self.folder, RECORDER))),
            "RECORD_PARAMETERS": str(self.records),
            "PREFECT_HOME": str(self.folder / ".prefect"),
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "dvc-site-cache"),
            **{
                f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            },
        }

    def run(self, *command, expected=0, timeout=900):
        """Run a command in the copy; returns what it printed."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == expected, (
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    def bytes_of(self, *names):
        """Bytes of all files below some of the copy's folders, by path."""
        files = [file for name in names for file in sorted((self.folder / name).rglob("*")) if file.is_file()]
        return {file.relative_to(self.folder).as_posix(): file.read_bytes() for file in files}


def copy_project(folder):
    """Copy all files that git knows or would take up, with the smoke profile applied, as a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    apply_profile("smoke", folder / "params.yaml", folder / "profiles")
    project = Project(folder)
    project.records.mkdir()
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "A copy for tests")
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project whose whole graph has run once, with registration and generation. Tests leave its files as they are."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    commands = "dvc repro && sketch2video register && sketch2video generate prompts/demo.txt"
    project.run("python", "-m", "flows.server", "run", "--", "bash", "-c", commands)
    return project


OTHER_SYSTEMS = [name for name in system_names() if name != DEFAULT]
"""Systems that ``dvc repro`` does not make."""


@pytest.fixture(scope="session")
def with_all_systems(finished):
    """The finished project with the other systems made in it, too; and what ``dvc repro`` had made of them."""
    folders = [f"{top}/{name}" for name in OTHER_SYSTEMS for top in ("models", "data", "reports")]
    before = [folder for folder in folders if (finished.folder / folder).exists()]
    graphs = [f"systems/{name}/dvc.yaml" for name in OTHER_SYSTEMS]
    finished.run("python", "-m", "flows.server", "run", "--", "dvc", "repro", *graphs)
    return finished, before


@pytest.fixture
def fresh(tmp_path):
    """A project in which nothing has run."""
    return copy_project(tmp_path / "project")
