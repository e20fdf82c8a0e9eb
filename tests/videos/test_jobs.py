import os
import subprocess
import sys
import time

import psutil
import pytest

from sketch2video.errors import UserError
from sketch2video.videos.jobs import map_jobs


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_give_their_results_in_order(workers):
    assert map_jobs(divmod, [(7, 2), (9, 4), (5, 5)], workers, "divide") == [(3, 1), (2, 1), (1, 0)]
    with pytest.raises(ZeroDivisionError):
        map_jobs(divmod, [(7, 2), (9, 0), (5, 5)], workers, "divide")


def test_a_killed_worker_is_a_clear_error():
    with pytest.raises(UserError, match=r"exit: a process was killed.*base\.workers"):
        map_jobs(os._exit, [(1,), (1,)], 2, "exit")


def test_workers_end_with_a_killed_parent():
    program = "import time; from sketch2video.videos.jobs import map_jobs; map_jobs(time.sleep, [(60,)] * 2, 2, '')"
    parent = psutil.Process(subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL).pid)
    deadline = time.monotonic() + 60
    workers: list[psutil.Process] = []
    # Two workers and the resource tracker; a worker watches its parent only once it has started up.
    while len(workers) < 3 and time.monotonic() < deadline:
        workers = parent.children()
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert workers
    assert not alive
