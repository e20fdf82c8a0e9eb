import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import LocalCluster
from threadpoolctl import threadpool_info

from sketch2video.curves.fitting.stage import fit
from sketch2video.data.clips.jobs import map_jobs
from sketch2video.data.ingest.stage import ingest
from sketch2video.errors import UserError
from sketch2video.params import BaseParams, load_params
from sketch2video.scenes.synthetic import combinations
from sketch2video.sketches.stage import sketch


def local(workers, cluster=None):
    return BaseParams(seed=0, size=16, frames=2, workers=workers, cluster=cluster)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as running:
        yield running.scheduler_address


def test_a_cluster_gives_the_same_results_and_errors(cluster):
    where = local(1, cluster)
    assert map_jobs(divmod, [(7, 2), (9, 4), (5, 5)], where, "divide") == [(3, 1), (2, 1), (1, 0)]
    with pytest.raises(ZeroDivisionError):
        map_jobs(divmod, [(7, 2), (9, 0), (5, 5)], where, "divide")
    assert os.getpid() not in map_jobs(_process, [(), (), ()], where, "where")


def test_a_cluster_without_dask_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"base\.cluster needs Dask: pip install 'sketch2video\[cluster\]'"):
        map_jobs(divmod, [(7, 2), (9, 4)], local(1, "tcp://127.0.0.1:1"), "divide")


def _process():
    return os.getpid()


def _threads(rounds):
    """Threads of every library that computes, after each has."""
    import cv2
    import scipy.linalg
    import torch

    for _ in range(rounds):
        scipy.linalg.inv(np.eye(64) + np.ones((64, 64)))
        torch.ones(64, 64) @ torch.ones(64, 64)
    pools = threadpool_info()
    assert {pool["internal_api"] for pool in pools} >= {"openblas", "openmp"}
    return {pool["filepath"]: pool["num_threads"] for pool in pools} | {"cv2": cv2.getNumThreads()}


def test_a_worker_computes_on_one_thread(cluster, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for where in (local(2), local(1, cluster)):
        for found in map_jobs(_threads, [(1,), (2,)], where, "count threads"):
            assert set(found.values()) == {1}, found


def test_the_stages_make_the_same_bytes_on_a_cluster(cluster, tmp_path, monkeypatch):
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    small = {"clips_per_combination": 1, "held_out_combinations": 210}
    synthetic = params.ingest.synthetic.model_copy(update=small)
    update = {"ingest": params.ingest.model_copy(update={"shards": 3, "synthetic": synthetic})}
    monkeypatch.setattr("sketch2video.scenes.synthetic.combinations", lambda: combinations()[::27])
    monkeypatch.setattr("sketch2video.scenes.synthetic.held_out", lambda count, seed: set(combinations()[:1]))
    folders = []
    for name, address in (("here", None), ("there", cluster)):
        base = params.base.model_copy(update={"size": 32, "frames": 4, "workers": 1, "cluster": address})
        given = params.model_copy(update=update | {"base": base})
        folders.append(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        ingest(given, Path(name, "clips"))
        sketch(given, Path(name, "clips"), Path(name, "sketches"))
        fit(given, *(Path(name, part) for part in ("clips", "sketches", "curves", "fit.json")))
    here, there = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert len(here) == 3 * 3 + 5
    assert here == there


def test_a_cluster_that_does_not_answer_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("sketch2video.data.clips.jobs.CLUSTER_PATIENCE", 0.5)
    with pytest.raises(UserError, match=r"base\.cluster: no Dask scheduler answers at tcp://127\.0\.0\.1:1;"):
        map_jobs(divmod, [(7, 2)], local(1, "tcp://127.0.0.1:1"), "divide")


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_give_their_results_in_order(workers):
    where = local(workers)
    assert map_jobs(divmod, [(7, 2), (9, 4), (5, 5)], where, "divide") == [(3, 1), (2, 1), (1, 0)]
    with pytest.raises(ZeroDivisionError):
        map_jobs(divmod, [(7, 2), (9, 0), (5, 5)], where, "divide")


def test_a_killed_worker_is_a_clear_error():
    with pytest.raises(UserError, match=r"exit: a process was killed.*base\.workers"):
        map_jobs(os._exit, [(1,), (1,)], local(2), "exit")


def test_workers_end_with_a_killed_parent():
    program = (
        "import time; from sketch2video.params import BaseParams; from sketch2video.data.clips.jobs import map_jobs;"
        "where = BaseParams(seed=0, size=16, frames=2, workers=2, cluster=None);"
        "map_jobs(time.sleep, [(60,)] * 2, where, '')"
    )
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
