"""Servers for the flows, on 127.0.0.1, with their data in the project's folder.

- ``python -m flows.server up``: Prefect server, deployments, worker and MLflow server, until Ctrl-C.
- ``python -m flows.server run -- COMMAND``: one Prefect server for all flows of a command. A flow without a server
  starts one of its own, which often takes longer than the flow.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from sketch2video.durations import VARIABLE, chart
from sketch2video.errors import UserError, border
from sketch2video.files import replacing
from sketch2video.guard import guarded
from sketch2video.tracking.databases import prefect_database

# Prefect and MLflow are run as commands and not imported, since importing them takes seconds.

HOST = "127.0.0.1"
PREFECT_PORT, MLFLOW_PORT = 4200, 5000
"""Default ports; other ones are used if these are in use."""

WORK_POOL = "sketch2video"

HOME = ".prefect"
"""Folder of Prefect's database, logs and settings in the project's folder, unless ``PREFECT_HOME`` is set."""

PATIENCE = 180.0
"""Timeout of a server's start in seconds; with a new database and busy cores it may take 40."""


class Service:
    """A background process with a log file.

    Args:
        name: name of the service in messages, and of the log.
        command: the program and its arguments.
        environment: its environment variables.
        logs: folder of the log file.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("wb") as log:
            # In a session of its own, as Ctrl-C would end all services at once, and before the flows.
            self.process = subprocess.Popen(
                command,
                env=guarded(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_healthy(self, url: str) -> None:
        """Wait until ``url`` responds.

        Raises:
            UserError: the process ends, or does not respond in time; the message has the end of its log.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.check()
            if responds(url):
                return
            time.sleep(0.2)
        raise UserError(f"the {self.name} does not respond at {url} after {PATIENCE:.0f} s; see {self.log}")

    def check(self) -> None:
        """Raise a :class:`UserError` if the process has ended."""
        if (code := self.process.poll()) is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines()
            last = lines[-1].strip() if lines else "nothing in its log"
            raise UserError(f"the {self.name} ended with code {code} ({last}); see {self.log}")

    def stop(self) -> None:
        """End the process and its children by SIGTERM, and after ten seconds by SIGKILL."""
        for how, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def responds(url: str) -> bool:
    """Whether a server responds to a GET with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port(preferred: int = 0) -> int:
    """``preferred`` if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As for servers: ports with connections in TIME_WAIT count as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"no port of {HOST} is free; end some program that listens")


@contextmanager
def prefect_server(preferred_port: int = 0, *, interface: bool) -> Iterator[tuple[dict[str, str], Service]]:
    """A Prefect server that ends with the ``with`` block.

    Args:
        preferred_port: see :func:`free_port`.
        interface: whether it serves the web page.

    Yields:
        The environment for programs that use the server, and the server.
    """
    port = free_port(preferred_port)
    environment = {**os.environ, "PREFECT_HOME": str(_home()), "PREFECT_API_URL": f"http://{HOST}:{port}/api"}
    environment |= prefect_database(environment)
    command = ["server", "start", "--host", HOST, "--port", str(port), "--ui" if interface else "--no-ui"]
    server = Service("Prefect server", _python("prefect", *command), environment, _home() / "logs")
    try:
        server.wait_until_healthy(f"{environment['PREFECT_API_URL']}/health")
        yield environment, server
    finally:
        server.stop()


def run(command: Sequence[str]) -> int:
    """Run a command with one Prefect server for all of its flows, and print where the time went.

    The server is that of ``PREFECT_API_URL``, else that of a running ``up``, else a temporary one.

    Returns:
        The command's exit code.

    Raises:
        UserError: there is no such command, or the server does not start.
    """
    with ExitStack() as stack:
        environment = dict(os.environ)
        if not environment.get("PREFECT_API_URL"):
            url = _url_of_up()
            if url is not None:
                environment |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(_home())}
            else:
                environment, _ = stack.enter_context(prefect_server(interface=False))
        file = Path(stack.enter_context(TemporaryDirectory())) / "durations.jsonl"
        begun = time.monotonic()
        try:
            process = subprocess.Popen(command, env=guarded({**environment, VARIABLE: str(file)}))
        except OSError as error:
            raise UserError(f"{command[0]} cannot be run ({error.strerror}); check its spelling") from error
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if where_time_went := chart(file, begun, time.monotonic() - begun):
            print(f"\n{where_time_went}")
        return code


