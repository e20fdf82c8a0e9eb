"""Which files are videos and how they are opened: by content, under any name."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sketch2video.media.codec import read_clip, read_frames
from sketch2video.media.containers import VIDEOS, RejectedVideo, frames_of, is_clip, looks_like_video, opened_video
from sketch2video.media.seeking import FrameReader
from sketch2video.media.writing import write_gif, write_video
from tests.media.small_videos import encode_changing, number_of, numbered

MUXERS = {
    "mp4": "libx264",
    "mov": "mpeg4",
    "3gp": "h263",
    "matroska": "libx264",
    "webm": "libvpx-vp9",
    "avi": "mpeg4",
    "mpeg": "mpeg2video",
    "mpegts": "mpeg2video",
    "mpeg2video": "mpeg2video",
    "flv": "flv",
    "asf": "wmv2",
    "ogg": "libvpx",
}


def mux(path, container, codec, pictures, options=None):
    with av.open(str(path), "w", format=container, container_options=options or {}) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate, stream.gop_size = "yuv420p", 2_000_000, 5
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


@pytest.mark.parametrize("container", MUXERS)
def test_the_content_says_the_container_whatever_the_name(tmp_path, container):
    first = tmp_path / "video.txt"
    mux(first, container, MUXERS[container], numbered(20, 96, 128))
    assert looks_like_video(first)
    for name in ("video.mp4", "video.gif", "video.png", "video", "video.ts", "video.m4v"):
        path = first.rename(tmp_path / name)
        assert is_clip(path)
        clip = read_clip(path, 5, 16)
        assert np.abs(np.array([number_of(f) for f in clip.frames]) - np.linspace(0, 19, 5)).max() <= 1
        first = path


def test_mts_of_cameras_are_read(tmp_path):
    mux(tmp_path / "a", "mpegts", "mpeg2video", numbered(20, 96, 128), {"mpegts_m2ts_mode": "1"})
    assert looks_like_video(tmp_path / "a")
    assert read_clip(tmp_path / "a", 5, 16).source_frames >= 19


@pytest.mark.parametrize("ending", VIDEOS)
def test_every_ending_is_a_clips(tmp_path, ending):
    (tmp_path / f"a{ending.upper()}").write_bytes(b"nothing")
    assert is_clip(tmp_path / f"a{ending.upper()}")


def test_images_and_texts_are_no_clips(tmp_path):
    for name, kind in (("a.mp4", "PNG"), ("b", "JPEG"), ("c.gif", "WEBP"), ("d.mov", "AVIF"), ("e", "TIFF")):
        Image.fromarray(numbered(1)[0]).save(tmp_path / name, format=kind)
        assert not is_clip(tmp_path / name)
        with pytest.raises(RejectedVideo, match="it is a still image"):
            read_clip(tmp_path / name, 2, 16)
    (tmp_path / "f.txt").write_text("video")
    assert not is_clip(tmp_path / "f.txt")
    assert not is_clip(tmp_path / "absent.png")
    assert not is_clip(tmp_path)


@pytest.mark.parametrize("name", ["2024-05-01T12:30:05.mp4", "http:a.mp4", "concat:a|b.mp4", "file:a.mp4", "-i.mp4"])
def test_a_path_is_never_a_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), Path("run-12:30") / name):
        write_video(path, np.stack(numbered(8)), 8)
        assert path.is_file()
        assert len(list(read_frames(path))) == 8
        assert read_clip(path, 3, 16).source_frames == 8
        with FrameReader(path) as reader:
            assert len(reader) == 8
        write_gif(path.with_suffix(".gif"), np.stack(numbered(8)), 8)
        assert read_clip(path.with_suffix(".gif"), 3, 16).source_frames == 8


def test_a_name_that_is_not_utf8_is_opened(tmp_path):
    path = tmp_path / "clip-\udce9.mp4"
    write_video(path, np.stack(numbered(8)), 8)
    assert read_clip(path, 3, 16).source_frames == 8


def animated(path, kind, seconds, pictures):
    images = [Image.fromarray(picture) for picture in pictures]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "GIF": {"disposal": 2}}.get(kind, {})
    durations = [round(1000 * one) for one in seconds]
    images[0].save(path, format=kind, save_all=True, append_images=images[1:], duration=durations, **options)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_an_animated_image_is_a_clip_in_its_own_time(tmp_path, kind):
    path, seconds = tmp_path / "a", [0.1] * 10 + [0.5] * 4
    animated(path, kind, seconds, numbered(14))
    assert is_clip(path)
    times = np.cumsum([0, *seconds[:-1]])
    nearest = [np.abs(times - moment).argmin() for moment in np.linspace(0, times[-1], 6)]
    clip = read_clip(path, 6, 16)
    assert np.abs(np.array([number_of(frame) for frame in clip.frames]) - nearest).max() <= (kind == "GIF")
    assert clip.source_frames == 14
    assert clip.fps == pytest.approx(5 / times[-1], rel=0.01)
    with FrameReader(path) as reader:
        assert [number_of(frame) for frame in reader.frames([3, 12])] == [3, 12]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_what_is_transparent_in_an_animation_is_white(tmp_path, kind):
    pictures = np.zeros((3, 32, 32, 4), np.uint8)
    for number, picture in enumerate(pictures):
        picture[8:24, 4 + 8 * number : 12 + 8 * number, 3] = 254  # of 255, Pillow would write a WebP without alpha
    animated(tmp_path / "a", kind, [0.1] * 3, pictures)
    for number, frame in enumerate(read_frames(tmp_path / "a")):
        dark = frame[..., 0] < 128
        assert dark[10:22, 5 + 8 * number : 11 + 8 * number].all()
        assert dark.sum() == 16 * 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_frames_without_a_delay_are_shown_for_a_tenth_of_a_second(tmp_path, kind):
    animated(tmp_path / "a", kind, [0.0] * 5, numbered(5))
    assert read_clip(tmp_path / "a", 5, 16).fps == pytest.approx(10)


def test_an_apngs_picture_for_old_viewers_is_no_frame(tmp_path):
    images = [Image.fromarray(picture) for picture in numbered(5)]
    images[4].save(
        tmp_path / "a", format="PNG", save_all=True, append_images=images[:3], default_image=True, duration=99
    )
    clip = read_clip(tmp_path / "a", 3, 16)
    assert [number_of(frame) for frame in clip.frames] == [0, 1, 2]


def test_a_damaged_animation_is_rejected(tmp_path):
    animated(tmp_path / "a", "PNG", [0.1] * 5, numbered(5))
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(RejectedVideo, match="cannot be read as an image"):
        read_clip(tmp_path / "a", 3, 16)


def test_an_animation_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    animated(tmp_path / "a", "PNG", [0.1] * 5, numbered(5))
    monkeypatch.setattr("sketch2video.media.containers._ANIMATION_PIXELS", 4 * 48 * 64)
    with pytest.raises(RejectedVideo, match="too many pixels"):
        read_clip(tmp_path / "a", 3, 16)


HUGE = "47494638376100000100001500 93c69a655b ce 2c00000000ffffb80b4000 104373445a12e5bacd2f749468868d4a3500 3b"


def test_frames_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "video.gif"
    path.write_bytes(bytes.fromhex(HUGE))  # 49 bytes, 65535 x 3000 pixels
    with pytest.raises(RejectedVideo, match="has frames of 65535 x 3000, which is too large"), opened_video(path):
        pass
    path = tmp_path / "video.mkv"
    encode_changing(path, 3, (48, 64), (480, 640))
    monkeypatch.setattr("sketch2video.media.containers.MOST_PIXELS", 100_000)
    with pytest.raises(RejectedVideo, match="damaged"), opened_video(path) as (container, stream):
        assert len(list(frames_of(container, stream))) == 6
