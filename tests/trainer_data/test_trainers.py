"""Each data set is read back by the loading rules of its project, restated from the commit that the table names."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sketch2video.data.sources.layouts import find_source
from sketch2video.sketches import extract_sketches
from sketch2video.sketches.agreement import ink_agreement
from sketch2video.trainer_data.dataset import write_dataset
from sketch2video.trainer_data.options import settings_of, sketch_of
from sketch2video.trainer_data.trainers import TRAINERS, DataSet, Entry
from tests.trainer_data.discs import captioned, decoded, number_in

CAPTIONS = {
    "a.mp4": "a disc, moving; it is “red”",
    "test-01_train.val.mp4": "null set",
    "sub dir/ä ö.mp4": '1 ""quoted""',
}
"""Of three videos, with names that loaders take for splits, and characters that formats have to escape."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set for each trainer in a folder with a space in its name, by the trainer's name."""
    folder = tmp_path_factory.mktemp("data sets")
    (folder / "source/sub dir").mkdir(parents=True)
    table = captioned(folder / "source", {name: {"caption": caption} for name, caption in CAPTIONS.items()})
    folders = {}
    for name, trainer in TRAINERS.items():
        settings = settings_of(trainer, "128x96", 17, 25.0)
        summary = write_dataset(name, find_source(table, None), folder / name, settings, sketch_of())
        assert (summary.clips, summary.rejected) == (3, [])
        folders[name] = folder / name
    return folders


