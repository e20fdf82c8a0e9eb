from pathlib import Path

import numpy as np
import pytest

from benchmarks.clips import Clip, NamedVideo, embedded_clips, middle_square, real_clips, videos_of
from sketch2video.errors import UserError
from sketch2video.media.writing import write_video
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import SHAPES

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture
def noise() -> np.ndarray:
    """40 frames of 90 x 60, each another grey."""
    return np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None] * 6, (40, 60, 90, 3)).copy()


def a_clip(frames: np.ndarray) -> Clip:
    return Clip("a", frames, np.zeros(frames.shape[:3], np.uint8))


def test_cuts_are_told_from_colours():
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[2:] = (200, 30, 30)
    frames[3, :4] = 0  # a quarter of the picture changes: no cut
    assert a_clip(frames).together.tolist() == [True, False, True]


def test_flow_is_that_of_a_moving_picture():
    ground = np.random.default_rng(0).integers(0, 255, (12, 16), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(ground, shift, axis=1) for shift in (0, 3)])[..., None].repeat(3, -1)
    flow = a_clip(frames).flow
    assert flow.shape == (1, 96, 128, 2)
    np.testing.assert_allclose(np.median(flow[0, 20:-20, 20:-20], axis=(0, 1)), [3, 0], atol=0.2)


def test_real_clips_are_every_second_frame_of_the_middle_square(tmp_path, noise):
    write_video(tmp_path / "a.mp4", noise, 8)
    (clip,) = real_clips(tmp_path)
    assert clip.frames.shape == (16, 128, 128, 3)
    assert clip.ink.shape == (16, 128, 128)
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), np.arange(16) * 12, atol=6)


def test_the_middle_square_is_the_middle():
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[:, 20:60] = 200
    assert (middle_square(frame, 10) == 200).all()


def test_a_table_names_its_videos_once(tmp_path, noise):
    write_video(tmp_path / "a.mp4", noise, 8)
    assert videos_of(tmp_path) == [NamedVideo(tmp_path / "a.mp4", "a")]
    (tmp_path / "captions.csv").write_text("path_to_video,caption,label\na.mp4,one,x\na.mp4,two,x\n")
    named = [NamedVideo(tmp_path / "a.mp4", "one", "x")]
    assert videos_of(tmp_path) == videos_of(tmp_path / "captions.csv") == named


@pytest.mark.parametrize(("name", "message"), [("nothing", "is not there"), ("", "holds no video")])
def test_what_cannot_be_measured_is_named(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        videos_of(tmp_path / name)


def test_a_row_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "captions.csv").write_text("path_to_video,caption\na.mp4,\n")
    with pytest.raises(UserError, match="line 2: caption is empty"):
        videos_of(tmp_path)


def test_embedded_clips_show_every_shape_equally_often_and_know_the_truth():
    clips = embedded_clips(PARAMS)
    shapes = [clip.shape for clip in clips if clip.shape]
    assert {shapes.count(shape) for shape in SHAPES} == {6}
    double = next(clip for clip in clips if clip.shape is None)
    assert double.outlines.shape == (PARAMS.base.frames, 2, 128, 2)
    assert all(clip.together.all() and clip.ink.any((1, 2)).all() for clip in clips)
    assert len(double.first(3).outlines) == len(double.first(3).ink) == 3
