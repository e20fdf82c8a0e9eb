"""A queue of DVC experiments that goes on where it stopped.

Experiments that share their data share a *lane*: a clone of this repository in ``.dvc/tmp``, with this one's cache. In
it one experiment after another is reproduced, saved (``dvc exp save``) and pushed here, so that ``dvc exp show`` and
``dvc exp apply`` know it. A killed experiment goes on in its lane from its last finished stage, shard and checkpoint.

DVC's own queue does not do: what was running when its worker is killed stays "running" or counts as failed, and is not
queued again (dvc.org, ``queue kill``); more than one worker is known to lose experiments (treeverse/dvc#10673, #10398);
the temporary folder goes with the checkpoints in it. Nor may two ``dvc exp run --temp`` start at once: they take what
is to be run from one stash.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sketch2video.errors import UserError
from sketch2video.files import remove_partial, replacing
from sketch2video.guard import guarded

CODE = ("src", "flows", "dvc.yaml", "systems/text_ldm/dvc.yaml")
"""What an experiment's results depend on beside its parameters; lanes have it as it was committed."""

TARGETS = ("evaluate", "systems/text_ldm/dvc.yaml:evaluate")
"""Stages that every experiment reproduces, with all that they need."""


def last_commit(root: Path) -> str:
    """The hash of the last commit."""
    return _git(root, "rev-parse", "HEAD")


def code_version(root: Path, commit: str) -> dict[str, str]:
    """Git's hashes of ``CODE`` in a commit.

    Raises:
        UserError: the code of the working tree is not that of the commit.
    """
    changed = _git(root, "diff", "--name-only", commit, "--", *CODE).splitlines()
    if changed:
        raise UserError(f"{changed[-1]} is not as committed, and experiments run what is; commit it first")
    return dict(zip(CODE, _git(root, "rev-parse", *(f"{commit}:{name}" for name in CODE)).split(), strict=True))


def committed(root: Path, path: str, commit: str) -> str:
    """A file's text in a commit."""
    return _git(root, "show", f"{commit}:{path}") + "\n"


class Lanes:
    """Runs experiments, several lanes at a time.

    Args:
        root: the repository.
        commit: hash of the commit whose code all experiments run, whatever is committed meanwhile.
        folder: folder of lanes and their logs.
        environment: variables that the experiments get beside those of this process.
    """

    def __init__(self, root: Path, commit: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.root, self.commit, self.folder = root.resolve(), commit, folder.resolve()
        programs = Path(sys.executable).parent  # where dvc and sketch2video are
        path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
        self.environment = guarded({**os.environ, "PATH": path, **environment})
        self.cache = self._output("dvc", "cache", "dir")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = threading.Event()

    def run(self, lanes: Sequence[Sequence[Callable[[], None]]], jobs: int) -> None:
        """Call the functions of each lane in order, ``jobs`` lanes at a time; Ctrl-C ends what they run."""
        pool = ThreadPoolExecutor(jobs)
        try:
            for future in [pool.submit(self._in_order, lane) for lane in lanes]:
                future.result()
        finally:
            self._stopped.set()
            for process in list(self._running):
                _stop(process)
            pool.shutdown(cancel_futures=True)

    def _in_order(self, lane: Sequence[Callable[[], None]]) -> None:
        for call in lane:
            if not self._stopped.is_set():
                call()

    def reproduce(self, lane: str, name: str, params: Path) -> Path:
        """Reproduce ``TARGETS`` with its parameters, and save that as an experiment of this repository.

        Args:
            lane: its name; those of one lane must come one after another.
            name: of the experiment.
            params: its ``params.yaml``.

        Returns:
            The lane's folder, as the experiment left it.

        Raises:
            UserError: a command fails, or was stopped; the message names its log.
        """
        checkout, log = self.folder / lane, self.folder / f"{name}.log"
        if not checkout.exists():
            self._clone(checkout)
        (checkout / ".git/index.lock").unlink(missing_ok=True)  # of a killed git
        _git(checkout, "fetch", "--quiet", "origin", self.commit)  # by its hash: HEAD may be another one by now
        _git(checkout, "checkout", "--quiet", "--force", "--detach", self.commit)
        shutil.copyfile(params, checkout / "params.yaml")
        self._dvc(checkout, log, "repro", *TARGETS)
        # Git ignores reports, and DVC saves ignored files only if they are listed.
        results = [file.relative_to(checkout).as_posix() for file in sorted(checkout.glob("reports/**/*.json"))]
        included = [argument for result in results for argument in ("--include-untracked", result)]
        self._dvc(checkout, log, "exp", "save", "--force", "--name", name, *included, *TARGETS)
        saved = _git(checkout, "for-each-ref", "--sort=creatordate", "--format=%(refname)", f"refs/exps/*/*/{name}")
        _git(checkout, "push", "--quiet", "--force", "origin", saved.splitlines()[-1])
        return checkout

    def remove(self, lane: str) -> None:
        """Remove a lane's folder; what its experiments made is in the cache."""
        shutil.rmtree(self.folder / lane, ignore_errors=True)

    def _clone(self, checkout: Path) -> None:
        with replacing(checkout) as partial:
            _git(self.root, "clone", "--quiet", str(self.root), str(partial))
            for key, fallback in (("user.name", "sketch2video"), ("user.email", "sketch2video@localhost")):
                _git(partial, "config", key, self._output("git", "config", "--default", fallback, "--get", key))
            (partial / ".dvc/config.local").write_text(f"[cache]\n    dir = {self.cache}\n")

    def _dvc(self, checkout: Path, log: Path, *arguments: str) -> None:
        if self._stopped.is_set():
            raise UserError("it was stopped")
        command = [sys.executable, "-m", "dvc", *arguments]
        # The lane's own code, not that which is installed.
        environment = self.environment | {"PYTHONPATH": f"{checkout / 'src'}{os.pathsep}{checkout}"}
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command, cwd=checkout, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._running.add(process)
        code = process.wait()
        self._running.discard(process)
        if self._stopped.is_set():
            raise UserError("it was stopped")
        if code:
            raise UserError(f"`dvc {' '.join(arguments)}` ended with code {code}; see {log}")

    def _output(self, *command: str) -> str:
        return subprocess.run(
            command, cwd=self.root, env=self.environment, check=True, capture_output=True, text=True, errors="replace"
        ).stdout.strip()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time into a folder of lanes, and remove what a killed one left half made.

    Raises:
        UserError: another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"experiments are running in {folder} already; wait, or end them with Ctrl-C") from error
        remove_partial(folder)
        yield


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise UserError(f"`git {' '.join(arguments)}` failed in {checkout}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(10.0)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
