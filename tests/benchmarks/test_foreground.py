"""The benchmark of the segmenters: its measure, and its command on a video of the user's."""

import json

import numpy as np
import pytest

from benchmarks.foreground import embedded_clips, ious, main, rgb_of
from sketch2video.errors import UserError
from sketch2video.media.writing import write_video
from tests.benchmarks.cells import cells_of


def test_iou_is_that_of_each_frame():
    found, truth = np.zeros((2, 3, 4, 4), bool)
    found[0, :2], truth[0, 1:3] = True, True
    truth[1, 0, 0] = True
    np.testing.assert_allclose(ious(found, truth), [1 / 3, 0, 1])


def test_every_motion_is_there_over_both_grounds():
    clips = embedded_clips(0, 1, 4, 24)
    single = [(clip.about["ground"], clip.about["motion"]) for clip in clips if clip.about["motion"] != "two objects"]
    assert len(clips) == 24
    assert len(set(single)) == len(single) == 12


def test_a_video_of_the_users_is_measured_against_its_mask(tmp_path):
    clip = embedded_clips(0, 1, 8, 48)[0]
    write_video(tmp_path / "walk.mp4", clip.frames, 8.0)
    write_video(tmp_path / "mask.mp4", np.where(clip.truth[..., None], (150, 5, 61), (0, 0, 0)).astype(np.uint8), 8.0)
    main("motion", tmp_path / "walk.mp4", tmp_path / "mask.mp4", "150,5,61", 48, 1, tmp_path / "bench")
    stored = json.loads((tmp_path / "bench" / "foreground_walk.json").read_text())
    assert stored["clips"][0]["iou"] > 0.6
    assert (tmp_path / "bench" / "foreground_walk.png").read_bytes().startswith(b"\x89PNG")
    written = (tmp_path / "bench" / "foreground_walk.md").read_text()
    assert cells_of(written.splitlines()[-1])[:3] == ["video", "video", "1"]
    with pytest.raises(UserError, match="shows the colour"):
        main("motion", tmp_path / "walk.mp4", tmp_path / "mask.mp4", "0,255,0", 48, 1, tmp_path / "bench")


def test_a_video_without_its_mask_and_a_wrong_colour_are_one_line(tmp_path):
    with pytest.raises(UserError, match="--video and --mask belong together"):
        main("motion", tmp_path / "walk.mp4", None, "255,255,255", 48, 1, tmp_path)
    for text in ("red", "1,2", "1,2,300"):
        with pytest.raises(UserError, match="is no colour"):
            rgb_of(text)
