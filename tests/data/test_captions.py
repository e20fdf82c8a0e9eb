import pytest

from sketch2video.data.sources.captions import read_captions, read_image_captions
from sketch2video.errors import UserError


def write(folder, text, name="captions.csv", encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def reasons(folder, text):
    write(folder, text)
    return {one.row: one.reason for one in read_captions(folder, "captions.csv").rejected}


def test_rows_are_read_with_their_optional_columns(tmp_path):
    write(
        tmp_path,
        'caption,split,path_to_video,label,more\n"a dog,  running",test,./sub//a.mp4,dog,x\n\na cat,,b.mp4,,\na bird\n',
        encoding="utf-8-sig",
    )
    source = read_captions(tmp_path, "captions.csv")
    found = [(row.row, row.path, row.caption, row.label, row.split) for row in source.rows]
    assert found == [(2, "sub/a.mp4", "a dog, running", "dog", "test"), (4, "b.mp4", "a cat", None, None)]
    assert [(one.row, one.reason) for one in source.rejected] == [(5, "path_to_video is empty")]


def test_further_labels_are_read_by_their_names(tmp_path):
    write(tmp_path, "path_to_video,caption,label.hair,label,label.action\na.mp4,x,red,one, walk \nb.mp4,y,,two,\n")
    rows = read_captions(tmp_path, "captions.csv").rows
    assert [(row.label, row.labels) for row in rows] == [("one", {"hair": "red", "action": "walk"}), ("two", {})]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("label.hair,label. ", r"captions\.csv has a column label\. without a name"),
        ("label.hair,label.top,label.hair", r"captions\.csv has several columns label\.hair; keep one"),
    ],
)
def test_a_further_label_has_a_name_of_its_own(tmp_path, columns, message):
    write(tmp_path, f"path_to_video,caption,{columns}\na.mp4,x,red,blue,green\n")
    with pytest.raises(UserError, match=message):
        read_captions(tmp_path, "captions.csv")


def test_a_row_that_goes_over_lines_is_named_by_its_first(tmp_path):
    found = reasons(tmp_path, 'path_to_video,caption\na.mp4,"one\ntwo"\n,nothing\n')
    assert list(found) == [4]


def test_ids_are_safe_file_names_that_depend_on_path_and_caption(tmp_path):
    rows = ["a/ü b.mp4,x", "a/ü b.mp4,y", "c/ü b.mp4,x", "....mp4,x", f"{'n' * 200}.mp4,x"]
    write(tmp_path, "path_to_video,caption\n" + "\n".join(rows))
    ids = [row.id for row in read_captions(tmp_path, "captions.csv").rows]
    assert len(set(ids)) == 5
    for name in ids:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        assert len(name) <= 75
        assert not name.startswith("-")
    write(tmp_path, "caption,path_to_video\n x ,./a//ü b.mp4")
    assert read_captions(tmp_path, "captions.csv").rows[0].id == ids[0]


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
    source = read_captions(folder, "captions.csv")
    assert [one.path for one in source.rejected] == leaving
    assert {one.reason for one in source.rejected} == {"path_to_video leads out of the source folder"}
    assert [row.path for row in source.rows] == staying
    linked = tmp_path / "source-by-link"
    linked.symlink_to(folder)
    assert len(read_captions(linked, "captions.csv").rows) == len(staying)


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
    source = read_captions(tmp_path, "lists/one.csv")
    assert [row.row for row in source.rows] == [2]
    assert [one.row for one in source.rejected] == [3]


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
def test_a_csv_that_cannot_be_used_is_the_users_to_fix(tmp_path, content, message):
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


def test_controls_are_named_for_all_rows_or_for_none(tmp_path):
    write(tmp_path, "path_to_video,caption,path_to_control\na.mp4,x,./depth//a.mp4\nb.mp4,x,\nc.mp4,x,../c.mp4\n")
    source = read_captions(tmp_path, "captions.csv")
    assert [(row.path, row.control) for row in source.rows] == [("a.mp4", "depth/a.mp4")]
    assert [(one.row, one.reason.partition(";")[0]) for one in source.rejected] == [
        (4, "path_to_control leads out of the source folder"),
        (3, "path_to_control is empty"),
    ]
    write(tmp_path, "path_to_video,caption,path_to_control\na.mp4,x,\nb.mp4,x,\n")
    assert [row.control for row in read_captions(tmp_path, "captions.csv").rows] == [None, None]


def test_images_are_read_by_the_same_rules(tmp_path):
    write(
        tmp_path,
        "path_to_image,caption,split\na.png,a cat,train\n../b.png,a dog,\na.png,a dog,test\nc.jpg, ,\nd.jpg,x,\n",
        name="images.csv",
    )
    source = read_image_captions(tmp_path, "images.csv")
    assert [(row.path, row.caption, row.split) for row in source.rows] == [
        ("a.png", "a cat", "train"),
        ("d.jpg", "x", None),
    ]
    assert [one.reason for one in source.rejected] == [
        "path_to_image leads out of the source folder",
        "the image is in split train already, by line 2",
        "caption is empty",
    ]
    with pytest.raises(UserError, match=r"ingest\.images"):
        read_image_captions(tmp_path, "../images.csv")
    write(tmp_path, "path_to_video,caption\na.png,x\n", name="images.csv")
    with pytest.raises(UserError, match=r"images\.csv has no column path_to_image"):
        read_image_captions(tmp_path, "images.csv")