def up() -> None:
    """Start all servers, print their addresses, and stop them at Ctrl-C.

    Raises:
        UserError: a server, the worker or a deployment fails.
    """
    if _url_of_up() is not None:
        raise UserError(f"`make up` is running already: {_url_of_up()}; end it with Ctrl-C where it was started")
    logs = _home() / "logs"
    with ExitStack() as stack:
        mlflow, mlflow_address = _start_mlflow(stack, logs)
        environment, prefect = stack.enter_context(prefect_server(PREFECT_PORT, interface=True))
        url = environment["PREFECT_API_URL"]
        worker_command = _python("prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process")
        worker = Service("worker", worker_command, environment, logs)
        stack.callback(worker.stop)
        worker.wait_until_healthy(f"{url}/work_pools/{WORK_POOL}")  # which the worker creates
        _deploy(environment)
        services = [prefect, worker]
        if mlflow is not None:
            mlflow.wait_until_healthy(f"{mlflow_address}/health")
            services.append(mlflow)
        with replacing(_home() / "up.url") as partial:
            partial.write_text(url)
        stack.callback((_home() / "up.url").unlink, missing_ok=True)
        print(f"Prefect   {url.removesuffix('/api')}   (export PREFECT_API_URL={url})")
        print(f"MLflow    {mlflow_address}")
        print(f"worker    of the work pool {WORK_POOL}; run: prefect deployment run generate/generate -p prompts=FILE")
        print(f"logs      {logs}", "Ctrl-C stops everything", sep="\n", flush=True)
        while True:
            for service in services:
                service.check()
            time.sleep(1)


def _start_mlflow(stack: ExitStack, logs: Path) -> tuple[Service | None, str]:
    """The MLflow server over the project's store and its address; None if ``MLFLOW_TRACKING_URI`` is a server."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if given.startswith(("http://", "https://")):
        return None, given
    from sketch2video.tracking.store import STORE, check_store, tracking_uri

    STORE.mkdir(exist_ok=True)
    check_store(tracking_uri())
    port = free_port(MLFLOW_PORT)
    command = _python("mlflow", "server", "--host", HOST, "--port", str(port), "--backend-store-uri", tracking_uri())
    command += ["--default-artifact-root", (STORE / "artifacts").resolve().as_uri(), "--workers", "1"]
    # Its background jobs evaluate language models and are not needed here.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = Service("MLflow server", command, environment, logs)
    stack.callback(server.stop)
    return server, f"http://{HOST}:{port}"


def _deploy(environment: Mapping[str, str]) -> None:
    """Create the deployments of ``prefect.yaml``."""
    done = subprocess.run(
        _python("prefect", "--no-prompt", "deploy", "--all"),
        env=guarded(environment),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise UserError("prefect.yaml cannot be deployed; see the messages above")


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or HOME).resolve()


def _url_of_up() -> str | None:
    """The API of a running ``up`` in this project; None if there is none."""
    try:
        url = (_home() / "up.url").read_text()
    except OSError:
        return None
    return url if responds(f"{url}/health") else None


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; errors that the user can fix end it with one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m flows.server", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="Prefect server, deployments, worker and MLflow server, until Ctrl-C")
    running = commands.add_parser("run", help="one Prefect server for all flows of a command")
    running.add_argument("program", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)  # so that the servers end, too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells disable for background commands
    try:
        with border("flows.server"):
            if arguments.command == "up":
                up()
            program = [part for index, part in enumerate(arguments.program) if index or part != "--"]
            if not program:
                parser.error("name a command after --")
            sys.exit(run(program))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
