import os
import socket
import subprocess
import sys

import pytest

from sketch2video.data.sources.hashable import refuse_unhashable, unhashable
from sketch2video.errors import UserError


def found(folder):
    return {os.path.relpath(path, folder): reason for path, reason in unhashable(folder)}


def test_what_dvc_can_hash_is_passed_over(tmp_path):
    for name in (
        "what is this?.mp4",
        "#1.mp4",
        "50%20.mp4",
        "2024-05-01T12:30:05.mp4",
        "it's.mp4",
        'a"b.mp4',
        "a\nb.mp4",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.mp4").symlink_to("#1.mp4")
    (tmp_path / "linked").symlink_to("sub")
    assert found(tmp_path) == {}
    refuse_unhashable(tmp_path)
    refuse_unhashable(tmp_path / "missing")


def test_what_dvc_cannot_hash_is_named_with_the_fault(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/gone.mp4").symlink_to("/nowhere/gone.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / os.fsdecode(b"\xff.mp4")).write_text("")
    (tmp_path / os.fsdecode(b"\xe4rger")).mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".dvcignore").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    assert found(tmp_path) == {
        "sub/gone.mp4": "is a link that leads nowhere",
        "loop.mp4": "is a link that leads nowhere",
        os.fsdecode(b"\xff.mp4"): "has a name that is not UTF-8",
        os.fsdecode(b"\xe4rger"): "has a name that is not UTF-8",
        "pipe": "is a pipe",
        "socket": "is a socket",
        ".dvcignore": "must not be in it",
    }
    with pytest.raises(UserError, match="and 4 more") as error:
        refuse_unhashable(tmp_path)
    str(error.value).encode()
    assert "\n" not in str(error.value)


def test_the_projects_own_folder_is_no_source(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {s: {cmd: x, outs: [{data/clips: {persist: true}}, models/a]}, t: {}}")
    for name in ("data/clips/b", "data/source", "videos", "models/b"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in (".", "data", "data/clips", "data/clips/b", "..", "models", str(tmp_path), "videos/.."):
        with pytest.raises(UserError, match=r"cannot be the source folder.*put the videos and their CSV into"):
            refuse_unhashable(name)
    for name in ("data/source", "videos", "models/b"):
        refuse_unhashable(name)


def test_outputs_of_all_systems_are_no_source(tmp_path, monkeypatch):
    system = tmp_path / "systems/other"
    system.mkdir(parents=True)
    (system / "dvc.yaml").write_text("stages: {s: {wdir: ../.., cmd: x, outs: [data/other/tokens]}}")
    (tmp_path / "data/other/tokens").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    monkeypatch.chdir(tmp_path)
    for graph in ("", "params: [a.yaml]\n", "stages:\n"):
        (tmp_path / "dvc.yaml").write_text(graph)
        refuse_unhashable("videos")
        with pytest.raises(UserError, match="data/other/tokens"):
            refuse_unhashable("data/other")


@pytest.mark.parametrize("fault", ["link", "name", "ignore"])
def test_dvc_indeed_cannot_hash_it(tmp_path, fault):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.mp4").write_text("a")
    (tmp_path / "dvc.yaml").write_text("stages: {s: {cmd: echo, deps: [source]}}")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    if fault == "link":
        (source / "b.mp4").symlink_to("nowhere")
    elif fault == "name":
        (source / os.fsdecode(b"\xff.mp4")).write_text("")
    else:
        (source / ".dvcignore").write_text("")
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert list(unhashable(source))
