import json

import pytest

from sketch2video.data.sources.msrvtt import read_msrvtt
from sketch2video.errors import UserError

WORDS = ("a man cooks", "a man is cooking", "somebody  cooks food", "cooking", "a chef at work")


def annotations(*videos):
    """The published JSON for videos given as (number, split, category)."""
    return {
        "info": {"year": "2016", "version": "1.0"},
        "videos": [
            {"id": n, "video_id": f"video{n}", "split": split, "category": category, "url": "https://example.org"}
            | {"start time": 1.5, "end time": 11.5}
            for n, split, category in videos
        ],
        "sentences": [
            {"sen_id": 10 * n + i, "video_id": f"video{n}", "caption": f"{text} {n}"}
            for n, _, _ in videos
            for i, text in enumerate(WORDS)
        ],
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def challenge(tmp_path):
    """The two files and two folders of the challenge."""
    write(tmp_path / "train_val_videodatainfo.json", annotations((0, "train", 9), (1, "validate", 17)))
    write(tmp_path / "test_videodatainfo.json", annotations((2, "test", 0)))
    for name in ("TrainValVideo/video0.mp4", "TrainValVideo/video1.mp4", "TestVideo/video2.mp4"):
        write(tmp_path / name, "")
    return tmp_path


def test_both_files_of_the_challenge_are_read(challenge):
    source = read_msrvtt(challenge, 0)
    assert [(row.row, row.id, row.path, row.label, row.split) for row in source.rows] == [
        (1, "video0", "TrainValVideo/video0.mp4", "vehicles/autos", "train"),
        (2, "video1", "TrainValVideo/video1.mp4", "cooking", "train"),
        (3, "video2", "TestVideo/video2.mp4", "music", "test"),
    ]
    for row in source.rows:
        number = row.id.removeprefix("video")
        assert row.caption in {" ".join(f"{text} {number}".split()) for text in WORDS}


def test_the_one_file_of_the_shared_package_gives_the_same(challenge, tmp_path_factory):
    shared = tmp_path_factory.mktemp("shared")
    write(shared / "msrvtt_data/MSRVTT_data.json", annotations((0, "train", 9), (1, "validate", 17), (2, "test", 0)))
    for number in range(3):
        write(shared / f"videos/all/video{number}.mp4", "")
    found, expected = read_msrvtt(shared, 3).rows, read_msrvtt(challenge, 3).rows
    assert [row.path for row in found] == [f"videos/all/video{number}.mp4" for number in range(3)]
    assert [(r.id, r.caption, r.label, r.split) for r in found] == [
        (r.id, r.caption, r.label, r.split) for r in expected
    ]


def test_a_caption_is_drawn_by_seed_and_video_alone(tmp_path):
    videos = [(number, "train", 0) for number in range(300)]
    write(tmp_path / "MSRVTT_data.json", annotations(*videos))
    write(tmp_path / "videos/video0.mp4", "")
    drawn = {row.id: row.caption for row in read_msrvtt(tmp_path, 0).rows}
    counts = [sum(caption.startswith(f"{' '.join(text.split())} ") for caption in drawn.values()) for text in WORDS]
    assert sum(counts) >= 300
    assert min(counts) > 30  # of 60 expected, with a standard deviation of 7
    other = {row.id: row.caption for row in read_msrvtt(tmp_path, 1).rows}
    assert 100 < sum(drawn[name] != other[name] for name in drawn) < 300
    write(tmp_path / "MSRVTT_data.json", annotations(*videos[:7:-1]))
    assert {row.id: row.caption for row in read_msrvtt(tmp_path, 0).rows}.items() <= drawn.items()


def test_a_video_without_a_caption_is_rejected_and_one_without_a_file_is_named(challenge):
    content = annotations((2, "test", 0), (3, "test", 0))
    content["sentences"] = [s | {"caption": " "} for s in content["sentences"] if s["video_id"] == "video2"]
    content["sentences"] += annotations((3, "test", 0))["sentences"]
    write(challenge / "test_videodatainfo.json", content)
    source = read_msrvtt(challenge, 0)
    assert [(one.path, one.reason) for one in source.rejected] == [("TestVideo/video2.mp4", "caption is empty")]
    assert source.rows[-1].path == "TrainValVideo/video3.mp4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, r"test_videodatainfo\.json is there without train_val_videodatainfo\.json; put"),
        ("{", r"train_val_videodatainfo\.json cannot be read as JSON"),
        ([], r"train_val_videodatainfo\.json has no list of videos"),
        ({"videos": []}, r"train_val_videodatainfo\.json has no list of sentences"),
        ({"videos": [{"video_id": "video0", "split": "train"}]}, r"videos\[0\] has no category"),
        (
            {"videos": [{"video_id": "../a", "split": "train", "category": 0}]},
            r"videos\[0\] has an impossible video_id",
        ),
        ({"videos": [{"video_id": "a", "split": "dev", "category": 0}]}, r"an impossible split, 'dev'"),
        ({"videos": [], "sentences": [{"video_id": "video0"}]}, r"sentences\[0\] has no caption"),
    ],
)
def test_another_layout_is_one_line_that_names_the_file(challenge, change, message):
    path = challenge / "train_val_videodatainfo.json"
    if change is None:
        path.unlink()
    else:
        write(path, change)
    with pytest.raises(UserError, match=message) as caught:
        read_msrvtt(challenge, 0)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_said_to_be_so(tmp_path):
    with pytest.raises(UserError, match=r"neither train_val_videodatainfo\.json .* nor MSRVTT_data\.json"):
        read_msrvtt(tmp_path, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "cannot be read as JSON"),
        (json.dumps(annotations((0, "train", 9))).replace("a man cooks", "\\ud800"), "impossible caption"),
        (json.dumps(annotations((0, "train", True))), "impossible category, True"),
        (json.dumps(annotations((0, "x" * 5000, 9))), "impossible split"),
    ],
)
def test_spoiled_annotations_are_one_short_line(tmp_path, text, message):
    write(tmp_path / "MSRVTT_data.json", text)
    with pytest.raises(UserError, match=message) as caught:
        read_msrvtt(tmp_path, 0)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