def commands_in(folder):
    """The words of the shell block that trains, with ``$DATA`` replaced."""
    block = re.search(r"## Train\n.*?```sh\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    words = shlex.split(block.replace("\\\n", " "), comments=True)
    data = next(word for word in words if word.startswith("DATA=")).removeprefix("DATA=")
    assert data == str(folder.absolute())
    return [word.replace("$DATA", data) for word in words]


def option(words, name):
    for number, word in enumerate(words):
        if word == f"--{name}":
            return words[number + 1]
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
    raise AssertionError(name)


def read_diffsynth(folder):
    """``UnifiedDataset``: pandas reads the CSV; each key of ``--data_file_keys`` is a path below the base path."""
    words = commands_in(folder)
    keys = option(words, "data_file_keys").split(",")
    assert keys[1] == option(words, "extra_inputs")
    height, width, limit = (int(option(words, name)) for name in ("height", "width", "num_frames"))
    for _, row in pd.read_csv(option(words, "dataset_metadata_path")).iterrows():
        videos = []
        assert set(row.keys()) == {*keys, "prompt"}
        for key in keys:
            frames, _ = decoded(Path(option(words, "dataset_base_path")) / row[key])
            count = min(limit, len(frames))
            while count > 1 and count % 4 != 1:
                count -= 1
            assert frames.shape[1:3] == (height, width), "or it would be resized"
            videos.append(frames[:count])
        assert isinstance(row["prompt"], str)
        yield *videos, row["prompt"]


def read_videox_fun(folder):
    """``ImageVideoControlDataset``: a stride from the first frame on, the same indices for both videos."""
    words = commands_in(folder)
    stride, limit = (int(option(words, f"video_sample_{name}")) for name in ("stride", "n_frames"))
    for row in json.loads(Path(option(words, "train_data_meta")).read_text(encoding="utf-8")):
        assert row["type"] == "video"
        assert list(row) == ["file_path", "text", "type", "control_file_path", "width", "height"]
        root = Path(option(words, "train_data_dir"))
        frames, control = (decoded(root / row[key])[0] for key in ("file_path", "control_file_path"))
        assert frames.shape[1:3] == (row["height"], row["width"])
        count = min(limit, len(frames) // stride)
        indices = np.linspace(0, min(len(frames), (count - 1) * stride + 1) - 1, count, dtype=int)
        yield frames[indices], control[indices], row["text"]


def read_musubi(folder):
    """``VideoJsonlDatasource`` and ``VideoDataset``, extraction ``head``; paths are those of the working directory."""
    words = commands_in(folder)
    config = tomllib.loads(Path(option(words, "dataset_config")).read_text(encoding="utf-8"))
    dataset = config["datasets"][0]
    assert set(dataset) == {"video_jsonl_file", "cache_directory", "target_frames", "frame_extraction"}
    rows = [json.loads(line) for line in Path(dataset["video_jsonl_file"]).read_text(encoding="utf-8").splitlines()]
    (target,) = dataset["target_frames"]
    assert (target - 1) // 4 * 4 + 1 == target
    assert all(size // 16 * 16 == size for size in config["general"]["resolution"])
    for row in rows:
        assert Path(row["video_path"]).is_absolute()
        assert Path(row["control_path"]).is_absolute()
        frames, control = (decoded(row[key])[0] for key in ("video_path", "control_path"))
        assert len(frames) >= target, "or it would be dropped"
        assert list(frames.shape[2:0:-1]) == config["general"]["resolution"]
        yield frames[:target], control[:target], row["caption"]


def read_ltx(folder):
    """``process_dataset.py``: columns by convention, paths relative to the file, buckets of width x height x frames."""
    words = commands_in(folder)
    table = Path(words[words.index("scripts/process_dataset.py") + 1])
    width, height, count = map(int, option(words, "resolution-buckets").split("x"))
    assert (width % 32, height % 32, count % 8) == (0, 0, 1)
    for row in json.loads(table.read_text(encoding="utf-8")):
        assert set(row) == {"video", "reference_video", "caption"}
        paths = [table.parent / Path(row[key].strip()) for key in ("video", "reference_video")]
        assert all(path.is_file() and path.relative_to(table.parent) for path in paths)
        frames, control = (decoded(path)[0] for path in paths)
        assert len(frames) >= count, "or it would be filtered out"
        assert frames.shape[1:3] == (height, width)
        yield frames[:count], control[:count], row["caption"]


SPLIT_WORDS = "train|training|validation|valid|dev|val|test|testing|eval|evaluation"


def read_finetrainers(folder):
    """``VideoFolderDataset``: the ``videofolder`` of ``datasets``, whose columns ``*_file_name`` are videos."""
    words = commands_in(folder)
    (config,) = json.loads(Path(option(words, "dataset_config")).read_text(encoding="utf-8"))["datasets"]
    root = Path(config["data_root"])
    (metadata,) = [
        root / f"metadata.{kind}" for kind in ("json", "jsonl", "csv") if (root / f"metadata.{kind}").exists()
    ]
    assert metadata.name in ("metadata.csv", "metadata.jsonl"), "what videofolder knows"
    (bucket,) = config["video_resolution_buckets"]
    # Words of splits in any name would move files out of the split that is loaded.
    visible = [
        p.relative_to(root) for p in root.rglob("*") if not any(part[0] == "." for part in p.relative_to(root).parts)
    ]
    guessed = re.compile(rf"(^|[-._ 0-9])({SPLIT_WORDS})([-._ 0-9]|$)")
    assert not [path for path in visible for part in path.parts if guessed.search(part)]
    for line in metadata.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        videos = {(key.removesuffix("file_name").rstrip("_") or "video"): row[key] for key in row if key != "caption"}
        assert set(videos) == {"video", "control_video"}
        frames, control = (decoded(root / videos[key])[0] for key in ("video", "control_video"))
        assert [len(frames), *frames.shape[1:3]] == bucket
        yield frames, control, row["caption"]


READERS = {
    "diffsynth": read_diffsynth,
    "diffsynth-vace": read_diffsynth,
    "videox-fun": read_videox_fun,
    "musubi": read_musubi,
    "ltx": read_ltx,
    "finetrainers": read_finetrainers,
}
DARK_LINES = {"diffsynth-vace"}


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_reads_clips_controls_and_captions(made, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = list(READERS[name](made[name]))
    assert sorted(caption for *_, caption in read) == sorted(c.replace('""', '"') for c in CAPTIONS.values())
    for frames, control, _ in read:
        assert frames.shape == control.shape == (17, 96, 128, 3)
        # The middle of 40 frames at the same rate.
        assert [number_in(frame) for frame in frames] in (list(range(11, 28)), list(range(12, 29)))
        ink = 255 - control if name in DARK_LINES else control
        assert np.median(ink) < 20
        for frame, lines in zip(frames, ink, strict=True):
            drawn = extract_sketches(frame[None])[0]
            assert (
                ink_agreement(
                    (lines[..., 0] > 127).astype(np.uint8) * 255, (drawn > 127).astype(np.uint8) * 255
                ).f_score
                > 0.9
            )


def test_every_trainer_is_read_here_and_its_defaults_are_its_own():
    assert set(READERS) == set(TRAINERS)
    for trainer in TRAINERS.values():
        settings = settings_of(trainer)
        assert settings.length.frames % trainer.step == 1
        assert settings.width % trainer.multiple == settings.height % trainer.multiple == 0
        assert re.fullmatch(r"[0-9a-f]{7}, 20\d\d-\d\d-\d\d", trainer.checked)


def test_the_table_of_the_documentation_is_that_of_the_code():
    text = (Path(__file__).parents[2] / "docs/dataset.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| `(?!--)", line)]
    rows = {
        cells[0].strip("`"): cells for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    }
    assert set(rows) == set(TRAINERS)
    for name, trainer in TRAINERS.items():
        settings = settings_of(trainer)
        data = DataSet(Path("/x"), settings)
        _, project, files, fields, size, frames, fps, lines = rows[name]
        assert trainer.url in project or name == "diffsynth-vace"
        assert re.findall("`(.*?)`", files) == [trainer.metadata, *trainer.files(data)]
        assert fields.strip("`").split(",") == list(trainer.row(Entry("a", "b", "c"), data))
        assert size == f"{settings.width}x{settings.height}, multiples of {trainer.multiple}"
        assert frames == f"{settings.length.frames}, {trainer.step}n+1"
        assert (float(fps), lines.replace(" ", "-")) == (trainer.fps, trainer.lines)
