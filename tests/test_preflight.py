"""What would stop a long run is refused before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.params import Params, load_params
from sketch2video.preflight import check
from sketch2video.tracking import store

ROOT = Path(__file__).parents[1]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The project's own, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(store, "_checked", {})
    return load_params(ROOT / "params.yaml")


def test_a_project_that_can_run_passes(params: Params, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a red circle\n")
    check(params, Path("prompts.txt"))
    assert Path("mlruns/mlflow.db").is_file()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, r"prompts\.txt"), (b"", r"prompts\.txt"), (b"a \xff circle\n", r"prompts\.txt.*UTF-8")],
)
def test_prompts_that_cannot_be_read_are_refused(
    params: Params, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(UserError, match=words):
        check(params, Path("prompts.txt"))


@pytest.mark.parametrize("section", ["ingest", "sketcher"])
def test_a_source_folder_that_dvc_cannot_hash_is_refused(params: Params, tmp_path: Path, section: str) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "gone.mp4").symlink_to("/nowhere/gone.mp4")
    changed = getattr(params, section).model_copy(update={"folder": "source"})
    with pytest.raises(UserError, match=r"DVC cannot hash the folder source: .*gone\.mp4"):
        check(params.model_copy(update={section: changed}))


@pytest.mark.parametrize("address", ["foo://bar", "junk:thing"])
def test_an_address_of_no_store_of_runs_is_refused(
    params: Params, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(UserError, match=f"MLflow at {address}.*unsupported URI.*MLFLOW_TRACKING_URI"):
        check(params)
