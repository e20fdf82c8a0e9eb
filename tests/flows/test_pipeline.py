from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pytest
from prefect.client.schemas.objects import State
from prefect.logging import disable_run_logger
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows import pipeline, train
from flows.pipeline import (
    needed_by,
    out_of_date,
    parse_dot,
    read_graph,
    run_stage,
    run_stages,
    side_by_side,
    stage_environment,
    unordered,
)
from sketch2video.errors import UserError
from sketch2video.params import load_params

ROOT = Path(__file__).parents[2]

DOT = """
strict digraph {
"ingest";
"fit";
"train_a";
"evaluate";
"ingest" -> "fit";
"fit" -> "train_a";
"ingest" -> "evaluate";
"train_a" -> "evaluate";
}
"""


def test_stages_come_after_what_they_depend_on() -> None:
    graph = parse_dot(DOT)
    assert graph == {"ingest": set(), "fit": {"ingest"}, "train_a": {"fit"}, "evaluate": {"ingest", "train_a"}}
    assert needed_by(graph, "fit") == {"ingest", "fit"}
    assert needed_by(graph, "evaluate") == set(graph)


GRAPH = {
    "ingest": set[str](),
    "fit": {"ingest"},
    "text": {"ingest"},
    "strokes": {"fit", "text"},
    "frames": {"fit"},
    "video": {"frames"},
    "evaluate": {"strokes", "video"},
}


def test_stages_beside_a_stage_are_those_that_are_not_before_or_after_it() -> None:
    assert unordered(GRAPH, "ingest") == unordered(GRAPH, "evaluate") == set()
    assert unordered(GRAPH, "strokes") == {"frames", "video"}
    assert unordered(GRAPH, "fit") == {"text"}


class Runner:
    """In place of the task: notes when stages begin and end, and fails some of them.

    Args:
        failing: a stage.
        until: stages with an event that each of them waits for before it ends: "+x" when the stage x has begun, "-x"
            when the flow has noted its end.
        state: in which the failing stage ends.
    """

    def __init__(
        self, failing: str = "", until: dict[str, str] | None = None, state: Callable[..., State] = Failed
    ) -> None:
        self.state = state
        self.failing, self.until, self.events, self.threads = failing, until or {}, list[str](), dict[str, int]()
        self.noted = {sign + stage: threading.Event() for sign in "+-" for stage in GRAPH}
        self.pool = ThreadPoolExecutor(8)

    def with_options(self, task_run_name: str) -> Runner:
        return self

    def submit(self, stage: str, threads: int) -> Future[None]:
        self.threads[stage] = threads
        future = self.pool.submit(self._run, stage)
        future.wait = lambda: (future.result(), self.noted[f"-{stage}"].set())
        future.state = self.state(message=f"{stage} failed") if stage == self.failing else Completed()
        return future

    def _run(self, stage: str) -> None:
        self.events.append(f"+{stage}")
        self.noted[f"+{stage}"].set()
        if event := self.until.get(stage):
            assert self.noted[event].wait(60), f"{stage}: no event {event}"
        self.events.append(f"-{stage}")


def run_with(runner: Runner, monkeypatch: pytest.MonkeyPatch, most: int, changed: set[str]) -> None:
    monkeypatch.setattr(pipeline, "run_stage", runner)
    monkeypatch.setattr(pipeline, "as_completed", as_completed)
    monkeypatch.setattr(pipeline, "side_by_side", lambda: most)
    monkeypatch.setattr(pipeline, "out_of_date", lambda graph: changed)
    monkeypatch.setattr(pipeline.os, "cpu_count", lambda: 4)
    run_stages(GRAPH, set(GRAPH))


