"""What files, disks and servers raise behind a command or a flow ends it with one line, whichever it is."""

import ast
import errno
import functools
import importlib
import os
import pickle
import re
import sqlite3
import sys
from pathlib import Path

import av
import httpx
import pytest
import requests
from mlflow.exceptions import MlflowException
from PIL import Image, UnidentifiedImageError
from prefect import Flow
from pyarrow import ArrowInvalid
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError
from typer.main import get_command

from flows import server, stage
from flows.common import REFUSED, execute
from sketch2video import cli
from sketch2video.errors import UserError, border, printable, refusal
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.pictures import RejectedPicture

NUMBERS = (
    "ENOSPC",
    "EACCES",
    "EROFS",
    "EISDIR",
    "ENOTDIR",
    "ENAMETOOLONG",
    "ENOENT",
    "ELOOP",
    "EIO",
    "EDQUOT",
    "EMFILE",
)
FILES = [
    OSError(number, os.strerror(number), "out/a?\n.mp4")
    for number in (getattr(errno, name) for name in (*NUMBERS, "ENOTEMPTY", "EEXIST", "EBUSY"))
]
LIBRARIES = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError("image file is truncated\n(3 bytes not processed)"),
    MlflowException("API request failed\nfor a long reason"),
    OperationalError("SELECT 1\nFROM x", {}, sqlite3.OperationalError("disk I/O error")),
    sqlite3.OperationalError("database is locked"),
    av.error.InvalidDataError(1094995529, "Invalid data found when processing input", "a.mp4"),
    av.error.PermissionError(errno.EACCES, "Permission denied", "a.mp4"),
    UnidentifiedImageError("cannot identify image file 'a.png'"),
    Image.DecompressionBombError("Image size (1 pixels) exceeds limit"),
    requests.exceptions.ConnectionError("HTTPConnectionPool(host='x', port=1): Max retries exceeded"),
    httpx.ConnectError("All connection attempts failed"),
    SafetensorError("Error while serializing: I/O error: No space left on device"),
    ArrowInvalid("Could not open Parquet input source"),
    UserError("line 3 (a\nb.mp4): caption is empty"),
]
BUGS = [RuntimeError("a bug"), KeyError("a bug"), ValueError("a bug"), TypeError("a bug")]

COMMANDS = [command.name or command.callback.__name__ for command in cli.app.registered_commands]
FLOWS = sorted(
    file.stem
    for file in Path("flows").glob("*.py")
    if "__main__" in file.read_text(encoding="utf-8") and file.stem not in ("server", "stage")
)


def raising(function, error):
    @functools.wraps(function)
    def call(*args, **kwargs):
        raise error

    return call


def is_one_line(text, program):
    return re.fullmatch(rf"{re.escape(program)}: [^\n]+\n", text) is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_one_line_and_code_2(name, monkeypatch, capsys):
    command = next(c for c in cli.app.registered_commands if name in (c.name, c.callback.__name__))
    required = [p for p in get_command(cli.app).commands[name].params if p.required]
    monkeypatch.setattr(sys, "argv", ["sketch2video", name, *("x" for _ in required)])
    original = command.callback
    for error in (*FILES, *LIBRARIES):
        monkeypatch.setattr(command, "callback", raising(original, error))
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr().err
        assert end.value.code == 2, (error, shown)
        assert is_one_line(shown, "sketch2video"), shown
        if error in FILES:
            assert "out/a?\\n.mp4: " in shown
    for error in BUGS:
        monkeypatch.setattr(command, "callback", raising(original, error))
        with pytest.raises(type(error), match="a bug"):
            cli.main()


