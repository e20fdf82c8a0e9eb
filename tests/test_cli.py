import shutil
import subprocess
import sys

import pandas as pd
import pytest

from sketch2video import __version__
from sketch2video.videos.shards import write_table


def sketch2video(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-c", "from sketch2video.cli import main; main()", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_help_lists_stages_and_edits(tmp_path):
    answer = sketch2video("--help", folder=tmp_path)
    assert answer.returncode == 0
    for name in ("ingest", "sketch", "fit", "validate", "profile", "source", "equation", "score"):
        assert f" {name} " in answer.stdout


def test_help_does_not_import_what_commands_run():
    heavy = "torch|great_expectations|pandas|cv2|mlflow|prefect"
    code = f"import sys, sketch2video.cli; print(sorted(set(sys.modules) & set({heavy!r}.split('|'))))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_version(tmp_path):
    assert sketch2video("--version", folder=tmp_path).stdout.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["validate"], "params.yaml"),
        (["profile", "smoke"], "profile"),
        (["profile"], "profile"),
        (["source", "nothing.csv"], "nothing.csv"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(tmp_path, arguments, named):
    answer = sketch2video(*arguments, folder=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert named in answer.stderr


def test_a_profile_is_written_into_the_parameters(tmp_path):
    shutil.copy("params.yaml", tmp_path)
    shutil.copytree("profiles", tmp_path / "profiles")
    assert "smoke" in sketch2video("profile", "--list", folder=tmp_path).stdout.split()
    before = (tmp_path / "params.yaml").read_text()
    assert sketch2video("profile", "smoke", folder=tmp_path).returncode == 0
    assert (tmp_path / "params.yaml").read_text() != before


def test_captions_that_training_did_not_see(tmp_path):
    clips = pd.DataFrame({"caption": ["a", "b", "c", "b"], "split": ["train", "test", "test", "test"]})
    write_table(clips, tmp_path / "data/clips/clips.parquet")
    assert sketch2video("captions", folder=tmp_path).stdout == "b\nc\n"
    assert sketch2video("captions", "--limit", "1", folder=tmp_path).stdout == "b\n"
    assert sketch2video("captions", "--limit", "0", folder=tmp_path).returncode == 2
