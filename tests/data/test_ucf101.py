import pytest

from sketch2video.data.sources.ucf101 import read_ucf101, words
from sketch2video.errors import UserError

CLASSES = ("ApplyEyeMakeup", "HandstandPushups", "YoYo")
TRAIN = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n"
TEST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\nYoYo/v_YoYo_g01_c01.avi\r\n"


@pytest.fixture
def folder(tmp_path):
    """The published layout without its videos, with the lists of the second split."""
    (tmp_path / "UCF-101").mkdir()
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    lines = [f"{number} {name}\r\n" for number, name in enumerate(CLASSES, 1)]
    (lists / "classInd.txt").write_bytes("".join(lines).encode())
    (lists / "trainlist02.txt").write_bytes(TRAIN.encode())
    (lists / "testlist02.txt").write_bytes(TEST.encode())
    return tmp_path


def test_captions_are_the_words_of_the_class_and_splits_those_of_the_lists(folder):
    source = read_ucf101(folder, 2)
    assert source.base == folder / "UCF-101"
    assert not source.rejected
    assert [(row.row, row.path, row.caption, row.label, row.split) for row in source.rows] == [
        (1, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "apply eye makeup", "ApplyEyeMakeup", "train"),
        (2, "HandstandPushups/v_HandStandPushups_g08_c01.avi", "handstand pushups", "HandstandPushups", "train"),
        (3, "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "apply eye makeup", "ApplyEyeMakeup", "test"),
        (4, "YoYo/v_YoYo_g01_c01.avi", "yo yo", "YoYo", "test"),
    ]
    assert len({row.id for row in source.rows}) == 4


def test_words():
    assert words("CleanAndJerk") == "clean and jerk"
    assert words("Archery") == "archery"


def test_a_list_that_leads_out_of_the_folder_is_not_followed(folder):
    path = folder / "ucfTrainTestlist/testlist02.txt"
    path.write_text("YoYo/../../../a.avi\nYoYo/v_YoYo_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n")
    rejected = read_ucf101(folder, 2).rejected
    assert [one.reason for one in rejected] == ["path_to_video leads out of the source folder", "repeats row 4"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("UCF-101", None, r"UCF-101 is not there; ingest\.folder holds"),
        ("ucfTrainTestlist", None, "ucfTrainTestlist is not there"),
        ("ucfTrainTestlist/classInd.txt", None, r"classInd\.txt cannot be read"),
        ("ucfTrainTestlist/classInd.txt", "ApplyEyeMakeup\n", r"classInd\.txt, line 1: 'ApplyEyeMakeup' is not"),
        ("ucfTrainTestlist/trainlist02.txt", "\n", r"trainlist02\.txt is empty"),
        ("ucfTrainTestlist/trainlist02.txt", TEST, r"trainlist02\.txt, line 1: .* is not a line such as"),
        ("ucfTrainTestlist/trainlist02.txt", "\nYoYo/a.avi 1\n", r"trainlist02\.txt, line 2: YoYo is class 3"),
        ("ucfTrainTestlist/testlist02.txt", "v_YoYo_g01_c01.avi\n", r"testlist02\.txt, line 1: .* is not a line such"),
        ("ucfTrainTestlist/testlist02.txt", "Yoga/a.avi\n", r"testlist02\.txt, line 1: Yoga is not a class"),
    ],
)
def test_another_layout_is_one_line_that_names_the_file(folder, name, content, message):
    path = folder / name
    if content is not None:
        path.write_text(content)
    else:
        path.rename(folder / "elsewhere")
    with pytest.raises(UserError, match=message) as caught:
        read_ucf101(folder, 2)
    assert "\n" not in str(caught.value)


def test_the_lists_of_another_split_are_named(folder):
    with pytest.raises(UserError, match=r"trainlist01\.txt cannot be read"):
        read_ucf101(folder, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classInd.txt", "9" * 5000 + " ApplyEyeMakeup"),
        ("classInd.txt", "1 " + "x" * 5000 + " y"),
        ("trainlist02.txt", "ApplyEyeMakeup/a.avi " + "9" * 5000),
        ("testlist02.txt", "Apply\x1b[31m\0/v.avi"),
        ("testlist02.txt", "x" * 5000 + "/v.avi"),
    ],
)
def test_a_spoiled_list_is_one_short_line(folder, name, text):
    (folder / "ucfTrainTestlist" / name).write_text(text)
    with pytest.raises(UserError, match=name) as caught:
        read_ucf101(folder, 2)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(folder))
