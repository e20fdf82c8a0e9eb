from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.tracking import store
from sketch2video.tracking.databases import prefect_database, sqlite_url
from sketch2video.tracking.gate import pass_gate
from sketch2video.tracking.location import locate_model
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.runs import prepare_store, tracked_run
from sketch2video.tracking.store import store_errors, tracking_uri

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(store, "_checked", {})
    monkeypatch.setattr(store, "_with_tables", set())
    return tmp_path


class Answer(BaseHTTPRequestHandler):
    """A server that answers everything alike."""

    status, body, wait = 200, b"<html>Welcome</html>", 0.0
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        if self.wait:
            time.sleep(self.wait)
            return
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[str, type[Answer]]]]:
    servers = []

    def start(**settings: object) -> tuple[str, type[Answer]]:
        """The address of a server, and its class, which counts requests."""
        chosen = type("Chosen", (Answer,), settings)
        server = ThreadingHTTPServer(("127.0.0.1", 0), chosen)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", chosen

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture
def nobody_listens() -> Iterator[str]:
    """An address that refuses connections, and that no other process can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def track() -> None:
    with tracked_run("x", {}) as run:
        run.begin(None)


def register() -> None:
    folder = Path("pipeline")
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text("{}")
    with tracked_run("register", {}) as run:
        register_version(folder, "sketch2video", load_params(ROOT / "params.yaml").generate, run)


ENTRIES = {
    "generate": lambda: locate_model("models:/sketch2video@champion"),
    "register": register,
    "gate": lambda: pass_gate(load_params(ROOT / "params.yaml"), "1"),
    "training": track,
    "benchmark": prepare_store,
}


def refused(entry: str, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What an entry says about the store at an address, in one line that names it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(UserError) as error:
        ENTRIES[entry]()
    assert address in str(error.value)
    assert "\n" not in str(error.value)
    assert "not in the registry" not in str(error.value)
    return str(error.value)


def test_a_store_is_waited_for_in_seconds() -> None:
    assert store.PATIENCE <= 10


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_server_that_is_down_is_named(entry: str, nobody_listens: str, monkeypatch: pytest.MonkeyPatch) -> None:
    says = refused(entry, nobody_listens, monkeypatch)
    assert "nothing listens there" in says
    assert "start it or set MLFLOW_TRACKING_URI" in says


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_server_that_takes_calls_and_does_not_answer_is_named(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(store, "PATIENCE", 1.0)
        assert "no response" in refused(entry, f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        silent.settimeout(10)
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):  # it was called once
            silent.accept()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "is not MLflow"),
        ({"status": 500}, "status 500"),
        ({"status": 503, "body": b""}, "status 503"),
        ({"status": 404}, "is not MLflow"),
        ({"status": 401}, r"refuses the credentials.*MLFLOW_TRACKING_USERNAME"),
        ({"wait": 4.0}, "no response"),
    ],
)
def test_what_answers_otherwise_than_mlflow_is_one_line_after_one_request(
    serve: Callable[..., tuple[str, type[Answer]]],
    settings: dict[str, object],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "wait" in settings:
        monkeypatch.setattr(store, "PATIENCE", 1.0)
    address, server = serve(**settings)
    for count, entry in enumerate(("generate", "training"), 1):
        assert re.search(says, refused(entry, address, monkeypatch))
        assert server.requests == count, "MLflow would try for minutes"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("runs", "sqlite:///mlruns/mlflow.db"),
        ("file:runs", "sqlite:///mlruns/mlflow.db"),
        ("foo://bar", "unsupported URI"),
        ("junk:thing", "unsupported URI"),
        ("http://127.0.0.1:99999", "Invalid url"),
        ("http://no such host", "Invalid url"),
        ("sqlite:///runs", "cannot be opened"),
        ("sqlite:///text", "not a database"),
        ("postgresql://127.0.0.1:1/x", "MLflow at"),
    ],
)
def test_an_address_that_is_no_stores_is_one_line(
    project: Path, address: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "runs").mkdir()
    (project / "text").write_text("a text, which is not a database; " * 40)
    for entry in ("generate", "training", "register"):
        assert says in refused(entry, address, monkeypatch)


def test_a_password_is_not_shown(nobody_listens: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = nobody_listens.replace("//", "//user:secret@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(UserError) as error:
        track()
    assert "secret" not in str(error.value)
    assert "//user:***@127.0.0.1" in str(error.value)


def test_what_is_not_there_is_told_from_a_store_that_is_not(project: Path) -> None:
    with pytest.raises(UserError, match="is not in the registry; run"):
        locate_model("models:/sketch2video@champion")
    assert (project / "mlruns/mlflow.db").is_file()


def test_a_training_waits_for_a_server_that_is_started_again(
    nobody_listens: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nobody_listens)
    entered = []
    with store_errors(patient=True):
        entered.append(True)
    assert entered
    assert "nothing listens there" in caplog.text


def test_the_error_of_a_run_is_not_hidden_by_a_store_that_is_gone_meanwhile(
    nobody_listens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with tracked_run("x", {}) as run:
            run.begin(None)
            monkeypatch.setattr(store, "_checked", {})
            monkeypatch.setenv("MLFLOW_TRACKING_URI", nobody_listens)
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fail()


NAMES = ["plain", "what is this?", "#1", "50%20", "100%", "a:b", 'it\'s "it"', "a&b=c;d", "ä 日本"]


@pytest.mark.parametrize("name", NAMES)
def test_the_address_of_a_database_leads_to_its_file(project: Path, name: str) -> None:
    path = project / name / "x.db"
    for driver in ("sqlite", "sqlite+aiosqlite"):
        url = make_url(sqlite_url(path, driver))
        assert url.database == str(path)
        assert not url.query
    database = prefect_database({"PREFECT_HOME": str(path.parent)})
    if set("?#%") & set(name):
        assert make_url(database["PREFECT_SERVER_DATABASE_CONNECTION_URL"]).database == str(path.parent / "prefect.db")
    else:
        assert database == {}
    assert prefect_database({"PREFECT_HOME": "a?", "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite:///x"}) == {}


def test_a_run_stays_in_a_project_folder_of_any_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project / "what is this? #1 50%20"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "a?#%20.txt").write_text("a")
    monkeypatch.chdir(folder)
    with tracked_run("x", {"a": {"b": 1}}) as run:
        run.metrics({"loss": 1.0}, 1)
        run.folder(Path("model"), "model")
    assert list(project.iterdir()) == [folder]
    assert (folder / "mlruns/mlflow.db").is_file()
    assert [path.name for path in (folder / "mlruns/artifacts").rglob("*.txt")] == ["a?#%20.txt"]
    assert make_url(tracking_uri()).database == str(folder / "mlruns/mlflow.db")


def test_processes_that_start_a_store_at_once_share_it(project: Path) -> None:
    program = (
        "import mlflow; from sketch2video.tracking.store import store_errors, tracking_uri\n"
        "with store_errors(): print(mlflow.MlflowClient(tracking_uri()).search_experiments()[0].name)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0] for process in processes] == [b"Default\n"] * 2
    assert (project / "mlruns/mlflow.db").exists()
