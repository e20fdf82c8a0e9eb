"""The graph, run and watched by Prefect, owned by DVC: deployments ``pipeline``, ``train`` and ``evaluate``."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Set
from graphlib import TopologicalSorter

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed

from flows.common import REFUSED, execute, stage_flow
from sketch2video.data.sources.hashable import refuse_unhashable_sources
from sketch2video.durations import passed_on
from sketch2video.errors import UserError
from sketch2video.guard import guarded
from sketch2video.params import load_params

Graph = dict[str, set[str]]
"""Stages with their direct dependencies."""

BUSY = ("is being blocked by", "Unable to acquire lock")
"""Messages of DVC while another run locks a stage or the project."""

SHOWN_LINES = 20
"""Number of lines of a failed stage's output that are kept for its error."""


@stage_flow
def pipeline(target: str | None = None) -> None:
    """Bring the graph up to date: ``dvc repro``, one task a stage.

    Args:
        target: the last stage, such as ``systems/text_ldm/dvc.yaml:evaluate``; default: all stages of the
            project's own ``dvc.yaml``.
    """
    refuse_unhashable_sources(load_params())
    graph = read_graph()
    if target is not None and target not in graph:
        raise UserError(f"there is no stage {target} in dvc.yaml; choose one of {', '.join(graph)}")
    own = {stage for stage in graph if ":" not in stage}
    run_stages(graph, own if target is None else needed_by(graph, target))


def run_stages(graph: Graph, stages: Set[str]) -> None:
    """Run stages, each as a task with its name, as soon as those that it depends on are done.

    :func:`side_by_side` of them run at once and share the cores: small networks gain little from a second core, so that
    two trainings side by side take much less time than one after the other.

    Raises:
        UserError: a stage fails, or another run of DVC locks it. Those that run go on to their end.
    """
    order = TopologicalSorter({stage: graph[stage] & stages for stage in stages})
    order.prepare()
    changes, most, cores = out_of_date(graph) & stages, side_by_side(), os.cpu_count() or 1
    ready: list[str] = []
    done: set[str] = set()
    running: dict[PrefectFuture[State | None], str] = {}
    failures: list[str] = []
    while running or (order.is_active() and not failures):
        ready += sorted(order.get_ready())
        while ready and len(running) < most and not failures:
            stage = ready.pop(0)
            beside = (unordered(graph, stage) & changes) - done
            threads = max(1, cores // min(most, 1 + len(beside)))
            running[run_stage.with_options(task_run_name=stage).submit(stage, threads)] = stage
        future = next(as_completed(list(running)))
        future.wait()
        stage = running.pop(future)
        done.add(stage)
        order.done(stage)
        if not future.state.is_completed():  # failed, crashed or cancelled
            failures.append(str(future.state.message))
    if failures:
        raise UserError(failures[0])


def side_by_side() -> int:
    """Number of stages that run at once: 2 on several cores; 1 on one core, and on a GPU, whose memory they share."""
    import torch

    return 1 if torch.cuda.is_available() or (os.cpu_count() or 1) < 2 else 2


def out_of_date(graph: Graph) -> set[str]:
    """Stages that ``dvc repro`` would run: those whose dependencies have changed, and all that depend on them."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json"], capture_output=True, text=True
    )
    changed = set(json.loads(done.stdout)) if done.returncode == 0 else set(graph)
    return {stage for stage in graph if needed_by(graph, stage) & changed}


def unordered(graph: Graph, stage: str) -> set[str]:
    """Stages that neither depend on a stage nor are needed by it."""
    before = needed_by(graph, stage)
    return {other for other in graph if other not in before and stage not in needed_by(graph, other)}


@task
def run_stage(stage: str, threads: int) -> State | None:
    """``dvc repro --single-item``: run a stage if its dependencies have changed.

    Args:
        stage: its name.
        threads: number of threads for computations, unless ``OMP_NUM_THREADS`` is set.

    Returns:
        None, or a failed state whose message is one line.
    """
    log = get_run_logger()
    last: deque[str] = deque(maxlen=SHOWN_LINES)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    process = subprocess.Popen(
        command,
        env=guarded(stage_environment(threads)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout or []:
            if line.strip():
                last.append(line.rstrip())
                log.info("%s", line.rstrip())
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode:
        if any(sign in line for line in last for sign in BUSY):
            return _failed(f"stage {stage} is busy in another `dvc repro`; run this again when that has ended")
        reason = last[-1].removeprefix("ERROR: ") if last else "no output"
        return _failed(f"stage {stage} failed: {reason}; see its log")
    return None


def _failed(message: str) -> State:
    return Failed(name=REFUSED, message=message)


def stage_environment(threads: int) -> dict[str, str]:
    """Environment of a stage: its flow uses this flow's server, and its progress bars are updated rarely."""
    # Prefect's variables about this flow are not valid for the stage's flow.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    if url := PREFECT_API_URL.value():
        kept["PREFECT_API_URL"] = url
    kept.setdefault("OMP_NUM_THREADS", str(threads))
    return kept | passed_on() | {"TQDM_MININTERVAL": "30", "PYTHONUNBUFFERED": "1"}


def read_graph() -> Graph:
    """The graph of ``dvc.yaml``, as reported by ``dvc dag``: DVC's documented Python API (``dvc.api``) has no graph.

    Raises:
        UserError: DVC cannot read it.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise UserError(f"`dvc dag` fails ({reason}); run this in the project's folder")
    return parse_dot(done.stdout)


def parse_dot(dot: str) -> Graph:
    """Stages and their dependencies, from ``dvc dag --dot``."""
    graph: Graph = {stage: set() for stage in re.findall(r'^"([^"]+)";$', dot, re.MULTILINE)}
    for before, after in re.findall(r'^"([^"]+)" -> "([^"]+)";$', dot, re.MULTILINE):
        graph[after].add(before)
    return graph


def needed_by(graph: Graph, target: str) -> set[str]:
    """A stage and all its direct and indirect dependencies."""
    needed, waiting = set[str](), [target]
    while waiting:
        stage = waiting.pop()
        if stage not in needed:
            needed.add(stage)
            waiting += graph[stage]
    return needed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description="Bring the graph up to date")
    parser.add_argument("target", nargs="?", help="the last stage; by default all stages of the project's own dvc.yaml")
    execute(pipeline, **vars(parser.parse_args()))
