from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from flows.pipeline import in_order, needed_by, parse_dot, read_graph, run_stage, stage_environment
from sketch2video.errors import UserError

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
    assert in_order(graph) == ["ingest", "fit", "train_a", "evaluate"]
    assert in_order(graph, needed_by(graph, "fit")) == ["ingest", "fit"]
    assert needed_by(graph, "evaluate") == set(graph)
    assert in_order(graph, {"evaluate", "fit"}) == ["fit", "evaluate"]


def test_a_stage_does_not_take_itself_for_this_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0000")
    monkeypatch.setenv("KEPT", "yes")
    environment = stage_environment()
    assert "PREFECT__FLOW_RUN_ID" not in environment
    assert environment["KEPT"] == "yes"


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
    assert in_order(read_graph())[0] == "first"
    run_stage.fn("first")
    assert (project / "first.txt").read_text() == "one\n"
    assert "first:" in (project / "dvc.lock").read_text()
    state = run_stage.fn("third")
    assert state.is_failed()
    assert state.message.startswith("stage third failed: failed to reproduce 'third'")


def test_a_stage_that_another_run_holds_is_a_users_mistake(project: Path) -> None:
    run_stage.fn("first")
    other = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-s", "second"], start_new_session=True)
    try:
        while not (project / "started").exists():
            assert other.poll() is None
        assert "busy in another `dvc repro`" in run_stage.fn("second").message
    finally:
        subprocess.run(["kill", "--", f"-{other.pid}"], check=False)
        other.wait()


def test_outside_of_a_project_there_is_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run this in the project's folder"):
        read_graph()