@pytest.mark.parametrize("most", [1, 2])
def test_stages_run_side_by_side_after_what_they_depend_on(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    together = {"fit": "+text", "frames": "+strokes", "strokes": "+video"}
    runner = Runner(until=together if most == 2 else {})
    run_with(runner, monkeypatch, most, set(GRAPH))
    at = {event: index for index, event in enumerate(runner.events)}
    assert all(at[f"-{before}"] < at[f"+{stage}"] for stage, needed in GRAPH.items() for before in needed)
    level = np.cumsum([1 if event.startswith("+") else -1 for event in runner.events])
    assert level.max() == most
    assert runner.threads == {stage: 4 if most == 1 or stage in ("ingest", "evaluate") else 2 for stage in GRAPH}


def test_a_stage_has_all_cores_if_those_beside_it_have_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(until={"video": "+strokes"})
    run_with(runner, monkeypatch, 2, {"video", "evaluate"})
    assert runner.threads["video"] == 4
    assert runner.threads["strokes"] == 2


def test_a_stage_has_all_cores_if_those_beside_it_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(until={"frames": "-strokes"})
    run_with(runner, monkeypatch, 2, set(GRAPH))
    assert runner.events.index("-strokes") < runner.events.index("+video")
    assert runner.threads["frames"] == 2
    assert runner.threads["video"] == 4


@pytest.mark.parametrize("state", [Failed, Crashed, Cancelled])
def test_after_a_failure_nothing_begins_and_what_runs_ends(
    monkeypatch: pytest.MonkeyPatch, state: Callable[..., State]
) -> None:
    runner = Runner("text", until={"fit": "-text"}, state=state)
    with pytest.raises(UserError, match="text failed"):
        run_with(runner, monkeypatch, 2, set(GRAPH))
    begun, ended = ({event[1:] for event in runner.events if event[0] == sign} for sign in "+-")
    assert begun == ended == {"ingest", "fit", "text"}


@pytest.mark.parametrize(("gpu", "cores", "most"), [(True, 8, 1), (False, 1, 1), (False, None, 1), (False, 2, 2)])
def test_two_stages_run_at_once_on_several_cores_and_one_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, cores: int | None, most: int
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr(pipeline.os, "cpu_count", lambda: cores)
    assert side_by_side() == most


WHOLE = {
    **{"ingest": set[str](), "fit": {"ingest"}, "train_a": {"fit"}, "encode_b": {"train_a"}},
    **{"assemble": {"encode_b"}, "evaluate": {"assemble"}, "systems/x/dvc.yaml:train_c": {"fit"}},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The stages that flows run of WHOLE; none is run."""
    found: list[set[str]] = []
    for module in (pipeline, train):
        monkeypatch.setattr(module, "read_graph", lambda: WHOLE)
        monkeypatch.setattr(module, "run_stages", lambda graph, stages: found.append(set(stages)))
    monkeypatch.setattr(pipeline, "load_params", lambda: load_params(ROOT / "params.yaml"))
    return found


def test_the_pipeline_runs_the_stages_of_the_project_itself(asked: list[set[str]]) -> None:
    pipeline.pipeline.fn()
    assert asked == [{"ingest", "fit", "train_a", "encode_b", "assemble", "evaluate"}]


def test_a_target_is_run_with_all_that_it_needs(asked: list[set[str]]) -> None:
    pipeline.pipeline.fn("fit")
    pipeline.pipeline.fn("systems/x/dvc.yaml:train_c")
    assert asked == [{"ingest", "fit"}, {"ingest", "fit", "systems/x/dvc.yaml:train_c"}]


def test_a_target_that_is_no_stage_is_refused(asked: list[set[str]]) -> None:
    state = pipeline.pipeline.fn("fitt")
    assert state.is_failed()
    assert state.message.startswith("there is no stage fitt in dvc.yaml; choose one of ingest, fit, ")
    assert not asked


def test_a_training_alone_leaves_data_and_evaluation_as_they_are(asked: list[set[str]]) -> None:
    train.train.fn()
    assert asked == [{"train_a", "encode_b", "assemble"}]


def test_a_stage_does_not_take_itself_for_this_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0000")
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = stage_environment(3)
    assert "PREFECT__FLOW_RUN_ID" not in environment
    assert environment["KEPT"] == "yes"
    assert environment["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert stage_environment(3)["OMP_NUM_THREADS"] == "7"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A DVC project of three stages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  first: {cmd: echo one > first.txt, outs: [first.txt]}\n"
        "  second: {cmd: echo started > started && sleep 60, deps: [first.txt], outs: [second.txt]}\n"
        "  third: {cmd: echo this is why && exit 3, deps: [first.txt], outs: [third.txt]}\n"
    )
    with disable_run_logger():
        yield tmp_path


def test_stages_are_run_by_dvc(project: Path) -> None:
    assert out_of_date(read_graph()) == {"first", "second", "third"}
    run_stage.fn("first", 1)
    assert out_of_date(read_graph()) == {"second", "third"}
    assert (project / "first.txt").read_text() == "one\n"
    assert "first:" in (project / "dvc.lock").read_text()
    state = run_stage.fn("third", 1)
    assert state.is_failed()
    assert state.message.startswith("stage third failed: failed to reproduce 'third'")


def test_a_stage_that_another_run_holds_is_a_users_mistake(project: Path) -> None:
    run_stage.fn("first", 1)
    other = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-s", "second"], start_new_session=True)
    try:
        deadline = time.monotonic() + 100
        while not (project / "started").exists():
            assert other.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "busy in another `dvc repro`" in run_stage.fn("second", 1).message
    finally:
        subprocess.run(["kill", "--", f"-{other.pid}"], check=False)
        other.wait()


def test_outside_of_a_project_there_is_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run this in the project's folder"):
        read_graph()
