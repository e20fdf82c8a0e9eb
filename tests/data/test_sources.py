import shutil

import numpy as np
import pytest

from sketch2video.data.sources.captions import read_captions
from sketch2video.data.sources.preview import preview
from sketch2video.data.sources.rows import assign_splits
from sketch2video.media.writing import write_video


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


def test_a_missing_control_rejects_its_row_alone(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8.0)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "depth.mp4")
    rows = ["a.mp4,first,depth.mp4", "a.mp4,second,none.mp4", "a.mp4,third,depth.mp4"]
    (tmp_path / "list.csv").write_text("\n".join(["path_to_video,caption,path_to_control", *rows]) + "\n")
    lines = preview(read_captions(tmp_path, "list.csv"), min_frames=2, max_rejected=5)
    assert lines[0] == "rows      3, 2 usable"
    assert [line for line in lines if line.startswith("rejected")] == [
        "rejected  line 3 (a.mp4): path_to_control is missing"
    ]
