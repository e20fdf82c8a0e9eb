import numpy as np
import pytest

from sketch2video.errors import UserError
from sketch2video.videos.sources import assign_splits, read_captions


def write(folder, text, name="captions.csv", encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def reasons(folder, text):
    write(folder, text)
    return {one.row: one.reason for one in read_captions(folder, "captions.csv")[1]}


def test_rows_are_read_with_their_optional_columns(tmp_path):
    write(
        tmp_path,
        'caption,split,path_to_video,label,more\n"a dog,  running",test,./sub//a.mp4,dog,x\n\na cat,,b.mp4,,\na bird\n',
        encoding="utf-8-sig",
    )
    clips, rejected = read_captions(tmp_path, "captions.csv")
    found = [(clip.row, clip.path_to_video, clip.caption, clip.label, clip.split) for clip in clips]
    assert found == [(2, "sub/a.mp4", "a dog, running", "dog", "test"), (4, "b.mp4", "a cat", None, None)]
    assert [(one.row, one.reason) for one in rejected] == [(5, "path_to_video is empty")]


def test_a_row_that_goes_over_lines_is_named_by_its_first(tmp_path):
    found = reasons(tmp_path, 'path_to_video,caption\na.mp4,"one\ntwo"\n,nothing\n')
    assert list(found) == [4]


def test_ids_are_safe_file_names_that_depend_on_path_and_caption(tmp_path):
    rows = ["a/ü b.mp4,x", "a/ü b.mp4,y", "c/ü b.mp4,x", "....mp4,x", f"{'n' * 200}.mp4,x"]
    write(tmp_path, "path_to_video,caption\n" + "\n".join(rows))
    ids = [clip.clip_id for clip in read_captions(tmp_path, "captions.csv")[0]]
    assert len(set(ids)) == 5
    for name in ids:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        assert len(name) <= 75
        assert not name.startswith("-")
    write(tmp_path, "caption,path_to_video\n x ,./a//ü b.mp4")
    assert read_captions(tmp_path, "captions.csv")[0][0].clip_id == ids[0]


def test_paths_that_leave_the_folder_are_rejected(tmp_path):
    folder, outside = tmp_path / "source", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a.mp4").touch()
    (folder / "linked").symlink_to(outside)
    (folder / "link.mp4").symlink_to(outside / "a.mp4")
    (folder / "loop").symlink_to("loop")
    (folder / "inside").mkdir()
    (folder / "good.mp4").symlink_to(folder / "inside" / "b.mp4")
    leaving = [str(outside / "a.mp4"), "../outside/a.mp4", "inside/../../outside/a.mp4", "linked/a.mp4", "link.mp4"]
    staying = ["inside/b.mp4", "inside/../inside/b.mp4", "good.mp4", "absent.mp4"]
    write(folder, "path_to_video,caption\n" + "".join(f"{path},x\n" for path in leaving + staying))
    clips, rejected = read_captions(folder, "captions.csv")
    assert [one.path_to_video for one in rejected] == leaving
    assert {one.reason for one in rejected} == {"path_to_video leads out of the source folder"}
    assert [clip.path_to_video for clip in clips] == staying
    linked = tmp_path / "source-by-link"
    linked.symlink_to(folder)
    assert len(read_captions(linked, "captions.csv")[0]) == len(staying)


def test_rows_that_cannot_be_used_say_why(tmp_path):
    found = reasons(
        tmp_path,
        "path_to_video,caption,split\na.mp4,x,train\nb.mp4,  ,\n,x,\nc.mp4,x,dev\n./a.mp4,x,\na.mp4,y,test\na.mp4,z,\n",
    )
    assert found == {
        3: "caption is empty",
        4: "path_to_video is empty",
        5: "split 'dev' is unknown; it is train or test",
        6: "repeats line 2",
        7: "the video is in split train already, by line 2",
    }


def test_paths_are_relative_to_the_csv(tmp_path):
    write(tmp_path, "path_to_video,caption\n../videos/a.mp4,x\n../../a.mp4,x\n", name="lists/one.csv")
    clips, rejected = read_captions(tmp_path, "lists/one.csv")
    assert [clip.row for clip in clips] == [2]
    assert [one.row for one in rejected] == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "no column path_to_video, caption"),
        (b"path,caption\na.mp4,x\n", "no column path_to_video"),
        (b"path_to_video,caption\n", "has no rows"),
        (b"path_to_video,caption\na.mp4,caf\xe9\n", "not UTF-8"),
        (b'path_to_video,caption\na.mp4,"' + b"x" * 200_000, "not a CSV"),
    ],
)
def test_a_csv_that_cannot_be_used_is_the_users_to_mend(tmp_path, content, message):
    if content is not None:
        (tmp_path / "captions.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_captions(tmp_path, "captions.csv")
    assert "captions.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_csv_outside_of_the_folder_is_refused(tmp_path):
    write(tmp_path, "path_to_video,caption\na.mp4,x\n")
    (tmp_path / "source").mkdir()
    with pytest.raises(UserError, match=r"ingest\.captions"):
        read_captions(tmp_path / "source", "../captions.csv")


def test_splits_have_their_share_and_stay_when_videos_are_added():
    videos = [f"video {number}" for number in range(2000)]
    splits = assign_splits(videos, [None] * 2000, 0.1)
    assert 150 < splits.count("test") < 250
    order = np.random.default_rng(0).permutation(2000)[:500]
    fewer = assign_splits([videos[i] for i in order], [None] * 500, 0.1)
    assert fewer == [splits[i] for i in order]


def test_all_clips_of_a_video_share_its_split():
    videos = [f"video {number % 40}" for number in range(120)]
    splits = assign_splits(videos, [None] * 120, 0.5)
    assert splits[:40] == splits[40:80] == splits[80:]
    assert len(set(splits)) == 2
    other = "test" if splits[3] == "train" else "train"
    assert assign_splits(videos, [None] * 3 + [other] + [None] * 116, 0.5)[43] == other


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_no_split_is_empty_where_there_are_two_videos(count, fraction):
    splits = assign_splits([f"video {number}" for number in range(count)], [None] * count, fraction)
    assert min(splits.count("train"), splits.count("test")) == 1


def test_named_splits_are_kept():
    assert assign_splits(["a", "b"], ["train", "train"], 0.5) == ["train", "train"]
    assert assign_splits(["a", "b", "c"], ["test", "test", None], 0.999) == ["test", "test", "train"]
    assert assign_splits(["a"], [None], 0.999) == ["train"]
    assert assign_splits([], [], 0.5) == []
