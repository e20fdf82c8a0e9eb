"""Which videos of a folder or a CSV are scored."""

import json
import logging
import os
import unicodedata

import pytest

from sketch2video.errors import UserError
from sketch2video.scoring.features import Video
from sketch2video.scoring.video_sets import list_videos


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def found(folder):
    return [video.path.relative_to(folder).as_posix() for video in list_videos(folder)]


def output_folder(folder, stems, captions=None):
    """A folder as batch generation leaves it."""
    rows = []
    for number, stem in enumerate(stems):
        files = {"video": ".mp4", "gif": ".gif", "sketch_video": ".sketch.mp4", "sketch_svg": ".sketch.svg"}
        files = {name: f"{stem}{ending}" for name, ending in files.items()}
        touch(folder, *files.values())
        rows.append({"index": number, "caption": (captions or stems)[number], "seed": 3, "sketch": None, **files})
    touch(folder, "contact_sheet.png")
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_an_output_folder_is_its_videos_with_their_captions(tmp_path, caplog):
    output_folder(tmp_path / "out", ["0000-a", "0001-b"], ["a  star", "#b"])
    out = tmp_path / "out"
    assert list_videos(out) == [
        Video(out / "0000-a.mp4", "a star", control=out / "0000-a.sketch.mp4"),
        Video(out / "0001-b.mp4", "#b", control=out / "0001-b.sketch.mp4"),
    ]
    (line,) = caplog.messages
    assert line.endswith(
        "out: 2 videos; left out: 2 x GIF of a video (0000-a.gif, ...), 2 x drawing of a video (0000-a.sketch.mp4, ...)"
    )


def test_what_a_manifest_does_not_name_is_left_out_and_said(tmp_path, caplog):
    output_folder(tmp_path, ["0000-a"])
    touch(tmp_path, "0000-earlier.mp4", "0000-earlier.gif", "0000-earlier.sketch.mp4", "other/c.mp4")
    output_folder(tmp_path / "second", ["0000-b"])
    assert found(tmp_path) == ["0000-a.mp4", "other/c.mp4", "second/0000-b.mp4"]
    (line,) = caplog.messages
    assert "1 x video that manifest.jsonl does not name (0000-earlier.mp4)" in line


def test_without_its_manifest_an_output_folder_is_its_videos_too(tmp_path):
    output_folder(tmp_path, ["0000-a", "0001-b"])
    (tmp_path / "manifest.jsonl").unlink()
    touch(tmp_path, "0002-c.gif", "0002-c.sketch.mp4", "0002-c.sketch.svg", "d.gif", "e.sketch.mp4")
    assert found(tmp_path) == ["0000-a.mp4", "0001-b.mp4", "0002-c.gif", "d.gif", "e.sketch.mp4"]
    controls = [video.control and video.control.name for video in list_videos(tmp_path)]
    assert controls == ["0000-a.sketch.mp4", "0001-b.sketch.mp4", "0002-c.sketch.mp4", None, None]


@pytest.mark.parametrize("key", ["video", "path_to_video", "file_name"])
def test_manifests_of_other_programs_are_read(tmp_path, key):
    touch(tmp_path, "videos/a.mp4", "videos/é.mp4", "masks/a.mp4", "spare.mp4")
    rows = [{key: "videos/a.mp4", "mask": "masks/a.mp4"}, {key: unicodedata.normalize("NFD", "videos/é.mp4")}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert found(tmp_path) == ["videos/a.mp4", "videos/é.mp4"]


def test_a_manifest_of_something_else_changes_nothing(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "manifest.jsonl").write_text('{"id": 3}\n[1]\n\n')
    assert found(tmp_path) == ["a.mp4"]
    (tmp_path / "manifest.jsonl").write_text('{"video": "a.mp4"}\n{"video": \n')
    with pytest.raises(UserError, match=r"manifest\.jsonl row 2: not JSON"):
        list_videos(tmp_path)


def test_linked_folders_are_followed_once(tmp_path, caplog):
    touch(tmp_path / "elsewhere", "b.mp4", "below/c.mp4")
    touch(tmp_path / "set", "a.mp4", "sub/d.mp4")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "again").symlink_to("sub")
    (tmp_path / "set" / "loop").symlink_to("loop")
    (tmp_path / "set" / "dangling.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "set" / "e.mp4").symlink_to(tmp_path / "elsewhere" / "b.mp4")
    os.mkfifo(tmp_path / "set" / "pipe.mp4")
    assert found(tmp_path / "set") == ["a.mp4", "e.mp4", "linked/b.mp4", "linked/below/c.mp4", "sub/d.mp4"]
    (line,) = caplog.messages
    assert "3 x link or other thing that is no file (dangling.mp4, ...)" in line
    assert "2 x link to a folder that is searched already (again, ...)" in line
    (tmp_path / "by-link").symlink_to(tmp_path / "set")
    assert len(found(tmp_path / "by-link")) == 5


def test_hidden_files_are_no_videos(tmp_path, caplog):
    touch(tmp_path, "a.mp4", "._a.mp4", ".DS_Store", ".checkpoints/a.mp4", ".partial-1-a.mp4", "notes.txt")
    assert found(tmp_path) == ["a.mp4"]
    (line,) = caplog.messages
    assert line.endswith("left out: 3 x hidden file or folder (._a.mp4, ...), 1 x .txt file (notes.txt)")


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, caplog):
    touch(tmp_path, "a.mp4", "b.webm", "c.gif")
    with caplog.at_level(logging.INFO):
        assert len(list_videos(tmp_path)) == 3
    assert not caplog.messages


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path_to_video,caption\na.mp4,a man, walking\n", r"set\.csv row 2: more cells than columns"),
        (b'path_to_video,caption\na.mp4,x\nb.mp4,"a man\nc.mp4,y\n', r"set\.csv row 3: not a CSV row"),
        (b"path_to_video,path_to_video\na.mp4,b.mp4\n", "several columns path_to_video"),
        (b"path_to_video,caption\n,a man\n", "row 2: path_to_video is empty"),
        (b"path_to_video\n" + b"x" * 300 + b".mp4\n", "row 2: path_to_video is longer than"),
        (b"path_to_video,path_to_control\na.mp4," + b"x" * 300 + b"\n", "row 2: path_to_control is longer than"),
        (b"path_to_video,caption\na.mp4,caf\xe9\n", "Windows-1252"),
        (b"path_to_video\n", "holds no video"),
    ],
)
def test_a_list_that_cannot_be_used_names_the_row(tmp_path, content, message):
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list_videos(tmp_path / "set.csv")


def test_lists_are_read_as_people_type_them(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "é.mp4"))
    (tmp_path / "set.csv").write_bytes("Path_to_Video ; Caption\r\né.mp4; a cat\r\n".encode("utf-16"))
    assert list_videos(tmp_path / "set.csv") == [Video(tmp_path / unicodedata.normalize("NFD", "é.mp4"), "a cat")]


def test_a_list_names_the_controls_of_its_videos(tmp_path):
    (tmp_path / "set.csv").write_text("path_to_video,path_to_control\na.mp4,maps/a.mp4\nb.mp4,\n")
    controls = [video.control for video in list_videos(tmp_path / "set.csv")]
    assert controls == [tmp_path / "maps" / "a.mp4", None]


def test_a_name_that_cannot_be_is_neither(tmp_path):
    with pytest.raises(UserError, match="neither a folder"):
        list_videos(tmp_path / ("x" * 300))
