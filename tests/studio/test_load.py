"""Many requests in a row and at once: nothing is lost, and the memory does not grow."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psutil

from sketch2video.studio.worker import MOST_FINISHED
from tests.studio.serving import DRAWING, Served

IN_A_ROW, AT_ONCE = 200, 20
ROUND = 4
"""Requests of a round: draw, paint, events, frames."""

MOST_GROWTH = 24 * 2**20
"""Bytes of the resident set, which is not exact."""


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_two_hundred_in_a_row_lose_nothing_and_memory_is_flat(studio: Served) -> None:
    sampling = {"num_inference_steps": 1}

    def some(count: int) -> None:
        for seed in range(count):
            assert studio.draw(seed=seed)["drawing"]["frames"] == 8
            job, data = studio.paint(seed=seed, drawing=DRAWING, sampling=sampling)
            assert len(data["numbers"]) == 8
            assert studio.client.get(f"/api/frames/{job}").status_code == 200

    some(MOST_FINISHED)  # fills what is kept
    before, threads = resident(), threading.active_count()
    some(IN_A_ROW // ROUND)
    assert resident() - before < MOST_GROWTH
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
