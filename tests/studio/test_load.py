"""Many requests in a row and at once: nothing is lost, and no more results are kept than the limit."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

from sketch2video.studio.paint_jobs import Job
from sketch2video.studio.painting import Painted
from sketch2video.studio.worker import MOST_FINISHED
from tests.studio.serving import DRAWING, Served

IN_A_ROW, AT_ONCE = 200, 20
ROUND = 4
"""Requests of a round: draw, paint, events, frames."""

ENDING = 2
"""Most jobs that may still be on their way out: the last one, and one whose stream of events is being closed."""


def alive(kind: type) -> int:
    """How many objects of a class there are in this process."""
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_two_hundred_in_a_row_lose_nothing_and_old_results_are_freed(studio: Served) -> None:
    sampling = {"num_inference_steps": 1}

    def some(count: int) -> None:
        for seed in range(count):
            assert studio.draw(seed=seed)["drawing"]["frames"] == 8
            job, data = studio.paint(seed=seed, drawing=DRAWING, sampling=sampling)
            assert len(data["numbers"]) == 8
            assert studio.client.get(f"/api/frames/{job}").status_code == 200

    none = {kind: alive(kind) for kind in (Job, Painted)}
    some(MOST_FINISHED)  # fills what is kept
    threads = threading.active_count()
    some(IN_A_ROW // ROUND)
    for kind, before in none.items():
        assert MOST_FINISHED <= alive(kind) - before <= MOST_FINISHED + ENDING, kind
    assert threading.active_count() <= threads + 2
    worker = studio.app.state.studio.worker
    assert len(worker._jobs) <= MOST_FINISHED + 1


def test_twenty_at_once_lose_nothing(studio: Served) -> None:
    def one(client: int) -> list[str]:
        ends = []
        for seed in range(3):
            drawn = studio.draw(seed=seed, client=f"client-{client}")
            job, data = studio.paint(seed=seed, client=f"client-{client}", drawing=drawn["drawing"])
            assert len(data["numbers"]) == studio.frames(job)["count"] == 8
            ends.append(data["key"])
        return ends

    with ThreadPoolExecutor(AT_ONCE) as pool:
        keys = list(pool.map(one, range(AT_ONCE)))
    assert keys == [keys[0]] * AT_ONCE
    assert len(set(keys[0])) > 1


def test_a_page_that_leaves_does_not_disturb(studio: Served) -> None:
    """Streams of events that are closed early leave no listeners."""
    jobs = []
    for seed in range(20):
        job = studio.submit(seed=seed, client=f"leaves-{seed}")
        jobs.append(job)
        with studio.client.stream("GET", f"/api/paint/{job}/events"):
            pass
    assert [studio.events(job)[-1][0] for job in jobs] == ["done"] * 20
    found = [studio.app.state.studio.worker.find(job) for job in jobs]
    deadline = threading.Event()
    for _ in range(200):
        if not any(job._listeners for job in found if job is not None):
            break
        deadline.wait(0.02)
    assert not any(job._listeners for job in found if job is not None)
