from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sketch2video.errors import UserError
from sketch2video.studio import worker as module
from sketch2video.studio.paint_jobs import ENDS, Job
from sketch2video.studio.worker import BusyError, Worker

Function = Callable[[Job], tuple[Any, dict[str, Any]]]


@pytest.fixture
def worker() -> Iterator[Worker]:
    running = Worker(size_of=lambda result: len(result) if isinstance(result, bytes) else 0)
    yield running
    running.close()


class Gate:
    """A job that reports a step again and again until it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> tuple[str, dict[str, Any]]:
        step = 0
        while not self.open.wait(0.002):
            step += 1
            job.progress("step", step, 9)
            self.begun.set()
        return "through", {"steps": step}


def end_of(job: Job) -> str:
    """The name of a job's last event, when it has happened."""
    ended = threading.Event()

    def notify() -> None:
        if job.ended:
            ended.set()

    with job.listening(notify):
        notify()
        assert ended.wait(10)
    assert job.latest is not None
    return job.latest.name


def simple(result: Any) -> Function:
    return lambda job: (result, {"result": str(result)})


def test_a_newer_job_of_a_client_stops_the_running_one_and_replaces_the_queued_one(worker: Worker) -> None:
    gate = Gate()
    first = worker.submit("a", gate)
    assert gate.begun.wait(10)
    other = worker.submit("b", simple(1))
    second, third = worker.submit("a", simple(2)), worker.submit("a", simple(3))
    assert [end_of(job) for job in (first, second, third, other)] == ["dropped", "dropped", "done", "done"]
    assert third.result == 3
    assert first.result is None


def test_another_clients_job_is_not_disturbed(worker: Worker) -> None:
    gate = Gate()
    first = worker.submit("a", gate)
    assert gate.begun.wait(10)
    second = worker.submit("b", simple(2))
    gate.open.set()
    assert [end_of(job) for job in (first, second)] == ["done", "done"]
    assert first.result == "through"


def test_a_replaced_job_keeps_its_place(worker: Worker) -> None:
    gate, order = Gate(), list[str]()
    worker.submit("x", gate)
    assert gate.begun.wait(10)

    def noting(name: str) -> Function:
        return lambda job: (order.append(name), {})

    worker.submit("a", noting("a"))
    last = worker.submit("b", noting("b"))
    worker.submit("a", noting("a again"))
    gate.open.set()
    end_of(last)
    assert order == ["a again", "b"]


def test_cancelling_ends_a_queued_job_at_once_and_a_running_one_after_its_step(worker: Worker) -> None:
    gate = Gate()
    running = worker.submit("a", gate)
    assert gate.begun.wait(10)
    queued = worker.submit("b", simple(1))
    worker.cancel(queued)
    assert queued.ended
    worker.cancel(running)
    assert [end_of(job) for job in (running, queued)] == ["cancelled", "cancelled"]
    done = worker.submit("a", simple(1))
    assert end_of(done) == "done"
    worker.cancel(done)
    assert end_of(done) == "done"


def test_a_call_goes_before_queued_jobs_but_jobs_are_not_kept_out(worker: Worker) -> None:
    gate, order = Gate(), list[str]()
    worker.submit("x", gate)
    assert gate.begun.wait(10)
    jobs = [worker.submit(client, lambda job: (order.append("job"), {})) for client in "ab"]
    calls = [worker.call(lambda: order.append("call")) for _ in range(2 * module.CALLS_IN_A_ROW)]
    gate.open.set()
    for call in calls:
        call.result(10)
    assert [end_of(job) for job in jobs] == ["done", "done"]
    row = ["call"] * module.CALLS_IN_A_ROW
    assert order == [*row, "job", *row, "job"]


@pytest.mark.parametrize(
    "error", [RuntimeError("no\nmemory"), ValueError("too long"), UserError("x; fix it"), KeyError()]
)
def test_a_failure_is_one_line_and_the_worker_goes_on(worker: Worker, error: Exception) -> None:
    def fail(job: Job) -> tuple[Any, dict[str, Any]]:
        raise error

    job = worker.submit("a", fail)
    assert end_of(job) == "failed"
    assert job.latest is not None
    message = job.latest.data["message"]
    assert message
    assert "\n" not in message
    assert isinstance(error, UserError | ValueError) == (message in ("too long", "x; fix it"))
    with pytest.raises(type(error)):
        worker.call(lambda: (_ for _ in ()).throw(error)).result(10)
    assert worker.call(lambda: 7).result(10) == 7


def test_the_queue_is_bounded(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    gate = Gate()
    worker.submit("x", gate)
    assert gate.begun.wait(10)
    jobs = [worker.submit(client, simple(0)) for client in "ab"]
    with pytest.raises(BusyError):
        worker.submit("c", simple(0))
    jobs.append(worker.submit("a", simple(1)))  # replaces, takes no more room
    calls = [worker.call(lambda: 1) for _ in range(2)]
    with pytest.raises(BusyError):
        worker.call(lambda: 1)
    gate.open.set()
    assert [call.result(10) for call in calls] == [1, 1]
    assert [end_of(job) for job in jobs] == ["dropped", "done", "done"]


def test_old_results_are_forgotten(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FINISHED", 3)
    jobs = [worker.submit(f"c{index}", simple(index)) for index in range(6)]
    last = worker.submit("last", simple(9))
    assert [end_of(job) for job in [*jobs, last]] == ["done"] * 7
    worker.call(lambda: None).result(10)
    assert [worker.find(job.id) is not None for job in [*jobs, last]] == [False] * 4 + [True] * 3
    monkeypatch.setattr(module, "MOST_RESULT_BYTES", 100)
    large = [worker.submit(f"d{index}", simple(bytes(60))) for index in range(2)]
    assert [end_of(job) for job in large] == ["done"] * 2
    worker.call(lambda: None).result(10)
    assert [worker.find(job.id) is not None for job in large] == [False, True]


def test_every_job_has_one_end_and_late_listeners_see_it(worker: Worker) -> None:
    job = worker.submit("a", simple(1))
    assert end_of(job) == "done"
    job.end("failed", {})
    assert job.latest is not None
    assert job.latest.name == "done"
    assert "progress" not in ENDS


def test_closing_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    closing, gate = Worker(), Gate()
    running = closing.submit("a", gate)
    assert gate.begun.wait(10)
    queued, call = closing.submit("b", simple(1)), closing.call(lambda: 1)
    closing.close()
    assert [end_of(job) for job in (running, queued)] == ["cancelled", "cancelled"]
    assert call.cancelled()
    with pytest.raises(BusyError):
        closing.submit("a", simple(1))