def flows_of(module):
    return {name: value for name, value in vars(module).items() if isinstance(value, Flow)}


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_ends_in_one_line(name):
    found = flows_of(importlib.import_module(f"flows.{name}"))
    assert found
    for flow in found.values():
        inner = flow.fn.__wrapped__
        cell = next(c for c in flow.fn.__closure__ if c.cell_contents is inner)
        try:
            for error in (*FILES, *LIBRARIES):
                cell.cell_contents = raising(inner, error)
                state = flow.fn()
                assert (state.name, state.message) == (REFUSED, str(refusal(error)))
                assert "\n" not in state.message
            for error in BUGS:
                cell.cell_contents = raising(inner, error)
                with pytest.raises(type(error), match="a bug"):
                    flow.fn()
        finally:
            cell.cell_contents = inner


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_is_started_within_a_border(name):
    tree = ast.parse(Path(f"flows/{name}.py").read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
    assert "execute" in called
    assert {"stage_flow", "flow"} & {getattr(d, "id", "") for n in ast.walk(tree) for d in decorators(n)} == {
        "stage_flow"
    }


def test_a_stage_without_a_server_ends_in_one_line(monkeypatch, capsys):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["flows.stage", "assemble", "sketch_ldm"])
    for error in (*FILES, *LIBRARIES):
        monkeypatch.setattr(stage, "run_stage", raising(stage.run_stage, error))
        with pytest.raises(SystemExit) as end:
            stage.main()
        assert end.value.code == 2
        assert is_one_line(capsys.readouterr().err, "assemble")
    for error in BUGS:
        monkeypatch.setattr(stage, "run_stage", raising(stage.run_stage, error))
        with pytest.raises(type(error), match="a bug"):
            stage.main()


def decorators(node):
    return getattr(node, "decorator_list", [])


@pytest.mark.parametrize(
    "error",
    [
        *FILES[:2],
        httpx.ConnectError("All connection attempts failed"),
        RuntimeError("Failed to reach API at http://127.0.0.1:9/api/"),
    ],
)
def test_what_prefect_itself_raises_is_one_line_too(error, capsys):
    class Stage:
        name = "stage"

        def __call__(self, *, return_state):
            raise error

    with pytest.raises(SystemExit) as end:
        execute(Stage())
    assert end.value.code == 2
    assert is_one_line(capsys.readouterr().err, "stage")


def test_servers_end_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["server", "run", "--", "true"])
    monkeypatch.setattr(server, "run", raising(server.run, FILES[1]))
    with pytest.raises(SystemExit) as end:
        server.main()
    assert end.value.code == 2
    assert is_one_line(capsys.readouterr().err, "flows.server")


def test_a_full_disk_behind_stdout_is_noticed(capfd):
    code = "from sketch2video.errors import border\nwith border('x'): print('a')"
    done = os.system(f'{sys.executable} -c "{code}" > /dev/full')
    assert os.waitstatus_to_exitcode(done) == 2
    shown = capfd.readouterr().err
    assert "No space left on device; free some space" in shown
    assert is_one_line(shown, "x")


def test_a_reader_that_has_enough_is_no_fault(capfd):
    code = "from sketch2video.errors import border\nwith border('x'): print('a\\n' * 99999)"
    os.system(f'{sys.executable} -c "{code}" | head -n 1')
    assert capfd.readouterr() == ("a\n", "")


def test_names_are_shown_in_one_line():
    assert printable("a b?#%'\"ä日本\u3000👩\u200d🚀.mp4") == "a b?#%'\"ä日本\u3000👩\u200d🚀.mp4"
    assert printable(os.fsdecode(b"\xff\n\x1b[1m\xe2\x80\xa8.mp4")) == "\\udcff\\n\\x1b[1m\\u2028.mp4"


def test_a_message_is_one_line_with_indented_details():
    assert str(UserError("2 checks failed:", "one", "two\n  three")) == "2 checks failed:\n  one\n  two\\n  three"
    name = "a\n  b\u2028c\x85d\x1b[1m\udcff.mp4"
    shown = "a\\n  b\\u2028c\\x85d\\x1b[1m\\udcff.mp4"
    for error in (UserError(f"{name} is"), RejectedVideo(name, "is"), RejectedPicture(name, "is", name)):
        for same in (error, pickle.loads(pickle.dumps(error))):
            assert str(same).splitlines() == [str(same)]
            assert str(same).startswith(f"{shown} is")
    assert RejectedVideo("a", f"is {name}").reason == f"is {shown}"


def test_the_cause_stays_for_whoever_debugs():
    with pytest.raises(SystemExit) as end, border("x"):
        raise FILES[0]
    assert end.value.__context__ is FILES[0]
