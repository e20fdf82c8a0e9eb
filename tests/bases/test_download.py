"""The base of a project, by folder or by hub id."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from sketch2video.bases.base import Base
from sketch2video.bases.download import IGNORED, PATTERNS, fetch_base
from sketch2video.cli import app
from sketch2video.errors import UserError
from sketch2video.params import load_params
from tests.bases.conftest import ROOT


@pytest.mark.parametrize("kind", ["wan", "ltx", "cogvideox", "stable_diffusion", "own"])
def test_a_folder_is_a_base(bases: dict[str, Path], kind: str) -> None:
    base: Base = fetch_base(str(bases[kind]))
    assert base.name == kind
    assert base.source == str(bases[kind])


def test_a_hub_id_is_downloaded_without_what_is_not_needed(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def download(repository: str, local_dir: Path, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.append((repository, allow_patterns, ignore_patterns))
        shutil.copytree(bases["wan"], local_dir)
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    base = fetch_base("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", tmp_path)
    assert asked == [("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", PATTERNS, IGNORED)]
    assert Path(base.source) == tmp_path / "Wan-AI--Wan2.1-T2V-1.3B-Diffusers"


def test_what_is_no_base_is_one_line(bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("/nowhere/at/all", "a/b/c", "wan"):
        with pytest.raises(UserError, match="is neither a folder nor an id of the hub"):
            fetch_base(wrong)
    part = Path(shutil.copytree(bases["wan"], tmp_path / "part"))
    shutil.rmtree(part / "vae")
    with pytest.raises(UserError, match="is no complete base: vae is missing"):
        fetch_base(str(part))

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(UserError, match="some/one cannot be loaded as a base \\(no network\\)"):
        fetch_base("some/one", tmp_path)


def test_the_command_writes_the_parameter(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    app(["base", str(bases["ltx"])], standalone_mode=False)
    assert load_params().adapted_video.base == str(bases["ltx"])
    assert "its videos have 8n + 1 frames and sides of multiples of 32 px" in capsys.readouterr().out
