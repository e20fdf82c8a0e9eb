"""A process that is killed takes with it what it started."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil

from sketch2video.guard import MARKS, guarded

TIMEOUT = 60.0


def program(text: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


def started(folder: Path, count: int) -> list[int]:
    """Ids of processes, the names of the files in a folder, once there are as many."""
    deadline = time.monotonic() + TIMEOUT
    while len(found := list(folder.iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(path.name) for path in found]


def assert_ended(ids: list[int]) -> None:
    processes = [process for process in psutil.process_iter() if process.pid in ids]
    _, alive = psutil.wait_procs(processes, timeout=TIMEOUT)
    for process in alive:
        process.kill()
    assert alive == []


CHAIN = """
trap '' TERM
bash -c 'touch "$0/$$"; sleep 300; true' "$0" &
python -c '
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
open(f"{sys.argv[1]}/{os.getpid()}", "w")
time.sleep(300)
' "$0"
touch "$0/$$"
wait
"""
"""A shell that ignores SIGTERM, its child, and a process in another session whose parent has ended."""


def test_descendants_of_a_killed_process_end(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        program(f"""
            import os, subprocess, time
            from sketch2video.guard import guarded
            subprocess.Popen(["bash", "-c", {CHAIN!r}, {str(tmp_path)!r}], env=guarded(os.environ))
            time.sleep(300)
        """)
    )
    chain = started(tmp_path, 3)
    parent.kill()
    parent.wait()
    assert_ended(chain)


def test_leftovers_of_a_process_that_ends_by_itself_end(tmp_path: Path) -> None:
    subprocess.run(
        program(f"""
            import os, pathlib, subprocess
            from sketch2video.guard import guarded
            child = subprocess.Popen(["sleep", "300"], env=guarded(os.environ))
            pathlib.Path({str(tmp_path)!r}, str(child.pid)).touch()
        """),
        check=True,
    )
    assert_ended(started(tmp_path, 1))


def test_others_go_on() -> None:
    """Only processes with the mark of the killed one end: not its siblings."""
    sibling = psutil.Popen(["sleep", "300"], env=guarded(os.environ))
    try:
        killed = subprocess.run(
            program("""
                import os, subprocess
                from sketch2video.guard import guarded
                print(subprocess.Popen(["sleep", "300"], env=guarded(os.environ)).pid, flush=True)
                os.kill(os.getpid(), 9)
            """),
            stdout=subprocess.PIPE,
            timeout=TIMEOUT,
        )
        assert killed.returncode == -signal.SIGKILL
        assert_ended([int(killed.stdout)])
        assert sibling.is_running()
    finally:
        sibling.kill()
        sibling.wait()


def test_marks_are_added_once() -> None:
    once = guarded({"A": "b", MARKS: "another"})
    assert once["A"] == "b"
    assert once[MARKS].split()[0] == "another"
    assert guarded(once) == once


def test_the_tests_are_guarded() -> None:
    assert guarded(os.environ) == dict(os.environ)
