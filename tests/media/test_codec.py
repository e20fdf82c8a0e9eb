import tracemalloc
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from sketch2video.media.codec import probe_video, read_clip, read_companion, read_excerpt, read_frames
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.writing import write_gif, write_video
from tests.media.small_videos import CODECS, encode, encode_changing, encode_sound, noisy, number_of, numbered


@pytest.mark.parametrize("suffix", CODECS)
def test_a_clip_spans_the_whole_action_in_every_container(tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    encode(path, numbered(40))
    clip = read_clip(path, frames=14, size=16)
    assert clip.frames.shape == (14, 16, 16, 3)
    assert clip.frames.dtype == np.uint8
    shown = [number_of(frame) for frame in clip.frames]
    if suffix == ".gif":  # its 256 fixed colours cannot tell neighbours apart
        assert np.abs(np.array(shown) - np.linspace(0, 39, 14)).max() < 6
    else:
        assert shown == np.linspace(0, 39, 14).round().astype(int).tolist()
    assert clip.source_frames == 40
    assert (clip.source_width, clip.source_height) == (64, 48)
    assert clip.source_fps == pytest.approx(25)
    assert clip.fps == pytest.approx(13 / (39 / 25))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_variable_frame_rates_are_followed_in_time(tmp_path, suffix):
    times = np.concatenate([np.arange(20) * 40, 760 + np.arange(1, 11) * 300])
    path = tmp_path / f"video{suffix}"
    encode(path, numbered(30), times=times.tolist())
    clip = read_clip(path, frames=8, size=16)
    sampled = np.linspace(0, times[-1], 8)
    nearest = np.abs(times[None] - sampled[:, None]).argmin(1)
    assert [number_of(frame) for frame in clip.frames] == nearest.tolist()
    assert clip.fps == pytest.approx(7 / (times[-1] / 1000))
    assert clip.source_fps == pytest.approx(29 / (times[-1] / 1000))


def test_frames_whose_timestamps_are_not_in_order_count_as_evenly_spaced(tmp_path):
    path = tmp_path / "b-frames.avi"
    encode(path, numbered(40), codec="libx264")
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times != sorted(times)
    clip = read_clip(path, frames=14, size=16)
    assert [number_of(frame) for frame in clip.frames] == np.linspace(0, 39, 14).round().astype(int).tolist()
    assert clip.source_fps == pytest.approx(25)


def test_a_short_video_repeats_its_nearest_frames(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, numbered(4))
    clip = read_clip(path, frames=10, size=16, min_frames=4)
    assert [number_of(frame) for frame in clip.frames] == np.linspace(0, 3, 10).round().astype(int).tolist()
    with pytest.raises(RejectedVideo, match="too short: 4 frames, at least 5"):
        read_clip(path, frames=10, size=16, min_frames=5)


def test_a_single_frame_is_a_still_clip(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, numbered(1))
    clip = read_clip(path, frames=4, size=16)
    assert clip.source_frames == 1
    assert clip.fps == clip.source_fps == 25


def test_the_middle_square_is_averaged_over_areas(tmp_path):
    picture = noisy(1, 64, 96)[0].repeat(2, 0).repeat(2, 1)
    path = tmp_path / "video.mkv"
    encode(path, [picture] * 2, codec="ffv1")
    clip = read_clip(path, frames=2, size=16)
    shown = next(read_frames(path)).astype(float)
    assert shown.shape == (128, 192, 3)
    square = shown[:, 32:160]
    assert np.abs(clip.frames[0] - square.reshape(16, 8, 16, 8, 3).mean((1, 3))).max() <= 1


def test_frames_are_turned_as_players_turn_them(tmp_path):
    quadrants = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    picture = quadrants.repeat(32, 0).repeat(48, 1)
    for rotation in (90, 180, 270):
        path = tmp_path / f"{rotation}.mp4"
        encode(path, [picture] * 3, rotation=rotation)
        _, expected = cv2.VideoCapture(str(path)).read()
        expected = expected[..., ::-1]
        shown = next(read_frames(path))
        assert shown.shape == expected.shape
        assert np.abs(shown.astype(int) - expected).max() <= 4
        height, width = expected.shape[:2]
        square = expected[(height - 64) // 2 :, (width - 64) // 2 :][:64, :64]
        square = square.reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(read_clip(path, frames=2, size=32).frames[0] - square).max() <= 4


def test_a_whole_frame_keeps_its_aspect_and_is_not_enlarged(tmp_path):
    path = tmp_path / "video.mkv"
    encode(path, [noisy(1, 64, 96)[0].repeat(2, 0).repeat(2, 1)] * 3, codec="ffv1")
    shown = next(read_frames(path))
    clip = read_clip(path, frames=2, size=48, square=False)
    assert clip.frames.shape == (2, 32, 48, 3)
    assert np.abs(clip.frames[0] - shown.astype(float).reshape(32, 4, 48, 4, 3).mean((1, 3))).max() <= 1
    assert np.array_equal(read_clip(path, frames=2, size=500, square=False).frames[0], shown)
    assert read_clip(path, frames=2, size=96, square=False).fps == clip.fps


def test_a_whole_frame_is_turned_and_stretched_as_players_show_it(tmp_path):
    for name, options in (("turned", {"rotation": 90}), ("stretched", {"pixel_aspect": 2})):
        path = tmp_path / f"{name}.mp4"
        encode(path, noisy(3), **options)
        shown = next(read_frames(path))
        assert shown.shape[:2] == ((64, 48) if name == "turned" else (48, 128))
        assert np.array_equal(read_clip(path, frames=2, size=200, square=False).frames[0], shown)


def test_a_video_whose_frames_change_their_size_has_no_whole_frames(tmp_path):
    path = tmp_path / "video.mkv"
    encode_changing(path, 3, (48, 64), (96, 128))
    assert {frame.shape for frame in read_frames(path)} == {(48, 64, 3), (96, 128, 3)}
    assert read_clip(path, frames=6, size=32).frames.shape == (6, 32, 32, 3)
    for sampling in ("first", "spread"):
        with pytest.raises(RejectedVideo, match="changes the size of its frames"):
            read_excerpt(path, 5, sampling)
    with pytest.raises(RejectedVideo, match="changes the size of its frames"):
        read_clip(path, frames=6, size=500, square=False)


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    y, x = np.mgrid[:64, :96]
    # Stored twice too narrow: shown, it is a disc of radius 24 in a frame of 192 x 64.
    disc = ((x - 47.5) * 2) ** 2 + (y - 31.5) ** 2 < 24**2
    path = tmp_path / "video.mp4"
    encode(path, [np.repeat(disc[..., None], 3, 2).astype(np.uint8) * 255] * 3, pixel_aspect=2)
    assert next(read_frames(path)).shape == (64, 192, 3)
    shown = read_clip(path, frames=2, size=64).frames[0][..., 0] > 127
    assert abs(int(shown.any(0).sum()) - 48) <= 2
    assert abs(int(shown.any(1).sum()) - 48) <= 2


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_truncated_files_are_rejected(tmp_path, suffix, share):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    encode(whole, noisy(40), options={"movflags": "+faststart"} if suffix == ".mp4" else None)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    assert read_clip(whole, frames=8, size=16).source_frames == 40
    with pytest.raises(RejectedVideo) as caught:
        read_clip(cut, frames=8, size=16)
    assert "\n" not in caught.value.reason


def test_an_mp4_without_its_index_is_rejected(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, noisy(20))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(RejectedVideo, match="cannot be opened as a video"):
        read_clip(path, frames=8, size=16)


def test_files_that_are_no_videos_are_rejected_with_the_reason(tmp_path):
    encode_sound(tmp_path / "sound.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("hello\n" * 1000)
    (tmp_path / "playlist.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nother.mp4\n")
    reasons = {
        "absent.mp4": "is missing",
        "empty.mp4": "is empty",
        "notes.txt": "cannot be opened as a video",
        "playlist.m3u8": "cannot be opened as a video",
        "sound.mp4": "has no video stream",
        ".": "is not a file",
    }
    for name, reason in reasons.items():
        for read in (probe_video, lambda path: list(read_frames(path)), lambda path: read_clip(path, 4, 16)):
            with pytest.raises(RejectedVideo, match=reason):
                read(tmp_path / name)


def test_memory_holds_a_few_full_frames_only(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, numbered(40, 480, 640))
    tracemalloc.start()
    try:
        read_clip(path, frames=30, size=16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 480 * 640 * 3


def test_the_header_is_read_without_decoding(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, numbered(30))
    info = probe_video(path)
    assert (info.width, info.height, info.frames) == (64, 48, 30)
    assert info.fps == pytest.approx(25)
    assert info.duration == pytest.approx(1.2)


def moving_disc(count=12, height=63, width=85):
    y, x = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[:] = np.stack([90 + x, 120 + y / 2, np.full(x.shape, 140)], -1)
        frame[(x - 20 - 3 * t) ** 2 + (y - 30) ** 2 < 150] = (220, 40, 40)
    return frames


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_a_written_mp4_opens_in_another_player(tmp_path):
    frames, path = moving_disc(), tmp_path / "out" / "video.mp4"
    write_video(path, frames, fps=7.5)
    capture = cv2.VideoCapture(str(path))
    shown = np.stack([capture.read()[1][..., ::-1] for _ in frames])
    assert not capture.read()[0]
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(7.5)
    assert shown.shape == (12, 64, 86, 3)
    assert psnr(shown[:, :63, :85], frames) > 30
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_writing_again_gives_the_same_bytes(tmp_path):
    for write, suffix in ((write_video, "mp4"), (write_gif, "gif")):
        for name in "ab":
            write(tmp_path / f"{name}.{suffix}", moving_disc(), fps=8.0)
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_gif_keeps_colours_and_time(tmp_path):
    frames, path = moving_disc(), tmp_path / "video.gif"
    write_gif(path, frames, fps=7.0)
    with Image.open(path) as gif:
        assert gif.n_frames == 12
        assert gif.info["loop"] == 0
        shown, duration = [], 0
        for number in range(12):
            gif.seek(number)
            duration += gif.info["duration"]
            shown.append(np.asarray(gif.convert("RGB")))
    assert duration == pytest.approx(12 / 7 * 1000, abs=10)
    assert psnr(np.stack(shown), frames) > 30


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "video.mp4"
    write_video(path, moving_disc(), fps=8.0)
    before = path.read_bytes()
    for frames in (moving_disc()[..., 0], moving_disc() / 255, moving_disc()[:0]):
        with pytest.raises(ValueError, match="frames"):
            write_video(path, frames, fps=8.0)
    with pytest.raises(ValueError, match="rate"):
        write_video(path, moving_disc(), fps=-8.0)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["video.mp4"]


def test_an_excerpt_has_the_first_frames_whole_and_as_they_are(tmp_path):
    path = tmp_path / "video.mp4"
    encode(path, numbered(20, 48, 64), pixel_aspect="2/1")
    excerpt = read_excerpt(path, 5, stride=3)
    assert excerpt.shape == (5, 48, 128, 3)
    assert [number_of(frame) for frame in excerpt] == [0, 3, 6, 9, 12]
    shrunk = read_excerpt(path, 5, stride=3, change=lambda picture: picture[:2, :4].astype(np.float32))
    np.testing.assert_array_equal(shrunk, excerpt[:, :2, :4])
    assert len(read_excerpt(path, 7, stride=3)) == 7
    with pytest.raises(RejectedVideo, match="too short: at least 22 frames"):
        read_excerpt(path, 8, stride=3)


def test_an_excerpt_spread_over_a_video_follows_time(tmp_path):
    times = np.concatenate([np.arange(20) * 40, 760 + np.arange(1, 11) * 300])
    encode(tmp_path / "video.mp4", numbered(30), times=times.tolist())
    nearest = np.abs(times[None] - np.linspace(0, times[-1], 8)[:, None]).argmin(1)
    excerpt = read_excerpt(tmp_path / "video.mp4", 8, "spread")
    assert excerpt.shape == (8, 48, 64, 3)
    assert [number_of(frame) for frame in excerpt] == nearest.tolist()
    with pytest.raises(RejectedVideo, match="30 frames, at least 31"):
        read_excerpt(tmp_path / "video.mp4", 31, "spread")
    with pytest.raises(ValueError, match="first or spread"):
        read_excerpt(tmp_path / "video.mp4", 3, "last")


def crossed(count, height, width):
    """Pictures of a bright spot that travels across the whole frame."""
    pictures = []
    for number in range(count):
        y, x = np.mgrid[:height, :width]
        along = (number + 0.5) / count
        far = np.hypot(x / width - along, (y / height - 0.5) * height / width)
        pictures.append(np.repeat((255 * np.clip(1.5 - 12 * far, 0, 1)).astype(np.uint8)[..., None], 3, -1))
    return pictures


@pytest.mark.parametrize(
    ("size", "options"),
    [((48, 64), {}), ((96, 128), {}), ((64, 64), {}), ((48, 32), {"pixel_aspect": "2/1"}), ((48, 64), {"fps": 7})],
)
def test_a_companion_is_cut_where_its_video_is(tmp_path, size, options):
    encode(tmp_path / "a.mp4", crossed(12, 48, 64))
    pictures = [cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA) for picture in crossed(12, 48, 64)]
    encode(tmp_path / "b.mp4", pictures, **options)
    clip = read_clip(tmp_path / "a.mp4", 5, 24)
    companion = read_companion(tmp_path / "b.mp4", clip)
    assert companion.shape == clip.frames.shape
    assert np.abs(companion.astype(float) - clip.frames).mean() < 6
    moved = np.abs(np.roll(companion, 1, 0).astype(float) - clip.frames).mean()
    assert np.abs(companion.astype(float) - clip.frames).mean() < moved / 3


def test_a_companion_follows_its_video_where_time_does_not_flow_evenly(tmp_path):
    times = [0, 10, 20, 30, 40, 50, 500, 510, 520, 1000]
    encode(tmp_path / "a.mkv", numbered(10), times=times)
    encode(tmp_path / "b.mp4", numbered(10))
    clip = read_clip(tmp_path / "a.mkv", 5, 16)
    shown = [number_of(picture) for picture in clip.frames]
    assert shown == clip.numbers.tolist() != [0, 2, 4, 7, 9]
    assert [number_of(picture) for picture in read_companion(tmp_path / "b.mp4", clip)] == shown


def test_a_companion_of_a_turned_video_is_turned_as_a_player_would(tmp_path):
    upright = crossed(8, 64, 48)
    encode(tmp_path / "a.mp4", [np.rot90(picture, -1) for picture in upright], rotation=90)
    encode(tmp_path / "b.mp4", upright)
    clip = read_clip(tmp_path / "a.mp4", 4, 24)
    companion = read_companion(tmp_path / "b.mp4", clip)
    assert clip.proportion == Fraction(48, 64)
    assert np.abs(companion.astype(float) - clip.frames).mean() < 6


@pytest.mark.parametrize("count", [9, 11])
def test_a_companion_of_another_length_is_rejected(tmp_path, count):
    encode(tmp_path / "a.mp4", numbered(10))
    encode(tmp_path / "b.mp4", numbered(count))
    with pytest.raises(RejectedVideo, match=f"has {count} frames, its video has 10"):
        read_companion(tmp_path / "b.mp4", read_clip(tmp_path / "a.mp4", 4, 16))
