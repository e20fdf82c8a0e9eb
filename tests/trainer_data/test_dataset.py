import csv
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sketch2video.data.sources.layouts import find_source
from sketch2video.errors import UserError
from sketch2video.params import BaseParams, load_params
from sketch2video.trainer_data import dataset as module
from sketch2video.trainer_data.dataset import write_dataset
from sketch2video.trainer_data.options import settings_of, sketch_of
from sketch2video.trainer_data.trainers import TRAINERS
from tests.media.small_videos import encode
from tests.trainer_data.discs import captioned, decoded, discs


def write(table, folder, name="ltx", **options):
    values = {"size": "64x32", "frames": 9, "fps": 25.0}
    settings = settings_of(
        TRAINERS[name], **values | {k: v for k, v in options.items() if k in (*values, "cut", "lines")}
    )
    others = {k: v for k, v in options.items() if k in ("split", "where")}
    return write_dataset(name, find_source(table, None), folder, settings, options.get("sketch", sketch_of()), **others)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def data_in(folder):
    """All but the README, which names the folder."""
    return {name: content for name, content in contents(folder).items() if name != "README.md"}


def times(folder):
    return {p.stem: p.stat().st_mtime_ns for p in folder.glob("videos/*.mp4")}


def reasons(folder):
    with (folder / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path_to_video"]: row["reason"] for row in csv.DictReader(stream)}


def test_what_is_finished_is_kept_and_what_changed_is_made_again(tmp_path):
    videos = {"a.mp4": {}, "b.mp4": {}, "c.mp4": {}}
    table, out = captioned(tmp_path / "in", videos), tmp_path / "out"
    assert write(table, out).kept == 0
    first, before = contents(out), times(out)
    assert write(table, out).kept == 3
    assert contents(out) == first
    assert times(out) == before

    # A corrected caption keeps its clip, a changed video does not, one that left the table is removed.
    encode(tmp_path / "in/b.mp4", discs(40)[::-1])
    text = table.read_text().replace("a disc of a.mp4", "a red disc").replace('c.mp4,"a disc of c.mp4",\n', "")
    table.write_text(text)
    assert write(table, out).kept == 1
    changed = {name: time for name, time in times(out).items() if before[name] != time}
    assert [name[0] for name in changed] == ["b"]
    assert {name[0] for name in times(out)} == {"a", "b"}
    assert {path.stem[0] for path in out.glob("control/*")} == {"a", "b"}
    assert [row["caption"] for row in json.loads((out / "dataset.json").read_text())] == [
        "a red disc",
        "a disc of b.mp4",
    ]

    # Other settings make all clips again, in fewer pieces than before.
    assert write(table, out, frames=17, cut="pieces").clips == 4
    assert write(table, out, frames=33, cut="pieces").clips == 2
    assert len(times(out)) == 2
    assert decoded(next(out.glob("videos/*")))[0].shape == (33, 32, 64, 3)
    write(table, tmp_path / "other", frames=33, cut="pieces")
    assert data_in(tmp_path / "other") == data_in(out)


@pytest.mark.parametrize("left", ["half a pair", "a shorter file", "no record", "a damaged record"])
def test_an_interrupted_video_is_made_again(tmp_path, left):
    table, out = captioned(tmp_path / "in", {"a.mp4": {}}), tmp_path / "out"
    write(table, out)
    whole = contents(out)
    (control,), (record,) = out.glob("control/*.mp4"), out.glob(".sketch2video/clips/*.json")
    if left == "half a pair":
        control.unlink()
    elif left == "a shorter file":
        control.write_bytes(control.read_bytes()[:-5])
    elif left == "no record":
        record.unlink()
    else:
        record.write_text('{"key": 3, "clips": [{"name": "../../x"}]}')
    assert write(table, out).kept == 0
    assert contents(out) == whole


def test_a_killed_command_leaves_no_metadata_and_goes_on(tmp_path, monkeypatch):
    table, out = captioned(tmp_path / "in", {"a.mp4": {}, "b.mp4": {}}), tmp_path / "out"
    write(table, out)
    whole = contents(out)
    encode(tmp_path / "in/c.mp4", discs(40))
    with table.open("a") as stream:
        stream.write("c.mp4,third,\n")
    make = module.make_clips

    def killed(work, name, video):
        if name.startswith("c"):
            raise KeyboardInterrupt
        return make(work, name, video)

    monkeypatch.setattr(module, "make_clips", killed)
    with pytest.raises(KeyboardInterrupt):
        write(table, out)
    assert not (out / "dataset.json").exists()
    assert {n: b for n, b in contents(out).items() if n.endswith(".mp4")} == {
        n: b for n, b in whole.items() if n.endswith(".mp4")
    }
    monkeypatch.setattr(module, "make_clips", make)
    assert (write(table, out).kept, len(json.loads((out / "dataset.json").read_text()))) == (2, 3)


def test_rejected_rows_have_reasons_and_no_files(tmp_path):
    rows = (
        "short.mp4,x,",
        "junk.mp4,x,",
        "gone.mp4,x,",
        "a.mp4,,",
        "grey.mp4,x,",
        "cut.mp4,x,",
        "../a.mp4,x,",
        "b.mp4,a,b,c",
    )
    extra = "".join(f"{row}\n" for row in rows)
    table, out = captioned(tmp_path / "in", {"a.mp4": {}}, extra), tmp_path / "out"
    encode(tmp_path / "in/short.mp4", discs(5))
    encode(tmp_path / "in/grey.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 40)
    encode(tmp_path / "in/cut.mp4", discs(40))
    (tmp_path / "in/cut.mp4").write_bytes((tmp_path / "in/cut.mp4").read_bytes()[:-600])
    (tmp_path / "in/junk.mp4").write_bytes(b"no video")
    summary = write(table, out)
    assert (summary.clips, len(summary.rejected)) == (1, 8)
    found = reasons(out)
    for name, words in {
        "short.mp4": "is too short: 0.20 s, and 9 frames at 25 fps need 0.36 s",
        "junk.mp4": "cannot be opened as a video",
        "gone.mp4": "is missing",
        "a.mp4": "caption is empty",
        "grey.mp4": "shows no lines",
        "cut.mp4": "cannot be opened as a video",
        "../a.mp4": "leads out of the source folder",
        "b.mp4": "more cells than columns",
    }.items():
        assert words in found[name], name
    assert [path.stem[0] for path in out.rglob("*.mp4")] == ["a", "a"]
    lines = summary.lines(out, "line")
    assert "rejected  8 in all" in "\n".join(lines)
    assert "rejected rows, with reasons: 8 |" in (out / "README.md").read_text()


def test_a_row_that_only_pandas_cannot_read_is_rejected_for_trainers_that_use_it(tmp_path):
    table = captioned(tmp_path / "in", {"a.mp4": {}, "b.mp4": {"caption": "null"}})
    assert write(table, tmp_path / "ltx").clips == 2
    assert write(table, tmp_path / "ds", "diffsynth").clips == 1
    assert "missing value" in reasons(tmp_path / "ds")["b.mp4"]


def test_names_of_the_source_never_leave_the_folder(tmp_path):
    long = "x" * 200 + ".mp4"
    names = [
        "..%2f..%2fe.mp4",
        "-rf $(touch y);`z`.mp4",
        "ä\u202e\u2028.mp4",
        long,
        "a'b.mp4",
        ".mp4.mp4",
        "con.mp4",
        "A.mp4",
    ]
    (tmp_path / "in").mkdir()
    encode(tmp_path / "in/first.mp4", discs(20))
    rows = [["path_to_video", "caption"]]
    for name in names:
        shutil.copy(tmp_path / "in/first.mp4", tmp_path / "in" / name)
        rows.append([name, f"../../{name} <b>*|`$(x)"])
    rows += [["../out.mp4", "out"], ["/etc/passwd", "absolute"], ["a\0b.mp4", "nul"]]
    with (tmp_path / "in/captions.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    around = {path.name for path in tmp_path.iterdir()} | {"out"}
    for trainer in ("ltx", "finetrainers"):
        out = tmp_path / "out" / trainer
        summary = write(tmp_path / "in/captions.csv", out, trainer)
        assert (summary.clips, len(summary.rejected)) == (len(names), 3)
        assert all(path.name.isascii() and len(path.name) < 90 for path in out.rglob("*"))
        assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))
    assert {path.name for path in tmp_path.iterdir()} == around
    rows = json.loads((tmp_path / "out/ltx/dataset.json").read_text(encoding="utf-8"))
    assert {row["caption"] for row in rows} == {" ".join(f"../../{name} <b>*|`$(x)".split()) for name in names}


def test_rows_of_one_video_get_files_of_their_own(tmp_path):
    table, out = captioned(tmp_path / "in", {"a.mp4": {}}, "a.mp4,other words,\n"), tmp_path / "out"
    assert write(table, out).clips == 2
    assert len({row["video"] for row in json.loads((out / "dataset.json").read_text())}) == 2


def test_videos_of_the_test_split_stay_out_of_training(tmp_path):
    videos = {"a.mp4": {}, "b.mp4": {"split": "test"}, "c.mp4": {"split": "train"}}
    table = captioned(tmp_path / "in", videos, "b.mp4,the same video again,\n")
    for split, clips in (("train", "ac"), ("test", "bb"), ("all", "abbc")):
        summary = write(table, tmp_path / split, split=split)
        assert "".join(sorted(name[0] for name in times(tmp_path / split))) == clips
        assert any("other split" in fact for fact in summary.facts) == (split != "all")


def test_sizes_rates_lines_and_turned_videos(tmp_path):
    table = captioned(
        tmp_path / "in",
        {
            "a.mp4": {"rotation": 90, "count": 80},
            "b.mp4": {"pixel_aspect": "2/1", "count": 80},
            "c.mp4": {"fps": 5, "count": 80},
        },
    )
    write(table, tmp_path / "out", size="96x128", frames=9, fps=10.0, lines="black-on-white")
    paths = sorted((tmp_path / "out").glob("*/*.mp4"))
    assert [path.parent.name for path in paths] == ["control"] * 3 + ["videos"] * 3
    for path in paths:
        frames, fps = decoded(path)
        assert frames.shape == (9, 128, 96, 3)
        assert fps == 10
        assert np.median(frames[0, :8]) > 240 or path.parent.name == "videos"
        if path.parent.name == "videos":
            # A disc that the file shows round stays round, and upright videos are not cropped to a strip.
            red = frames[..., 0].astype(int) > 130
            rows, columns = np.nonzero(red[4])
            stretch = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
            assert stretch == pytest.approx(2 if path.stem.startswith("b") else 1, rel=0.15)


def test_facts_about_clips_are_counted(tmp_path):
    table = captioned(tmp_path / "in", {"slow.mp4": {"fps": 5}, "cut.mp4": {}})
    encode(tmp_path / "in/cut.mp4", [*discs(20), *[255 - picture for picture in discs(20)]])
    facts = " ".join(write(table, tmp_path / "out", size="256x192").facts)
    assert "1 of 2 clips contain hard cuts" in facts
    assert "1 of 2 clips repeat frames" in facts
    assert "2 of 2 clips are enlarged" in facts


def test_processes_give_the_same_bytes(tmp_path):
    table = captioned(tmp_path / "in", {f"{name}.mp4": {} for name in "abc"})
    where = BaseParams(seed=0, size=16, frames=2, workers=2, cluster=None)
    write(table, tmp_path / "one")
    write(table, tmp_path / "two", where=where)
    assert data_in(tmp_path / "one") == data_in(tmp_path / "two")


def test_the_parameters_of_the_sketch_decide(tmp_path):
    table, sketch = captioned(tmp_path / "in", {"a.mp4": {}}), load_params().sketch
    assert sketch_of().model_copy(update={"threshold": sketch.threshold}) == sketch, "the same defaults anywhere"
    write(table, tmp_path / "out", sketch=sketch)
    (control,) = (tmp_path / "out").glob("control/*")
    usual = decoded(control)[0]
    with pytest.raises(UserError, match="shows no lines"):
        write(table, tmp_path / "out", sketch=sketch_of(sketch, 0.9, 0.99))
    assert not control.exists()
    assert write(table, tmp_path / "out", sketch=sketch).kept == 0
    assert np.array_equal(decoded(control)[0], usual)


def test_folders_that_hold_other_things_are_refused(tmp_path):
    table = captioned(tmp_path / "in", {"a.mp4": {}})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/README.md").write_text("mine")
    with pytest.raises(UserError, match=r"FOLDER: .*mine holds other files; name a new or an empty folder"):
        write(table, tmp_path / "mine")
    with pytest.raises(UserError, match="holds other files"):
        write(table, tmp_path / "in")
    with pytest.raises(UserError, match="is not a folder"):
        write(table, table)
    write(table, tmp_path / "out")
    (tmp_path / "out/videos/mine.mp4").write_bytes(b"mine")
    with pytest.raises(UserError, match="is a data set for ltx; name another folder"):
        write(table, tmp_path / "out", "musubi")
    write(table, tmp_path / "out", frames=17)
    assert (tmp_path / "out/videos/mine.mp4").read_bytes() == b"mine"
    with pytest.raises(UserError, match="is not UTF-8"):
        write(table, tmp_path / os.fsdecode(b"\xff"))


def dataset(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-c", "from sketch2video.cli import main; main()", "dataset", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_command_reads_folders_and_runs_again(tmp_path):
    for number, split in enumerate(("test", "train"), 1):
        path = tmp_path / f"UCF-101/RopeClimbing/v_RopeClimbing_g0{number}_c01.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, discs(40))
        listed = f"RopeClimbing/{path.name}" + (" 1" if split == "train" else "")
        (tmp_path / "ucfTrainTestlist").mkdir(exist_ok=True)
        (tmp_path / f"ucfTrainTestlist/{split}list01.txt").write_text(f"{listed}\n")
    (tmp_path / "ucfTrainTestlist/classInd.txt").write_text("1 RopeClimbing\n")
    options = ["my set", "--to", "videox-fun", "--source", ".", "--size", "64x64", "--frames", "9", "--workers", "1"]
    for kept in (0, 1):
        answer = dataset(*options, folder=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith(f"clips     1, of videos: 1; finished before: {kept}\n")
        assert "1/1" in answer.stderr
    (row,) = json.loads((tmp_path / "my set/metadata.json").read_text())
    assert (row["text"], row["width"], row["height"]) == ("rope climbing", 64, 64)
    assert f"sketch2video dataset 'my set' {' '.join(options[1:])}\n" in (tmp_path / "my set/README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a trainer with --to: diffsynth, diffsynth-vace, videox-fun, musubi, ltx, finetrainers"),
        (["--to", "sora"], "--to: 'sora' is not a known trainer; choose one: diffsynth"),
        (["--to", "ltx"], "name your videos with --source: a CSV"),
        (["--to", "ltx", "--source", "none.csv"], "--source: none.csv is missing"),
        (["--to", "ltx", "--source", "."], "cannot be read as a data set"),
        (["--to", "ltx", "--source", "c.csv", "--size", "100x64"], "must be multiples of 32 .* choose 96x64"),
        (["--to", "musubi", "--source", "c.csv", "--size", "0x0"], "choose 16x16"),
        (["--to", "ltx", "--source", "c.csv", "--size", "wide"], "'wide' is not a size; .* such as 960x544"),
        (["--to", "ltx", "--source", "c.csv", "--frames", "16"], r"16 is not 8n\+1 .* choose 9 or 17"),
        (["--to", "musubi", "--source", "c.csv", "--frames", "-3"], r"is not 4n\+1 .* choose 5"),
        (["--to", "ltx", "--source", "c.csv", "--fps", "nan"], "--fps: nan is not a frame rate"),
        (["--to", "ltx", "--source", "c.csv", "--fps", "0"], "--fps: 0.0 is not a frame rate"),
        (["--to", "ltx", "--source", "c.csv", "--lines", "red"], "'red' is unknown; choose white-on-black or"),
        (["--to", "ltx", "--source", "c.csv", "--cut", "end"], "'end' is unknown; choose middle or start"),
        (
            ["--to", "ltx", "--source", "c.csv", "--contrast", "0"],
            "--contrast: 0.0 is out of range; choose one above 0",
        ),
        (["--to", "ltx", "--source", "c.csv", "--min-length", "1"], "--min-length: 1.0 is out of range; choose one"),
        (["--to", "ltx", "--source", "c.csv", "--split", "dev"], "--split: dev is unknown; choose train"),
        (["--to", "ltx", "--source", "c.csv"], "no row of c.csv can be used, 1 are rejected; the first, line 2"),
        (
            ["--to", "ltx", "--source", "c.csv", "--split", "test"],
            "c.csv has no rows of the split test|no row of c.csv",
        ),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(tmp_path, monkeypatch, capsys, arguments, words):
    from sketch2video.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text("path_to_video,caption\ngone.mp4,a dog\n")
    monkeypatch.setattr(sys, "argv", ["sketch2video", "dataset", "out", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    shown = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("dataset:")]
    assert end.value.code == 2
    assert len(shown) == 1
    assert re.search(words, shown[0]), shown
