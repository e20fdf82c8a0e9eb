import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sketch2video import __version__
from sketch2video.data.clips.shards import write_table
from sketch2video.inputs.caption_lines import read_caption_lines
from sketch2video.media.writing import write_video
from sketch2video.systems.registry import parts_of, system_names
from sketch2video.systems.spec import SHARED


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
        (["train"], "train --list"),
        (["source", "nothing.csv"], "nothing.csv"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(tmp_path, arguments, named):
    answer = sketch2video(*arguments, folder=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert named in answer.stderr


def test_all_parts_are_described(tmp_path):
    shutil.copy("params.yaml", tmp_path)
    answer = sketch2video("train", "--list", folder=tmp_path)
    lines = answer.stdout.splitlines()
    for owner in (SHARED, *system_names()):
        start = next(number for number, line in enumerate(lines) if line.startswith(f"{owner}: "))
        parts = [line.split(maxsplit=1) for line in lines[start + 1 : start + 1 + len(parts_of(owner))]]
        assert parts == [[part.name, part.title] for part in parts_of(owner)]
    assert "text_ldm: text → video, control: none" in lines
    alone = sketch2video("train", "--list", "--system", "text_ldm", folder=tmp_path)
    assert alone.stdout.splitlines() == lines[lines.index("text_ldm: text → video, control: none") :]


def test_a_profile_is_written_into_the_parameters(tmp_path):
    shutil.copy("params.yaml", tmp_path)
    shutil.copytree("profiles", tmp_path / "profiles")
    assert "smoke" in sketch2video("profile", "--list", folder=tmp_path).stdout.split()
    before = (tmp_path / "params.yaml").read_text()
    assert sketch2video("profile", "smoke", folder=tmp_path).returncode == 0
    assert (tmp_path / "params.yaml").read_text() != before


def test_captions_are_printed_as_prompts_are_read(tmp_path):
    captions = ["# a comment it is not", "\\# nor this", 'a "big" dog', "çok güzel — дом"]
    clips = pd.DataFrame({"caption": captions, "split": "test"})
    write_table(clips, tmp_path / "data/clips/clips.parquet")
    command = [sys.executable, "-c", "from sketch2video.cli import main; main()", "captions"]
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, env=latin).stdout
    assert [caption for _, caption in read_caption_lines(printed.decode())] == captions


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (
            "a.mp4,a man, walking\nb.mp4,a dog\nc.mp4,a cat\nd.mp4,x\ncut.mp4,y\nb.mp4,two\nfew.mp4,z\n",
            [
                "rows      7, 3 usable",
                "videos    2",
                "rejected  line 2 (a.mp4): more cells than columns (3 instead of 2)",
                "rejected  line 5 (d.mp4): is missing",
                "rejected  line 6 (cut.mp4): cannot be opened as a video",
                "rejected  line 8 (few.mp4): is too short: 4 frames, at least 8 are needed",
                "shortest  1.20 s (b.mp4)",
                "longest   2.40 s (c.mp4)",
                "sizes     32 x 24 (1), 48 x 48 (1)",
                "rates     10 fps (2)",
            ],
        ),
    ],
)
def test_a_source_is_checked_at_once(tmp_path, rows, lines):
    shutil.copy("params.yaml", tmp_path)
    for name, number, width, height in (("b", 12, 32, 24), ("c", 24, 48, 48), ("few", 4, 32, 24)):
        write_video(tmp_path / f"{name}.mp4", np.zeros((number, height, width, 3), np.uint8), 10)
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    (tmp_path / "captions.csv").write_text(f"path_to_video,caption\n{rows}")
    answer = sketch2video("source", "captions.csv", folder=tmp_path)
    assert answer.returncode == 0
    shown = answer.stdout.splitlines()[1:]
    assert [line[: len(start)] for line, start in zip(shown, lines, strict=True)] == lines


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("path_to_video,caption\nnowhere.mp4,a dog\n", "none of the 1 rows of captions.csv can be used"),
        ("path_to_video,caption,caption\na.mp4,a,b\n", "has several columns caption"),
        ("path_to_video,caption\na.mp4,caf\xe9\n", "row 2 has the byte 0xe9, as in Windows-1252"),
    ],
)
def test_a_source_of_no_use_leaves_the_parameters(tmp_path, content, words):
    shutil.copy("params.yaml", tmp_path)
    (tmp_path / "captions.csv").write_bytes(content.encode("latin-1"))
    answer = sketch2video("source", "captions.csv", folder=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert words in answer.stderr
    assert (tmp_path / "params.yaml").read_bytes() == Path("params.yaml").read_bytes()


def test_captions_that_training_did_not_see(tmp_path):
    clips = pd.DataFrame({"caption": ["a", "b", "c", "b", "d"], "split": ["train", *["test"] * 4]})
    write_table(clips, tmp_path / "data/clips/clips.parquet")
    assert sketch2video("captions", folder=tmp_path).stdout == "b\nc\nd\n"
    assert sketch2video("captions", "--limit", "2", folder=tmp_path).stdout == "b\nd\n"
    assert sketch2video("captions", "--limit", "1", folder=tmp_path).stdout == "b\n"
    assert sketch2video("captions", "--limit", "0", folder=tmp_path).returncode == 2
